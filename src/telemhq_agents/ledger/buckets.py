"""Buckets: the sums of facts and turns, recomputed for whole turns, never incremented."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.ledger.whole import BucketRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

_FIGURES = (
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_nano",
    "unpriced_tokens",
)
"""The figures that facts bring; runs, failures and durations come from turns."""

_SPAN = "CASE WHEN {0}.slot_ms < 0 THEN {1} ELSE 'w' || {0}.slot_ms END"

# Summed by origin first, which is a number; two origins of one bucket differ in their `cwd` alone.
_FROM_FACTS = f"""
    INSERT INTO buckets (source, session_id, thread_id, turn_key, span, provider, model, project,
        log_project, quarter_ms, cwd, first_ms, last_ms, {", ".join(_FIGURES)})
    SELECT o.source, o.session_id, o.thread_id, o.turn_key, {_SPAN.format("s", "o.turn_key")},
        o.provider, o.model, p.project, p.log_project, s.quarter_ms,
        min(p.cwd), min(s.first_ms), max(s.last_ms), {", ".join(f"sum(s.{n})" for n in _FIGURES)}
    FROM (SELECT f.origin_id, f.at_ms - f.at_ms % {QUARTER_MS} AS quarter_ms, f.slot_ms,
            min(f.at_ms) AS first_ms, max(f.at_ms) AS last_ms, count(*) AS responses,
            sum(f.input_tokens) AS input_tokens, sum(f.cached_input_tokens) AS cached_input_tokens,
            sum(f.cache_write_tokens) AS cache_write_tokens, sum(f.output_tokens) AS output_tokens,
            sum(f.reasoning_tokens) AS reasoning_tokens,
            sum(f.input_tokens + f.output_tokens) AS total_tokens,
            sum(f.cost_nano) AS cost_nano, sum(f.unpriced_tokens) AS unpriced_tokens
        FROM temp.touched CROSS JOIN origins o ON o.turn_key = touched.key
            CROSS JOIN facts f ON f.origin_id = o.id
        GROUP BY 1, 2, 3) s
        CROSS JOIN origins o ON o.id = s.origin_id CROSS JOIN places p ON p.id = o.place_id
    GROUP BY o.turn_key, s.quarter_ms, s.slot_ms, o.model, o.provider, p.project,
        p.log_project, o.session_id, o.thread_id, o.source"""

# The first bucket of a turn is that of its earliest response. Ties are broken by what the log
# tells; `project`, which two machines may name differently, comes last.
_COUNT_TURNS = """
    UPDATE buckets SET runs = 1, failures = (turns.status = 'error'),
        duration_ms = coalesce(turns.duration_ms, 0)
    FROM turns WHERE turns.key = buckets.turn_key AND buckets.id IN (
        SELECT id FROM (
            SELECT b.id, row_number() OVER (PARTITION BY b.turn_key ORDER BY b.first_ms, b.model,
                b.provider, b.log_project, b.session_id, b.thread_id, b.source, b.project) AS place
            FROM temp.touched CROSS JOIN buckets b ON b.turn_key = touched.key)
        WHERE place = 1)"""

_TURNS_WITHOUT_USAGE = f"""
    INSERT INTO buckets (source, session_id, thread_id, turn_key, span, provider, model, project,
        log_project, quarter_ms, cwd, first_ms, last_ms, runs, failures, duration_ms)
    SELECT t.source, t.session_id, t.thread_id, t.key, {_SPAN.format("t", "t.key")}, '', '',
        p.project, p.log_project, t.quarter_ms, p.cwd, coalesce(t.ended_ms, t.started_ms),
        coalesce(t.ended_ms, t.started_ms), 1, t.status = 'error', coalesce(t.duration_ms, 0)
    FROM temp.touched CROSS JOIN turns t ON t.key = touched.key
        CROSS JOIN places p ON p.id = t.place_id
    WHERE NOT EXISTS (SELECT 1 FROM origins o JOIN facts f ON f.origin_id = o.id
        WHERE o.turn_key = t.key)"""

_OPEN_SPANS = """
    INSERT INTO open_spans (source, session_id, thread_id, span, touched_ms)
    SELECT DISTINCT b.source, b.session_id, b.thread_id, b.span, ?
    FROM temp.touched CROSS JOIN buckets b ON b.turn_key = touched.key
    WHERE true
    ON CONFLICT DO UPDATE SET touched_ms = excluded.touched_ms"""


_ADD = (
    f"INSERT INTO buckets ({', '.join(BucketRow._fields)}) "
    f"VALUES ({', '.join('?' * len(BucketRow._fields))})"
)
_OPEN = """
    INSERT INTO open_spans (source, session_id, thread_id, span, touched_ms)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET touched_ms = excluded.touched_ms"""


def add(connection: sqlite3.Connection, rows: Sequence[BucketRow], now_ms: int) -> None:
    """Add the buckets of turns that had none, and open their spans for queueing."""
    connection.executemany(_ADD, rows)
    if _tells(connection):
        opened = {(row.source, row.session_id, row.thread_id, row.span, now_ms) for row in rows}
        connection.executemany(_OPEN, opened)


def touch(connection: sqlite3.Connection, turn_keys: Iterable[str]) -> None:
    """Name turns whose buckets must be recomputed."""
    _touched(connection)
    connection.executemany(
        "INSERT OR IGNORE INTO temp.touched VALUES (?)", ((key,) for key in turn_keys)
    )


def touch_source(connection: sqlite3.Connection, source: str, from_ms: int) -> None:
    """Name every turn of `source` that has something from the quarter `from_ms` on."""
    _touched(connection)
    connection.execute(
        "INSERT OR IGNORE INTO temp.touched SELECT turn_key FROM buckets "
        "WHERE source = ? AND quarter_ms >= ?",
        (source, from_ms),
    )


def _touched(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS touched (key TEXT PRIMARY KEY)")


def recompute(connection: sqlite3.Connection, now_ms: int) -> None:
    """Make the buckets of every touched turn anew, and open their spans, old and new, for queueing."""
    _open_spans(connection, now_ms)
    connection.execute("DELETE FROM buckets WHERE turn_key IN (SELECT key FROM temp.touched)")
    connection.execute(_FROM_FACTS)
    connection.execute(_COUNT_TURNS)
    connection.execute(_TURNS_WITHOUT_USAGE)
    _open_spans(connection, now_ms)
    connection.execute("DELETE FROM temp.touched")


def _open_spans(connection: sqlite3.Connection, now_ms: int) -> None:
    if _tells(connection):
        connection.execute(_OPEN_SPANS, (now_ms,))


def _tells(connection: sqlite3.Connection) -> bool:
    """Tell whether anybody is, or was, told of what is booked; the first destination opens the rest."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM destinations) OR EXISTS (SELECT 1 FROM told)"
    )
    return bool(row.fetchone()[0])
