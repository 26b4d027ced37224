"""What hooks told of turns besides their ends, summed; each telling is heard once."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from telemhq_agents.ledger.chunks import chunks, marks
from telemhq_agents.ledger.telling import PARCEL_COLUMNS
from telemhq_agents.usage import Activity, ActivityKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from telemhq_agents.ledger.records import Parcel
    from telemhq_agents.usage import Source

HEARD_KEPT_MS = 90 * 24 * 3600 * 1000
"""How long a telling is remembered, so that it is not heard twice."""

_ADD = """
    INSERT INTO activities (turn_key, kind, name, count, duration_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count,
        duration_ms = duration_ms + excluded.duration_ms"""


_OF_PARCEL = f"""
    SELECT kind, name, sum(count), sum(duration_ms) FROM activities WHERE turn_key IN (
        SELECT turn_key FROM buckets INDEXED BY buckets_span
        WHERE {" AND ".join(f"{name} = ?" for name in PARCEL_COLUMNS)} AND runs > 0)
    GROUP BY kind, name ORDER BY sum(count) DESC, kind, name"""


def book(
    connection: sqlite3.Connection, told: Mapping[str, Sequence[Activity]], now_ms: int
) -> None:
    """Add what was not heard before, by the key that names each telling."""
    if not told:
        return
    new = told.keys() - _heard(connection, list(told))
    connection.executemany(
        "INSERT INTO heard (key, at_ms) VALUES (?, ?)", [(k, now_ms) for k in new]
    )
    connection.execute("DELETE FROM heard WHERE at_ms < ?", (now_ms - HEARD_KEPT_MS,))
    connection.executemany(
        _ADD,
        [
            (one.turn_key, one.kind.value, one.name, one.count, one.duration_ms)
            for key in new
            for one in told[key]
        ],
    )


def of_turns(connection: sqlite3.Connection, turn_keys: Sequence[str]) -> list[Activity]:
    """Return what is known of these turns, summed over them."""
    found: list[Activity] = []
    for some in chunks(turn_keys):
        rows = connection.execute(
            "SELECT turn_key, kind, name, count, duration_ms FROM activities "
            f"WHERE turn_key IN ({marks(some)}) ORDER BY turn_key, kind, name",
            some,
        )
        found += [Activity(row[0], ActivityKind(row[1]), *row[2:]) for row in rows]
    return found


def of_parcel(connection: sqlite3.Connection, parcel: Parcel) -> tuple[Activity, ...]:
    """Return what was told of the turns that count as runs in a parcel, summed over them."""
    rows = connection.execute(_OF_PARCEL, astuple(parcel))
    return tuple(Activity(parcel.span, ActivityKind(row[0]), *row[1:]) for row in rows)


def announced(connection: sqlite3.Connection, source: Source, since_ms: int) -> tuple[int, int]:
    """Return how many turns ended since then, and of how many of them a hook told anything."""
    found = connection.execute(
        "SELECT count(*), coalesce(sum(EXISTS "
        "(SELECT 1 FROM activities a WHERE a.turn_key = turns.key)), 0) FROM turns "
        "WHERE source = ? AND ended_ms >= ?",
        (source.value, since_ms),
    ).fetchone()
    return int(found[0]), int(found[1])


def _heard(connection: sqlite3.Connection, keys: list[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(keys):
        rows = connection.execute(f"SELECT key FROM heard WHERE key IN ({marks(some)})", some)
        found.update(key for (key,) in rows)
    return found
