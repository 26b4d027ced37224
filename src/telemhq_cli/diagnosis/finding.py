"""A finding of the doctor's: what it is about, how much it matters, the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error loses or withholds something, a warning may."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Theme(StrEnum):
    """What a finding is about, in the order in which they are shown."""

    PROGRAM = "This program"
    AGENT = "The background agent"
    LOGS = "Coding agents on this machine"
    DELIVERY = "On the way to a server"
    DISK = "On disk"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `next_step` is the command that mends it, "" where nothing is to be done."""

    name: str
    severity: Severity
    message: str
    next_step: str = ""
    theme: Theme = Theme.PROGRAM


WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.NOTE, Severity.OK)
EXIT_CODES = {Severity.ERROR: 1, Severity.WARNING: 8, Severity.NOTE: 0, Severity.OK: 0}


def worst(found: list[Finding]) -> Severity:
    """Return the severity of the worst finding."""
    severities = {one.severity for one in found}
    return next((one for one in WORST_FIRST if one in severities), Severity.OK)
