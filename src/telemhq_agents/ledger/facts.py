"""Facts into the ledger: new ones as they are, known ones merged with what was seen again."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents.ledger.chunks import chunks, marks
from telemhq_agents.ledger.merging import TOKENS, merge_facts
from telemhq_agents.ledger.origins import Origins
from telemhq_agents.ledger.packing import FactRow, priced
from telemhq_agents.ledger.seen import perhaps_known
from telemhq_agents.ledger.slots import NO_SLOT
from telemhq_agents.usage import RULE_VERSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from telemhq_agents.ledger.origins import OriginRow
    from telemhq_agents.ledger.packing import Packed
    from telemhq_agents.ledger.places import Places
    from telemhq_agents.ledger.seen import Seen
    from telemhq_agents.ledger.slots import Slots
    from telemhq_agents.pricing import Prices

_COLUMNS = (
    "key, origin_id, at_ms, input_tokens, cached_input_tokens, cache_write_tokens, "
    "cache_write_1h_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_tokens, "
    "price_date, estimate, precedence, sighted_ms"
)
_FIGURES = ", ".join("?" * len(FactRow._fields))
_INTO = f"INTO facts ({_COLUMNS}, slot_ms, rule_version) VALUES ({_FIGURES}"
_ADD = f"INSERT {_INTO}, {NO_SLOT}, {RULE_VERSION})"
_ADD_PLACED = f"INSERT {_INTO}, ?, {RULE_VERSION})"
_REPLACE = f"INSERT OR REPLACE {_INTO}, ?, {RULE_VERSION})"


class Entered(NamedTuple):
    """What became of the facts of a batch.

    `new` are rows in the order of `FactRow`'s fields; `origins` names theirs by their numbers.
    `touched` are the turns to recompute, `grown` those of which facts may have been known before.
    """

    new: list[FactRow | list[Any]]
    changed: int
    touched: set[str]
    grown: set[str]
    origins: Mapping[int, OriginRow]


def book(  # noqa: PLR0917 - what a booking has at hand, in one place
    connection: sqlite3.Connection,
    sheets: Sequence[Packed],
    places: Places,
    prices: Prices,
    slots: Slots,
    seen: Seen | None = None,
) -> Entered:
    """Write the facts and return what became of them; `seen` as in `booking.book`."""
    desk = _Desk(connection, places, prices, slots, seen)
    desk.take(sheets)
    return desk.put()


class _Desk:
    """Holds what is known of the facts of one batch, and what becomes of each."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        places: Places,
        prices: Prices,
        slots: Slots,
        seen: Seen | None,
    ) -> None:
        self._connection = connection
        self._seen = None if seen is None else seen.facts
        self._origins = Origins(connection, places, seen)
        self._prices = prices
        self._slots = slots
        self._stored: dict[str, tuple[FactRow, int]] = {}
        # Most facts are new: they stay the lists that they came as.
        self._current: dict[str, FactRow | list[Any]] = {}

    def take(self, sheets: Sequence[Packed]) -> None:
        """Merge facts with what is stored, or was taken before."""
        rows = self._origins.rows([origin for sheet in sheets for origin in sheet.origins])
        keys = {row[0] for sheet in sheets for row in sheet.rows}
        self._look_up(perhaps_known(keys, self._seen))
        if self._seen is not None:
            self._seen |= keys
        first = 0
        for sheet in sheets:
            self._take(sheet, rows[first : first + len(sheet.origins)])
            first += len(sheet.origins)

    def _take(self, sheet: Packed, origins: Sequence[int]) -> None:
        current = self._current
        for row in sheet.rows:
            row[1] = origins[row[1]]
            known = current.get(row[0])
            if known is None:
                current[row[0]] = row
            else:
                current[row[0]] = self._merged(FactRow._make(known), FactRow._make(row))

    def put(self) -> Entered:
        """Write what is new or changed."""
        stored, current = self._stored, self._current
        new = [row for key, row in current.items() if key not in stored]
        seen = [FactRow._make(current[key]) for key in stored]
        changed = [row for row in seen if row != stored[row.key][0]]
        self._add(new)
        self._connection.executemany(_REPLACE, self._moved(changed))
        moved = {row.origin for row in changed}
        moved |= {stored[row.key][0].origin for row in changed}
        touched = moved.union(row[1] for row in new)
        named = self._origins.named(touched)
        return Entered(
            new,
            len(changed),
            {named[origin].turn_key for origin in touched},
            self._origins.turns_known.union(named[origin].turn_key for origin in moved),
            named,
        )

    def _look_up(self, keys: Iterable[object]) -> None:
        for some in chunks(keys):
            found = self._connection.execute(
                f"SELECT {_COLUMNS}, slot_ms FROM facts WHERE key IN ({marks(some)})", some
            )
            for row in found:
                fact = FactRow._make(row[:-1])
                self._stored[fact.key] = fact, row[-1]
                self._current[fact.key] = fact

    def _merged(self, known: FactRow, seen: FactRow) -> FactRow:
        """Merge two sightings; one that only moved keeps its price."""
        merged = merge_facts(known, seen)
        if merged is known:
            return known
        now, before = self._origin(merged.origin), self._origin(known.origin)
        is_same_model = (now.provider, now.model) == (before.provider, before.model)
        is_same_use = merged.at_ms == known.at_ms and merged[TOKENS] == known[TOKENS]
        return merged if is_same_model and is_same_use else self._repriced(merged, now)

    def _origin(self, row: int) -> OriginRow:
        return self._origins.named([row])[row]

    def _repriced(self, row: FactRow, origin: OriginRow) -> FactRow:
        cost, unpriced, date = priced(
            self._prices,
            origin.provider,
            origin.model,
            row.at_ms,
            row.input_tokens,
            row.cached_input_tokens,
            row.cache_write_tokens,
            row.cache_write_1h_tokens,
            row.output_tokens,
        )
        return row._replace(cost_nano=cost, unpriced_tokens=unpriced, price_date=date)

    def _add(self, rows: list[FactRow | list[Any]]) -> None:
        if not self._slots.histories:
            self._connection.executemany(_ADD, rows)
            return
        placed = ((*row, self._slot(FactRow._make(row))) for row in rows)
        self._connection.executemany(_ADD_PLACED, placed)

    def _moved(self, rows: Iterable[FactRow]) -> Iterator[tuple[object, ...]]:
        """Place known facts: one whose time stays keeps its slot, it may have been told there."""
        for row in rows:
            before, slot_ms = self._stored[row.key]
            is_still = row.at_ms == before.at_ms
            yield *row, slot_ms if is_still else self._slot(row)

    def _slot(self, row: FactRow) -> int:
        return self._slots.slot(self._origin(row.origin).source, row.at_ms)
