"""Origins as the ledger stores them: what the facts of a turn share, once."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.ledger.chunks import chunks, marks
from telemhq_agents.ledger.seen import perhaps_known
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from telemhq_agents.ledger.packing import Origin
    from telemhq_agents.ledger.places import Places
    from telemhq_agents.ledger.seen import Seen


class OriginRow(NamedTuple):
    """An origin as it is stored; `place_id` is a row of places."""

    source: str
    session_id: str
    thread_id: str
    turn_key: str
    provider: str
    model: str
    place_id: int


# An enumeration's own `value` takes six times as long.
_SOURCES = {source: source.value for source in Source}
_COLUMNS = ", ".join(OriginRow._fields)


class Origins:
    """Finds the rows of origins, and adds those that are new.

    `turns_known` are the turns, of those asked for, that had an origin before.
    """

    def __init__(
        self, connection: sqlite3.Connection, places: Places, seen: Seen | None = None
    ) -> None:
        self._connection = connection
        self._seen = None if seen is None else seen.turns_of_origins
        self._places = places
        self._named: dict[int, OriginRow] = {}
        self.turns_known: set[str] = set()
        self._next = int(
            connection.execute("SELECT coalesce(max(id), 0) + 1 FROM origins").fetchone()[0]
        )

    def rows(self, origins: Sequence[Origin]) -> list[int]:
        """Return the row of each origin, in their order."""
        wanted = [self._stored(origin) for origin in origins]
        turn_keys = {row.turn_key for row in wanted}
        known = self._known(perhaps_known(turn_keys, self._seen))
        if self._seen is not None:
            self._seen |= turn_keys
        self.turns_known.update(row.turn_key for row in known)
        new = []
        for row in wanted:
            if row not in known:
                known[row] = self._next
                new.append((self._next, *row))
                self._next += 1
        self._connection.executemany(
            f"INSERT INTO origins (id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new
        )
        self._named.update((known[row], row) for row in wanted)
        return [known[row] for row in wanted]

    def named(self, ids: Iterable[int]) -> dict[int, OriginRow]:
        """Return the origins in these rows."""
        for some in chunks({row for row in ids if row not in self._named}):
            found = self._connection.execute(
                f"SELECT id, {_COLUMNS} FROM origins WHERE id IN ({marks(some)})", some
            )
            self._named.update((row[0], OriginRow._make(row[1:])) for row in found)
        return self._named

    def _stored(self, origin: Origin) -> OriginRow:
        return OriginRow(
            _SOURCES[origin.source],
            origin.session_id,
            origin.thread_id,
            origin.turn_key,
            origin.provider,
            origin.model,
            self._places.row(origin.place),
        )

    def _known(self, turn_keys: AbstractSet[str]) -> dict[OriginRow, int]:
        known: dict[OriginRow, int] = {}
        for some in chunks(turn_keys):
            found = self._connection.execute(
                f"SELECT id, {_COLUMNS} FROM origins WHERE turn_key IN ({marks(some)})", some
            )
            known.update((OriginRow._make(row[1:]), row[0]) for row in found)
        return known
