"""What every collector asks of its neighbours, and what one scan tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from telemhq_agents.ledger.records import Batch, Booked, Cursor
from telemhq_agents.usage import Turn, UsageFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.usage import Place, Source

SILENCE_MS = 60 * 60 * 1000
"""After this long the last turn of a log counts as ended, though nothing says so."""


class LedgerPort(Protocol):
    """The part of the ledger that a collector uses."""

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        """Return how far each log of `source` has been read, by file key."""

    def book(self, batch: Batch) -> Booked:
        """Book facts, turns and cursors in one transaction; what is known already adds nothing."""


class Namer(Protocol):
    """Names the project that a working directory belongs to."""

    def place(self, cwd: str, repository: str = "") -> Place:
        """Return the place of `cwd`; `repository` is what the log calls its remote, if anything."""


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


class Verdict(StrEnum):
    """What became of a line that speaks of usage."""

    COUNTED = "counted"
    GREW = "grew"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Explained:
    """One line of a log that speaks of usage, and why it was counted or not.

    `line` counts from 1. `rule` is a sentence that docs/explanation/counting.md has too; `fact_key`
    names the fact that it was counted in ("" for none). Tokens as in `UsageFact`; for a line that
    grew a fact, what the fact holds now.
    """

    path: Path
    line: int
    at_ms: int
    verdict: Verdict
    rule: str
    fact_key: str = ""
    session_id: str = ""
    model: str = ""
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimate: str = ""


@dataclass(slots=True)
class Booking:
    """Gathers what was read of a few files, so that they are booked in one transaction."""

    ledger: LedgerPort
    most_facts: int
    most_files: int
    new_facts: int = 0
    changed_facts: int = 0
    facts: list[UsageFact] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)

    def add(self, found: tuple[list[UsageFact], list[Turn]], cursor: Cursor) -> None:
        """Take over what was found up to `cursor`."""
        self.facts += found[0]
        self.turns += found[1]
        self.cursors[cursor.file_key] = cursor
        if len(self.facts) >= self.most_facts or len(self.cursors) >= self.most_files:
            self.flush()

    def flush(self) -> None:
        """Book what was gathered."""
        if self.cursors:
            booked = self.ledger.book(Batch(self.facts, self.turns, [*self.cursors.values()]))
            self.new_facts += booked.new_facts
            self.changed_facts += booked.changed_facts
        self.facts, self.turns, self.cursors = [], [], {}
