"""What every collector asks of its neighbours, and what one scan tells."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from telemhq_agents.ledger.packing import Packed
from telemhq_agents.ledger.records import Batch, Booked, Cursor
from telemhq_agents.reading import Job, Reading, read_all
from telemhq_agents.usage import Place, SessionTotal, Source, Turn, UsageFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from telemhq_agents.pricing import Prices

Told = Callable[[str, int, int], None]
"""Is told of what, how many are done, and how many there are."""

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


class Nowhere:
    """Names no project: an explanation is about figures."""

    def place(self, cwd: str, repository: str = "") -> Place:
        """Return a place named after its remote, if anything."""
        return Place(cwd, repository, repository)


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


FIGURES = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
"""What an explanation tells of a line's tokens."""

MOST_FACTS = 10_000
MOST_FILES = 2_000
"""So much is gathered before it is booked: fewer would be dearer, more would wait for the readers."""

MOST_FACTS_OF_A_PART = 4_000
"""The same for batches that are no steps of their own, which makes them cheaper."""


@dataclass(slots=True)
class Booking:
    """Gathers what was read of several files, so that they are booked in one transaction."""

    ledger: LedgerPort
    most_facts: int
    most_files: int
    in_parts: Callable[[], bool] = bool
    new_facts: int = 0
    changed_facts: int = 0
    facts: list[UsageFact] = field(default_factory=list)
    packed: list[Packed] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    totals: list[SessionTotal] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    _gathered: int = 0

    def take(self, reading: Reading) -> None:
        """Take over one part of a log, up to its cursor."""
        if reading.cursor is None:
            return
        self.facts += reading.facts
        if reading.packed.rows:
            self.packed.append(reading.packed)
        self.turns += reading.turns
        self.totals += reading.totals
        self.cursors[reading.cursor.file_key] = reading.cursor
        self._gathered += len(reading.facts) + len(reading.packed.rows)
        if self._gathered >= self._enough() or len(self.cursors) >= self.most_files:
            self.flush()

    def flush(self) -> None:
        """Book what was gathered."""
        if self.cursors:
            batch = Batch(
                facts=self.facts,
                packed=self.packed,
                turns=self.turns,
                totals=self.totals,
                cursors=[*self.cursors.values()],
            )
            booked = self.ledger.book(batch)
            self.new_facts += booked.new_facts
            self.changed_facts += booked.changed_facts
        self.facts, self.packed, self.turns, self.totals = [], [], [], []
        self.cursors, self._gathered = {}, 0

    def _enough(self) -> int:
        return min(MOST_FACTS_OF_A_PART, self.most_facts) if self.in_parts() else self.most_facts


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source's logs ask to be read: one job for each that changed, in the order of booking.

    `files` were looked at; `problems` kept some from being looked at; `forgotten` are cursors to be
    replaced, of logs that are gone.
    """

    source: Source
    files: int
    jobs: list[Job]
    problems: list[str] = field(default_factory=list)
    forgotten: list[Cursor] = field(default_factory=list)


def collect(
    ledger: LedgerPort,
    plans: Sequence[Plan],
    prices: Callable[[], Prices] | None = None,
    workers: int | None = None,
    in_parts: Callable[[], bool] = bool,
    *,
    told: Told | None = None,
) -> dict[Source, ScanReport]:
    """Read all that was planned, of every source at once, and book it.

    `prices` (the ledger's own) and `workers` as in `read_all`; `in_parts` tells whether what is
    booked now is only a part of a larger step; `told` hears how many logs are read. Where an error
    ends the reading, what was booked before stays booked.
    """
    shelves = [_Shelf(plan, Booking(ledger, MOST_FACTS, MOST_FILES, in_parts)) for plan in plans]
    owners = [shelf for shelf in shelves for _ in shelf.plan.jobs]
    jobs = [job for plan in plans for job in plan.jobs]
    with _no_search_for_cycles(), closing(read_all(jobs, prices, workers)) as found:
        before = None
        for number, reading in found:
            shelf = owners[number]
            if before is not None and before is not shelf:
                before.booking.flush()  # while the readers are busy with the next source
            shelf.take(number, reading)
            before = shelf
            if told is not None:
                told("logs", number, len(jobs))
    return {shelf.plan.source: shelf.report() for shelf in shelves}


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Keep the interpreter from looking for cycles, of which records have none: a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class _Shelf:
    """Books what is read of one source, and keeps its report's sums."""

    plan: Plan
    booking: Booking
    files_read: int = 0
    lines: int = 0
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)
    _latest: int = -1

    def take(self, number: int, reading: Reading) -> None:
        """Add one part of the log that a job reads."""
        self.lines += reading.lines
        self.bad_lines += reading.bad_lines
        self.problems += reading.problems
        if reading.cursor is not None:
            self.files_read += number != self._latest
            self._latest = number
        self.booking.take(reading)

    def report(self) -> ScanReport:
        """Book the rest and tell what was found."""
        for cursor in self.plan.forgotten:
            self.booking.take(Reading(cursor=cursor))
        self.booking.flush()
        return ScanReport(
            files=self.plan.files,
            files_read=self.files_read,
            lines=self.lines,
            bad_lines=self.bad_lines,
            new_facts=self.booking.new_facts,
            changed_facts=self.booking.changed_facts,
            problems=[*self.plan.problems, *self.problems],
        )
