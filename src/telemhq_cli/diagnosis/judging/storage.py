"""The disk that everything is kept on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.diagnosis.finding import Finding, Severity
from telemhq_cli.diagnosis.judging.sizes import GIGABYTE, MEGABYTE, size

if TYPE_CHECKING:
    from telemhq_cli.diagnosis.seen import Snapshot

FULL, NEARLY_FULL = 50 * MEGABYTE, GIGABYTE


def disk_has_room(seen: Snapshot) -> Finding | None:
    """Tell how much room there is: on a full disk no run is recorded."""
    held = seen.storage
    if held is None:
        return None
    used = f"the ledger takes {size(held.ledger)}" if held.ledger else "there is no ledger yet"
    message = f"{size(held.free)} are free in {held.place}; {used}."
    if held.free >= NEARLY_FULL:
        return Finding("disk", Severity.OK, message)
    severity = Severity.ERROR if held.free < FULL else Severity.WARNING
    return Finding("disk", severity, message, f"df -h {held.place}")
