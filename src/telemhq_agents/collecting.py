"""What every collector asks of its neighbours, and what one scan tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.ledger.records import Batch, Booked, Cursor
    from telemhq_agents.usage import Place, Source


class LedgerPort(Protocol):
    """The part of the ledger that a collector uses."""

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        """Return how far each log of `source` has been read, by file key."""

    def book(self, batch: Batch) -> Booked:
        """Book facts, turns and cursors in one transaction; what is known already adds nothing."""


class Namer(Protocol):
    """Names the project that a working directory belongs to."""

    def place(self, cwd: str, repository_url: str = "") -> Place:
        """Return the place of `cwd`; `repository_url` is the remote that the log names, if any."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one scan of a source's logs found.

    `files` were there, `files_read` had changed; `bad_lines` could not be understood and were
    skipped; each of `problems` names one file and why it was not read, for a person.
    """

    files: int = 0
    files_read: int = 0
    lines: int = 0
    bad_lines: int = 0
    new_facts: int = 0
    changed_facts: int = 0
    problems: list[str] = field(default_factory=list)
