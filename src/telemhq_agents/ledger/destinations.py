"""Where each source's pings go, from when on, and in which windows they are gathered."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.clock import QUARTER_MS, quarter
from telemhq_agents.destined import Destined, first_difference
from telemhq_agents.ledger.buckets import recompute, touch_source
from telemhq_agents.ledger.slots import Slots, checked, window_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from telemhq_agents.destined import History
    from telemhq_agents.ledger.slots import Windows


def histories(connection: sqlite3.Connection) -> dict[str, History]:
    """Return the destinations of every source, in the order in which they were set."""
    found: dict[str, History] = {}
    rows = connection.execute("SELECT source, destination, since_ms FROM destinations ORDER BY id")
    for source, destination, since_ms in rows:
        found[source] = (*found.get(source, ()), Destined(destination, since_ms))
    return found


def follow(connection: sqlite3.Connection, source: str, history: History) -> None:
    """Send what `source` adds where its history says, from the moment where it says otherwise."""
    known = histories(connection).get(source, ())
    if history == known:
        return
    connection.execute("DELETE FROM destinations WHERE source = ?", (source,))
    connection.executemany(
        "INSERT INTO destinations (source, destination, since_ms) VALUES (?, ?, ?)",
        [(source, one.destination, one.since_ms) for one in history],
    )
    moved_ms = first_difference(known, history)
    if moved_ms is not None:
        _reopen(connection, source, moved_ms)


def learn(connection: sqlite3.Connection, destination: str, *, corrections: bool) -> None:
    """Remember whether a destination takes corrections."""
    connection.execute(
        "INSERT INTO abilities (destination, corrections) VALUES (?, ?) ON CONFLICT DO UPDATE "
        "SET corrections = excluded.corrections WHERE corrections <> excluded.corrections",
        (destination, corrections),
    )


def correctable(connection: sqlite3.Connection) -> set[str]:
    """Return the destinations that are known to take corrections."""
    rows = connection.execute("SELECT destination FROM abilities WHERE corrections")
    return {destination for (destination,) in rows}


def told_until(connection: sqlite3.Connection, source: str) -> int | None:
    """Return the last quarter-hour of a source that was told; None when none ever was."""
    found = connection.execute("SELECT max(quarter_ms) FROM told WHERE source = ?", (source,))
    last: int | None = found.fetchone()[0]
    return last


def _reopen(connection: sqlite3.Connection, source: str, since_ms: int) -> None:
    """Open what the source added since then, as quiet as it is: one may be at work at this moment."""
    connection.execute(
        "INSERT OR IGNORE INTO open_spans (source, session_id, thread_id, span, touched_ms) "
        "SELECT source, session_id, thread_id, span, max(last_ms) FROM buckets "
        "WHERE source = ? AND quarter_ms >= ? GROUP BY 1, 2, 3, 4",
        (source, quarter(since_ms)),
    )


def slots(connection: sqlite3.Connection) -> Slots:
    """Return the coalescing windows of every source."""
    found: dict[str, Windows] = {}
    rows = connection.execute("SELECT source, from_ms, window_ms FROM coalescing ORDER BY from_ms")
    for source, from_ms, window_ms in rows:
        found[source] = (*found.get(source, ()), (from_ms, window_ms))
    return Slots(found)


def set_coalescing(
    connection: sqlite3.Connection, source: str, history: Sequence[tuple[int, int]], now_ms: int
) -> None:
    """Gather what `source` tells in windows, and what is in the ledger with it.

    `history` holds (from when, window in milliseconds or 0), each from the start of a
    quarter-hour. What was told stays in the turn or window in which it was told, so callers add
    to a history and never rewrite it. Raises SettingsError for a wrong window.
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


# What is told keeps the turn or window in which it was told. {0} has the slot, {1} the rest.
_IS_TOLD = """EXISTS (SELECT 1 FROM told WHERE told.source = {1}.source
    AND told.span = CASE WHEN {0}.slot_ms < 0 THEN {1}.{2} ELSE 'w' || {0}.slot_ms END
    AND told.session_id = {1}.session_id AND told.thread_id = {1}.thread_id
    AND told.quarter_ms = {3})"""
_FACT_QUARTER = f"facts.at_ms - facts.at_ms % {QUARTER_MS}"
_SLOT_FACTS = f"""
    UPDATE facts SET slot_ms = {{slot}} FROM origins o
    WHERE o.id = facts.origin_id AND o.source = :source
        AND {_FACT_QUARTER} >= :since AND {_FACT_QUARTER} < coalesce(:until, {_FACT_QUARTER} + 1)
        AND NOT {_IS_TOLD.format("facts", "o", "turn_key", _FACT_QUARTER)}"""
_SLOT_TURNS = f"""
    UPDATE turns SET slot_ms = {{slot}} WHERE source = :source
        AND quarter_ms >= :since AND quarter_ms < coalesce(:until, quarter_ms + 1)
        AND NOT {_IS_TOLD.format("turns", "turns", "key", "turns.quarter_ms")}"""


def _slot_again(
    connection: sqlite3.Connection, source: str, history: Windows, from_ms: int
) -> None:
    bounds = [since for since, _ in history] or [from_ms]
    spans = zip([min(from_ms, bounds[0]), *bounds], [*bounds, None], strict=True)
    for since, until in spans:
        window = window_at(history, since)
        named = {"source": source, "since": since, "until": until}
        for statement, at in (
            (_SLOT_FACTS, "at_ms"),
            (_SLOT_TURNS, "coalesce(ended_ms, started_ms)"),
        ):
            slot = f"{at} - {at} % {window}" if window else "-1"
            connection.execute(statement.format(slot=slot), named)
