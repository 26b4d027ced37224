"""Since when the server has been recording without a gap: one row, for all its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, literal, or_, update

from server_stub.store import dialect
from server_stub.store.tables import uptimes

if TYPE_CHECKING:
    from sqlalchemy import Connection

ONLY = 1
BEAT_S = 5
LONGEST_SILENCE_MS = 12_000
"""Two beats that did not come: what lies between was downtime."""


def beat(connection: Connection, now_ms: int) -> int:
    """Note that the server records just now, and return since when it has without a gap.

    A clock that was set counts as a gap as well: nobody knows what was missed in it.
    """
    silence_ms = literal(now_ms) - uptimes.c.seen_ms
    gap = or_(silence_ms > LONGEST_SILENCE_MS, silence_ms < -LONGEST_SILENCE_MS)
    noted = (
        update(uptimes)
        .where(uptimes.c.id == ONLY)
        .values(
            since_ms=case((gap, now_ms), else_=uptimes.c.since_ms),
            seen_ms=case((gap, now_ms), (silence_ms > 0, now_ms), else_=uptimes.c.seen_ms),
        )
        .returning(uptimes.c.since_ms)
    )
    since_ms = connection.execute(noted).scalar()
    return begin(connection, now_ms) if since_ms is None else since_ms


def begin(connection: Connection, now_ms: int) -> int:
    """Note that the server has begun to record, and return since when it has without a gap.

    Where one process is all there is, whatever was before it was a gap, however short.
    """
    born = dialect.insert(connection, uptimes).values(id=ONLY, since_ms=now_ms, seen_ms=now_ms)
    alone = dialect.is_sqlite(connection)
    anew = {"since_ms": now_ms, "seen_ms": now_ms} if alone else {"seen_ms": uptimes.c.seen_ms}
    connection.execute(born.on_conflict_do_update(index_elements=[uptimes.c.id], set_=anew))
    return now_ms if alone else beat(connection, now_ms)


def span(connection: Connection) -> tuple[int, int] | None:
    """Return since when the server records, and when it last showed that it does."""
    row = connection.execute(uptimes.select()).first()
    return None if row is None else (row.since_ms, row.seen_ms)
