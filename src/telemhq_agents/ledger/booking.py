"""Facts and turns into the ledger, and buckets out of them."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.clock import quarter
from telemhq_agents.ledger.buckets import recompute, touch
from telemhq_agents.ledger.merging import (
    PRICED_BY,
    TOKENS,
    FactRow,
    TurnRow,
    merge_facts,
    merge_turns,
)
from telemhq_agents.ledger.records import Batch, Booked
from telemhq_agents.usage import RULE_VERSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from telemhq_agents.ledger.records import Cursor
    from telemhq_agents.ledger.slots import Slots
    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import Place, Turn, UsageFact

_FACT = ", ".join("place_id" if name == "place" else name for name in FactRow._fields)
_TURN = ", ".join("place_id" if name == "place" else name for name in TurnRow._fields)
_KEYS_AT_ONCE = 500


def book(
    connection: sqlite3.Connection, batch: Batch, *, prices: Prices, slots: Slots, now_ms: int
) -> Booked:
    """Book a batch and recompute the buckets it touched; the caller holds the transaction."""
    places = _places(connection, batch)
    new, changed, touched = _book_facts(connection, batch.facts, places, prices, slots)
    touched |= _book_turns(connection, batch.turns, places, slots)
    _move_cursors(connection, batch.cursors)
    if touched:
        touch(connection, touched)
        recompute(connection, now_ms)
    return Booked(new_facts=new, changed_facts=changed)


def _places(connection: sqlite3.Connection, batch: Batch) -> dict[Place, int]:
    wanted = {fact.place for fact in batch.facts} | {turn.place for turn in batch.turns}
    found = {}
    for place in wanted:
        names = (place.cwd, place.project, place.log_project)
        connection.execute(
            "INSERT OR IGNORE INTO places (cwd, project, log_project) VALUES (?, ?, ?)", names
        )
        row = connection.execute(
            "SELECT id FROM places WHERE cwd = ? AND project = ? AND log_project = ?", names
        )
        found[place] = row.fetchone()[0]
    return found


def _book_facts(
    connection: sqlite3.Connection,
    facts: list[UsageFact],
    places: dict[Place, int],
    prices: Prices,
    slots: Slots,
) -> tuple[int, int, set[str]]:
    """Return how many facts were new, how many changed, and the turns to recompute."""
    known = _stored_facts(connection, {fact.key for fact in facts})
    current = {key: stored.row for key, stored in known.items()}
    for fact in facts:
        seen = _fact_row(fact, places[fact.place])
        stored = current.get(fact.key)
        current[fact.key] = seen if stored is None else merge_facts(stored, seen)
    new = [row for key, row in current.items() if key not in known]
    changed = [row for key, row in current.items() if key in known and row != known[key].row]
    before = [known[row.key] for row in changed]
    pricing = _Pricing(prices, slots)
    connection.executemany(_PUT_FACT, (pricing.booked(row) for row in new))
    connection.executemany(_PUT_FACT, map(pricing.booked, changed, before))
    touched = {row.turn_key for row in new} | {row.turn_key for row in changed}
    return len(new), len(changed), touched | {stored.row.turn_key for stored in before}


def _fact_row(fact: UsageFact, place: int) -> FactRow:
    return FactRow(
        fact.key,
        fact.source.value,
        fact.session_id,
        fact.thread_id,
        fact.turn_key,
        place,
        fact.provider,
        fact.model,
        fact.at_ms,
        fact.input_tokens,
        fact.cached_input_tokens,
        fact.cache_write_tokens,
        fact.cache_write_1h_tokens,
        fact.output_tokens,
        fact.reasoning_tokens,
        fact.estimate,
        fact.precedence,
        fact.at_ms,
    )


_PUT_FACT = (
    f"INSERT OR REPLACE INTO facts ({_FACT}, cost_nano, unpriced_tokens, price_date, quarter_ms, "
    f"slot_ms, rule_version) VALUES ({', '.join('?' * (len(FactRow._fields) + 6))})"
)


class _Stored(NamedTuple):
    """A fact that is in the ledger, with its frozen price and where it counts."""

    row: FactRow
    price: tuple[int, int, str]
    slot_ms: int


class _StoredTurn(NamedTuple):
    """A turn that is in the ledger, and where it counts if it has no usage."""

    row: TurnRow
    slot_ms: int


class _Pricing:
    """Writes what a fact costs, frozen at booking, and where it counts."""

    def __init__(self, prices: Prices, slots: Slots) -> None:
        self._prices = prices
        self._slots = slots

    def booked(self, row: FactRow, before: _Stored | None = None) -> tuple[object, ...]:
        """Price a fact at its own date, and place it.

        One that only moved keeps its price, and one whose time stays keeps its slot: it may have
        been told there.
        """
        if before is not None and _costs_the_same(row, before.row):
            price = before.price
        else:
            price = self._price(row)
        if before is not None and row.at_ms == before.row.at_ms:
            slot_ms = before.slot_ms
        else:
            slot_ms = self._slots.slot(row.source, row.at_ms)
        return *row, *price, quarter(row.at_ms), slot_ms, RULE_VERSION

    def _price(self, row: FactRow) -> tuple[int, int, str]:
        cost = self._prices.cost(
            row.provider,
            row.model,
            row.at_ms,
            row.input_tokens,
            row.cached_input_tokens,
            row.cache_write_tokens,
            row.cache_write_1h_tokens,
            row.output_tokens,
        )
        if cost is None:
            return 0, row.input_tokens + row.output_tokens, ""
        return cost[0], 0, cost[1]


def _costs_the_same(row: FactRow, before: FactRow) -> bool:
    return row[PRICED_BY] == before[PRICED_BY] and row[TOKENS] == before[TOKENS]


def _book_turns(
    connection: sqlite3.Connection, turns: list[Turn], places: dict[Place, int], slots: Slots
) -> set[str]:
    """Return the turns to recompute."""
    known = _stored_turns(connection, {turn.key for turn in turns})
    current = {key: stored.row for key, stored in known.items()}
    for turn in turns:
        seen = _turn_row(turn, places[turn.place])
        stored = current.get(turn.key)
        current[turn.key] = seen if stored is None else merge_turns(stored, seen)
    new = [row for key, row in current.items() if key not in known]
    changed = [row for key, row in current.items() if key in known and row != known[key].row]
    connection.executemany(_PUT_TURN, (_placed(row, slots, None) for row in new))
    connection.executemany(_PUT_TURN, (_placed(row, slots, known[row.key]) for row in changed))
    return {row.key for row in (*new, *changed)}


def _turn_row(turn: Turn, place: int) -> TurnRow:
    return TurnRow(
        turn.key,
        turn.source.value,
        turn.session_id,
        turn.thread_id,
        place,
        turn.started_ms,
        turn.ended_ms,
        turn.duration_ms,
        turn.status.value,
        turn.agent_version,
        turn.precedence,
        turn.started_ms,
    )


_PUT_TURN = (
    f"INSERT OR REPLACE INTO turns ({_TURN}, quarter_ms, slot_ms) "
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


def _stored_facts(connection: sqlite3.Connection, keys: set[str]) -> dict[str, _Stored]:
    found: dict[str, _Stored] = {}
    width = len(FactRow._fields)
    for some in _chunks(keys):
        rows = connection.execute(
            f"SELECT {_FACT}, slot_ms, cost_nano, unpriced_tokens, price_date FROM facts "
            f"WHERE key IN ({', '.join('?' * len(some))})",
            some,
        )
        for row in rows:
            fact, slot_ms, price = FactRow._make(row[:width]), row[width], row[width + 1 :]
            found[fact.key] = _Stored(fact, price, slot_ms)
    return found


def _stored_turns(connection: sqlite3.Connection, keys: set[str]) -> dict[str, _StoredTurn]:
    found: dict[str, _StoredTurn] = {}
    for some in _chunks(keys):
        marks = ", ".join("?" * len(some))
        rows = connection.execute(
            f"SELECT {_TURN}, slot_ms FROM turns WHERE key IN ({marks})", some
        )
        found.update((row[0], _StoredTurn(TurnRow._make(row[:-1]), row[-1])) for row in rows)
    return found


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, _KEYS_AT_ONCE)):
        yield some


def _move_cursors(connection: sqlite3.Connection, cursors: list[Cursor]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO cursors "
        '(source, file_key, path, inode, size, mtime_ns, fingerprint, "offset", state) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                cursor.source.value,
                cursor.file_key,
                cursor.path,
                cursor.inode,
                cursor.size,
                cursor.mtime_ns,
                cursor.fingerprint,
                cursor.offset,
                json.dumps(cursor.state, separators=(",", ":")),
            )
            for cursor in cursors
        ],
    )
