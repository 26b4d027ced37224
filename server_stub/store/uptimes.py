"""Since when the server has been recording without a gap, and until when all of it is known.

Each process says until when everything that arrived at it is in the store (`recorders`); what it
refused meanwhile, or how long it was away, is a gap for all of them (`uptimes`, one row).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, delete, func, literal, or_, select, update

from server_stub.store import dialect
from server_stub.store.tables import recorders, uptimes

if TYPE_CHECKING:
    from sqlalchemy import Connection

ONLY = 1
BEAT_S = 5.0
SHARED_BEAT_S = 2.0
"""Where several processes record, a sweep can look no nearer than the last beat of each."""

LONGEST_SILENCE_MS = 12_000
"""Beats that did not come: what lies between was downtime."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What one process says: all that arrived at it until `upto_ms` is in the store.

    `is_gap`: since its last beat it refused pings that it could not write.
    """

    recorder_id: int
    now_ms: int
    upto_ms: int
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Trusted:
    """The time in which a ping that is not in the store did not come: from `since_ms` on.

    What arrived after `upto_ms` may still be on its way into the store, at one of the processes.
    """

    since_ms: int
    upto_ms: int


def beat(connection: Connection, told: Beat) -> Trusted:
    """Note what a process says, and return the time that can be trusted.

    A clock that was set is a gap, and so is a process that fell silent: nobody knows what it heard.
    """
    # First the one row, so that no two processes wait for each other.
    since_ms = _mark(connection, told.now_ms, is_gap=told.is_gap)
    if since_ms is None:
        return begin(connection, told)
    was_forgotten = not _say(connection, told)
    if _forget_silent(connection, told) or was_forgotten:
        _mark(connection, told.now_ms, is_gap=True)
        since_ms = told.now_ms
    upto_ms = connection.execute(select(func.min(recorders.c.upto_ms))).scalar_one()
    return Trusted(since_ms, upto_ms)


def begin(connection: Connection, told: Beat) -> Trusted:
    """Note that a process has begun to record, and return the time that can be trusted.

    Where nobody else records, whatever was before it was a gap, however short.
    """
    if dialect.is_sqlite(connection):
        connection.execute(delete(recorders))
    now_ms = told.now_ms
    row = dialect.insert(connection, uptimes).values(id=ONLY, since_ms=now_ms, seen_ms=now_ms)
    connection.execute(row.on_conflict_do_nothing())
    _mark(connection, now_ms, is_gap=False)
    others = connection.execute(select(recorders.c.id).limit(1)).first()
    _say(connection, told)
    is_gap = told.is_gap or others is None
    return beat(connection, Beat(told.recorder_id, now_ms, told.upto_ms, is_gap))


def end(connection: Connection, recorder_id: int) -> None:
    """Note that a process records no more: everything that it heard is in the store."""
    connection.execute(delete(recorders).where(recorders.c.id == recorder_id))


def _mark(connection: Connection, now_ms: int, *, is_gap: bool) -> int | None:
    """Note that the server records just now; return since when, None where it never did."""
    silence_ms = literal(now_ms) - uptimes.c.seen_ms
    gap = or_(literal(is_gap), silence_ms > LONGEST_SILENCE_MS, silence_ms < -LONGEST_SILENCE_MS)
    noted = (
        update(uptimes)
        .where(uptimes.c.id == ONLY)
        .values(
            since_ms=case((gap, now_ms), else_=uptimes.c.since_ms),
            seen_ms=case((gap, now_ms), (silence_ms > 0, now_ms), else_=uptimes.c.seen_ms),
        )
        .returning(uptimes.c.since_ms)
    )
    return connection.execute(noted).scalar()


def _say(connection: Connection, told: Beat) -> bool:
    """Write until when a process has everything in the store; False where it was not known."""
    said = update(recorders).where(recorders.c.id == told.recorder_id)
    if connection.execute(said.values(upto_ms=told.upto_ms)).rowcount:
        return True
    row = dialect.insert(connection, recorders)
    connection.execute(row.values(id=told.recorder_id, upto_ms=told.upto_ms))
    return False


def _forget_silent(connection: Connection, told: Beat) -> bool:
    """Forget the processes that fell silent; tell whether there was any.

    Whoever speaks is none of them, however long a ping has been waiting there.
    """
    silent = delete(recorders).where(
        recorders.c.upto_ms < told.now_ms - LONGEST_SILENCE_MS,
        recorders.c.id != told.recorder_id,
    )
    return bool(connection.execute(silent).rowcount)


def span(connection: Connection) -> tuple[int, int] | None:
    """Return since when the server records, and when it last showed that it does."""
    row = connection.execute(uptimes.select()).first()
    return None if row is None else (row.since_ms, row.seen_ms)
