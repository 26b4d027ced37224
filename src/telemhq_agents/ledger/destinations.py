"""Where each source's pings go, from when on, and in which windows they are gathered."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.clock import quarter
from telemhq_agents.ledger.buckets import recompute, touch_source
from telemhq_agents.ledger.due import Destined
from telemhq_agents.ledger.slots import Slots, checked, window_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from telemhq_agents.ledger.slots import History


def histories(connection: sqlite3.Connection) -> dict[str, list[Destined]]:
    """Return the destinations of every source, in the order in which they were set."""
    found: dict[str, list[Destined]] = {}
    rows = connection.execute("SELECT source, destination, since_ms FROM destinations ORDER BY id")
    for source, destination, since_ms in rows:
        found.setdefault(source, []).append(Destined(destination, since_ms))
    return found


def set_destination(
    connection: sqlite3.Connection, source: str, destination: str, since_ms: int
) -> None:
    """Send what `source` adds from `since_ms` on to `destination`; "" sends it nowhere.

    Setting the one that is set already only ever moves its beginning back.
    """
    last = connection.execute(
        "SELECT id, destination, since_ms FROM destinations WHERE source = ? ORDER BY id DESC",
        (source,),
    ).fetchone()
    if last is None or last[1] != destination:
        connection.execute(
            "INSERT INTO destinations (source, destination, since_ms) VALUES (?, ?, ?)",
            (source, destination, since_ms),
        )
    elif since_ms < last[2]:
        connection.execute("UPDATE destinations SET since_ms = ? WHERE id = ?", (since_ms, last[0]))
    else:
        return
    _reopen(connection, source, since_ms)


def backfill(connection: sqlite3.Connection, destination: str, since_ms: int) -> None:
    """Move the beginning of a destination back to `since_ms`, for each source it has."""
    sources = connection.execute(
        "SELECT DISTINCT source FROM destinations WHERE destination = ?", (destination,)
    ).fetchall()
    connection.execute(
        "UPDATE destinations SET since_ms = min(since_ms, ?) WHERE destination = ?",
        (since_ms, destination),
    )
    for (source,) in sources:
        _reopen(connection, source, since_ms)


def _reopen(connection: sqlite3.Connection, source: str, since_ms: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO open_spans (source, session_id, thread_id, span, touched_ms) "
        "SELECT DISTINCT source, session_id, thread_id, span, 0 FROM buckets "
        "WHERE source = ? AND quarter_ms >= ?",
        (source, quarter(since_ms)),
    )


def slots(connection: sqlite3.Connection) -> Slots:
    """Return the coalescing windows of every source."""
    found: dict[str, History] = {}
    rows = connection.execute("SELECT source, from_ms, window_ms FROM coalescing ORDER BY from_ms")
    for source, from_ms, window_ms in rows:
        found[source] = (*found.get(source, ()), (from_ms, window_ms))
    return Slots(found)


def set_coalescing(
    connection: sqlite3.Connection, source: str, history: Sequence[tuple[int, int]], now_ms: int
) -> None:
    """Gather what `source` tells in windows, and what is in the ledger with it.

    `history` holds (from when, window in milliseconds or 0), each from the start of a
    quarter-hour. Only what was never told may change its window without sums moving twice, so
    callers add to a history and never rewrite it. Raises SettingsError for a wrong window.
    """
    new = checked(history)
    old = slots(connection).histories.get(source, ())
    if new == old:
        return
    connection.execute("DELETE FROM coalescing WHERE source = ?", (source,))
    connection.executemany(
        "INSERT INTO coalescing (source, from_ms, window_ms) VALUES (?, ?, ?)",
        [(source, from_ms, window_ms) for from_ms, window_ms in new],
    )
    changes = sorted({from_ms for from_ms, _ in (*new, *old)})
    affected = [at for at in changes if window_at(new, at) != window_at(old, at)]
    if affected:
        _slot_again(connection, source, new, affected[0])
        touch_source(connection, source, affected[0])
        recompute(connection, now_ms)


def _slot_again(
    connection: sqlite3.Connection, source: str, history: History, from_ms: int
) -> None:
    bounds = [since for since, _ in history] or [from_ms]
    spans = zip([min(from_ms, bounds[0]), *bounds], [*bounds, None], strict=True)
    for since, until in spans:
        window = window_at(history, since)
        for table, at in (("facts", "at_ms"), ("turns", "coalesce(ended_ms, started_ms)")):
            slot = f"{at} - {at} % {window}" if window else "-1"
            connection.execute(
                f"UPDATE {table} SET slot_ms = {slot} "
                "WHERE source = ? AND quarter_ms >= ? AND quarter_ms < coalesce(?, quarter_ms + 1)",
                (source, since, until),
            )
