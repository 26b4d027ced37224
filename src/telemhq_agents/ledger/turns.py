"""Turns into the ledger: new ones as they are, known ones merged with what was seen again."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.clock import quarter
from telemhq_agents.ledger.chunks import chunks, marks
from telemhq_agents.ledger.merging import TurnRow, merge_turns
from telemhq_agents.ledger.seen import perhaps_known
from telemhq_agents.usage import Source, TurnStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from telemhq_agents.ledger.places import Places
    from telemhq_agents.ledger.seen import Seen
    from telemhq_agents.ledger.slots import Slots
    from telemhq_agents.usage import Turn

# An enumeration's own `value` takes six times as long.
_SOURCES = {source: source.value for source in Source}
_STATES = {status: status.value for status in TurnStatus}
_COLUMNS = ", ".join("place_id" if name == "place" else name for name in TurnRow._fields)


class Entered(NamedTuple):
    """Which turns to recompute, and those of them, by key, that nobody knew before."""

    touched: set[str]
    new: dict[str, TurnRow]


class _StoredTurn(NamedTuple):
    """A turn that is in the ledger, and where it counts if it has no usage."""

    row: TurnRow
    slot_ms: int


def book(
    connection: sqlite3.Connection,
    turns: Sequence[Turn],
    places: Places,
    slots: Slots,
    seen: Seen | None = None,
) -> Entered:
    """Book turns and return what became of them; `seen` as in `booking.book`."""
    keys = {turn.key for turn in turns}
    known = _stored(connection, perhaps_known(keys, None if seen is None else seen.turns))
    if seen is not None:
        seen.turns.update(keys)
    current = {key: stored.row for key, stored in known.items()}
    for turn in turns:
        told = _row(turn, places.row(turn.place))
        stored = current.get(turn.key)
        current[turn.key] = told if stored is None else merge_turns(stored, told)
    new = {key: row for key, row in current.items() if key not in known}
    changed = [row for key, row in current.items() if key in known and row != known[key].row]
    connection.executemany(_PUT, (_placed(row, slots, None) for row in new.values()))
    connection.executemany(_PUT, (_placed(row, slots, known[row.key]) for row in changed))
    return Entered(new.keys() | {row.key for row in changed}, new)


def _row(turn: Turn, place: int) -> TurnRow:
    return TurnRow(
        turn.key,
        _SOURCES[turn.source],
        turn.session_id,
        turn.thread_id,
        place,
        turn.started_ms,
        turn.ended_ms,
        turn.duration_ms,
        _STATES[turn.status],
        turn.agent_version,
        turn.precedence,
        turn.started_ms,
        turn.failure,
    )


_PUT = (
    f"INSERT OR REPLACE INTO turns ({_COLUMNS}, quarter_ms, slot_ms) "
    f"VALUES ({', '.join('?' * (len(TurnRow._fields) + 2))})"
)


def _placed(row: TurnRow, slots: Slots, before: _StoredTurn | None) -> tuple[object, ...]:
    """Add where a turn without any usage counts: when it ended, else when it started."""
    at_ms = _counts_at(row)
    if before is not None and at_ms == _counts_at(before.row):
        return *row, quarter(at_ms), before.slot_ms
    return *row, quarter(at_ms), slots.slot(row.source, at_ms)


def _counts_at(row: TurnRow) -> int:
    return row.started_ms if row.ended_ms is None else row.ended_ms


def _stored(connection: sqlite3.Connection, keys: AbstractSet[str]) -> dict[str, _StoredTurn]:
    found: dict[str, _StoredTurn] = {}
    for some in chunks(keys):
        rows = connection.execute(
            f"SELECT {_COLUMNS}, slot_ms FROM turns WHERE key IN ({marks(some)})", some
        )
        found.update((row[0], _StoredTurn(TurnRow._make(row[:-1]), row[-1])) for row in rows)
    return found
