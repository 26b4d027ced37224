"""A ledger and a namer in memory: they keep what telemhq_agents.usage promises, and nothing else."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from telemhq_agents.ledger.records import Batch, Booked, Cursor
from telemhq_agents.usage import Place, Source, Turn, TurnStatus, UsageFact

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)


class InMemoryLedger:
    def __init__(self) -> None:
        self.facts: dict[str, UsageFact] = {}
        self.turns: dict[str, Turn] = {}
        self.cursors_by_key: dict[str, Cursor] = {}
        self.batches: list[Batch] = []

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        return {
            key: replace(cursor, state=json.loads(json.dumps(cursor.state)))
            for key, cursor in self.cursors_by_key.items()
            if cursor.source is source
        }

    def book(self, batch: Batch) -> Booked:
        self.batches.append(batch)
        new = changed = 0
        for fact in batch.facts:
            before = self.facts.get(fact.key)
            self.facts[fact.key] = _merged_fact(before, fact) if before else fact
            new += before is None
            changed += before is not None and self.facts[fact.key] != before
        for turn in batch.turns:
            known = self.turns.get(turn.key)
            self.turns[turn.key] = _merged_turn(known, turn) if known else turn
        self.cursors_by_key.update({cursor.file_key: cursor for cursor in batch.cursors})
        return Booked(new, changed)


class FolderNamer:
    """Names a project after the last part of its directory."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def place(self, cwd: str, repository: str = "") -> Place:
        self.asked.append((cwd, repository))
        name = PurePath(cwd).name
        return Place(cwd, repository or name, name)


def _merged_fact(before: UsageFact, seen: UsageFact) -> UsageFact:
    first = min(before, seen, key=lambda fact: (fact.precedence, fact.at_ms))
    old, new = asdict(before), asdict(seen)
    larger = {name: max(old[name], new[name]) for name in COUNTERS}
    return replace(first, **larger, at_ms=min(before.at_ms, seen.at_ms))


def _merged_turn(before: Turn, seen: Turn) -> Turn:
    first = min(before, seen, key=lambda turn: (turn.precedence, turn.started_ms))
    ends = [turn for turn in (before, seen) if turn.status is not TurnStatus.RUNNING]
    end = max(ends, key=lambda turn: turn.ended_ms or 0, default=before)
    return replace(
        first,
        started_ms=min(before.started_ms, seen.started_ms),
        ended_ms=end.ended_ms,
        duration_ms=end.duration_ms,
        status=end.status,
        failure=end.failure,
    )
