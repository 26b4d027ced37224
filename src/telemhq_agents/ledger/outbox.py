"""The outbox: pings on their way, and what becomes of them."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemhq_agents.ledger import due, telling
from telemhq_agents.ledger.records import (
    LONGEST_DELAY_MS,
    LONGEST_WAIT_MS,
    OutboxCounts,
    OutboxRow,
    OutboxState,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from telemhq_agents.contract.ping import Recorded

ANSWERED_KEPT_MS = 90 * 24 * 3600 * 1000
"""How long the key of an imported ping is remembered after its answer."""

_ROW = (
    "o.id, o.destination, o.key, o.body, o.created_ms, o.attempts, o.next_attempt_ms, o.state, "
    "o.last_error, o.sending"
)


def enqueue(
    connection: sqlite3.Connection, destination: str, key: str, body: bytes, created_ms: int
) -> bool:
    """Put a ping into the outbox; False when it is there, or was answered, already."""
    answered = connection.execute(
        "SELECT 1 FROM answered WHERE destination = ? AND key = ?", (destination, key)
    ).fetchone()
    if answered:
        return False
    added = connection.execute(
        "INSERT OR IGNORE INTO outbox (destination, key, body, created_ms) VALUES (?, ?, ?, ?)",
        (destination, key, body, created_ms),
    )
    return added.rowcount > 0


def rows(connection: sqlite3.Connection, state: OutboxState | None) -> list[OutboxRow]:
    """Return the rows of one state, or all, oldest first."""
    found = connection.execute(
        f"SELECT {_ROW} FROM outbox o WHERE ? IN ('', o.state) ORDER BY o.id", (state or "",)
    )
    return [_row(columns) for columns in found]


def _row(columns: tuple[Any, ...]) -> OutboxRow:
    row_id, destination, key, body, created, attempts, next_attempt, state, error, sending = columns
    return OutboxRow(
        id=row_id,
        destination=destination,
        key=key,
        body=body,
        created_ms=created,
        attempts=attempts,
        next_attempt_ms=next_attempt,
        state=OutboxState(state),
        last_error=error,
        sending=bool(sending),
    )


def take(
    connection: sqlite3.Connection, now_ms: int, limit: int, exclude: Collection[str]
) -> list[OutboxRow]:
    """Return up to `limit` pending rows whose time has come, those waiting longest first."""
    marks = ", ".join("?" * len(exclude))
    found = connection.execute(
        f"SELECT {_ROW} FROM outbox o LEFT JOIN pauses p ON p.destination = o.destination "
        "WHERE o.state = 'pending' AND o.next_attempt_ms <= ? AND coalesce(p.until_ms, 0) <= ? "
        f"AND o.destination NOT IN ({marks}) ORDER BY o.next_attempt_ms, o.id LIMIT ?",
        (now_ms, now_ms, *exclude, limit),
    )
    return [_row(columns) for columns in found]


def hear_the_clock(connection: sqlite3.Connection, now_ms: int) -> None:
    """Shorten waits that only a clock that was ahead can have set."""
    latest, soon = now_ms + LONGEST_WAIT_MS, now_ms + LONGEST_DELAY_MS
    for table, column in (("outbox", "next_attempt_ms"), ("pauses", "until_ms")):
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE {column} > ?",
            (soon, latest),
        )


def next_due_ms(connection: sqlite3.Connection) -> int | None:
    """Return when the next pending row may be sent; None when there is none."""
    found = connection.execute(
        "SELECT min(max(o.next_attempt_ms, coalesce(p.until_ms, 0))) FROM outbox o "
        "LEFT JOIN pauses p ON p.destination = o.destination WHERE o.state = 'pending'"
    ).fetchone()
    return None if found[0] is None else int(found[0])


def begin_sending(connection: sqlite3.Connection, row: OutboxRow) -> None:
    """Note that a ping is about to go where no key protects it from counting twice."""
    connection.execute("UPDATE outbox SET sending = 1 WHERE id = ?", (row.id,))


def delivered(connection: sqlite3.Connection, row: OutboxRow, now_ms: int) -> None:
    """Let a row go: the server has it."""
    if _told_id(connection, row) is None:
        _remember(connection, row, now_ms)
    connection.execute("DELETE FROM outbox WHERE id = ?", (row.id,))
    connection.execute("DELETE FROM pauses WHERE destination = ?", (row.destination,))


def _told_id(connection: sqlite3.Connection, row: OutboxRow) -> int | None:
    found = connection.execute("SELECT told_id FROM outbox WHERE id = ?", (row.id,)).fetchone()
    return None if found is None else found[0]


def _remember(connection: sqlite3.Connection, row: OutboxRow, now_ms: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO answered (destination, key, answered_ms) VALUES (?, ?, ?)",
        (row.destination, row.key, now_ms),
    )


def forget_answered(connection: sqlite3.Connection, now_ms: int) -> None:
    """Drop the keys of imported pings that were answered long ago."""
    connection.execute("DELETE FROM answered WHERE answered_ms < ?", (now_ms - ANSWERED_KEPT_MS,))


def answered_duplicate(
    connection: sqlite3.Connection, row: OutboxRow, recorded: Recorded | None, now_ms: int
) -> None:
    """Let a row go whose key the server knew, and take what it holds for what it was told."""
    told_id = _told_id(connection, row)
    if told_id is not None:
        told = telling.read_told(connection, told_id)
        known = telling.known_now(connection, told_id)
        after = due.after_duplicate(told, recorded, known)
        telling.save_told(connection, told_id, after)
        telling.reopen(connection, told_id)
    delivered(connection, row, now_ms)


def retry(connection: sqlite3.Connection, row: OutboxRow, next_attempt_ms: int, error: str) -> None:
    """Send a row again later."""
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_ms = ?, last_error = ?, "
        "sending = 0 WHERE id = ?",
        (next_attempt_ms, error, row.id),
    )


def pause(connection: sqlite3.Connection, destination: str, until_ms: int, reason: str) -> None:
    """Leave a destination in peace until then; its next success ends the pause."""
    connection.execute(
        "INSERT INTO pauses (destination, until_ms, attempts, reason) VALUES (?, ?, 1, ?) "
        "ON CONFLICT (destination) DO UPDATE SET attempts = attempts + 1, "
        "until_ms = excluded.until_ms, reason = excluded.reason",
        (destination, until_ms, reason),
    )


def failures_in_a_row(connection: sqlite3.Connection, destination: str) -> int:
    """Return how often a destination was paused since its last success."""
    found = connection.execute(
        "SELECT attempts FROM pauses WHERE destination = ?", (destination,)
    ).fetchone()
    return int(found[0]) if found else 0


def settle(connection: sqlite3.Connection, row: OutboxRow, state: OutboxState, error: str) -> None:
    """Let a row wait for a person: parked or uncertain."""
    connection.execute(
        "UPDATE outbox SET state = ?, attempts = attempts + 1, last_error = ?, sending = 0 "
        "WHERE id = ?",
        (state.value, error, row.id),
    )


def park_all(connection: sqlite3.Connection, destination: str, error: str) -> int:
    """Park everything that waits for a destination that refuses us; return how much that is."""
    parked = connection.execute(
        "UPDATE outbox SET state = 'parked', last_error = ?, sending = 0 "
        "WHERE destination = ? AND state = 'pending' AND sending = 0",
        (error, destination),
    )
    return parked.rowcount


def unpark(
    connection: sqlite3.Connection, destination: str | None, states: Collection[OutboxState]
) -> int:
    """Send what waits for a person again; return how much that is."""
    marks = ", ".join("?" * len(states))
    moved = connection.execute(
        "UPDATE outbox SET state = 'pending', next_attempt_ms = 0, attempts = 0, sending = 0 "
        f"WHERE state IN ({marks}) AND ? IN ('', destination)",
        (*(state.value for state in states), destination or ""),
    )
    connection.execute("DELETE FROM pauses WHERE ? IN ('', destination)", (destination or "",))
    return moved.rowcount


def forget(connection: sqlite3.Connection, row: OutboxRow, now_ms: int) -> None:
    """Drop a row because a person said so; what it told stays told."""
    delivered(connection, row, now_ms)


def counts(connection: sqlite3.Connection) -> OutboxCounts:
    """Count the rows by state."""
    found = dict(connection.execute("SELECT state, count(*) FROM outbox GROUP BY state"))
    return OutboxCounts(**{state.value: found.get(state.value, 0) for state in OutboxState})
