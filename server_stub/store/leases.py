"""Leases: of several processes on one database, one holds a lease at a time and does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_

from server_stub.store import dialect
from server_stub.store.tables import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE_MS = 15_000
RENEW_S = 5


def take(connection: Connection, name: str, holder: str, now_ms: int) -> bool:
    """Take a lease, or go on holding it; False while somebody else does.

    One that ends later than a lease can was taken on a clock that has been set back: it is over.
    SQLite has one process and needs no leases.
    """
    if dialect.is_sqlite(connection):
        return True
    wanted = dialect.insert(connection, leases).values(
        name=name, holder=holder, until_ms=now_ms + LEASE_MS
    )
    free = or_(
        leases.c.holder == holder,
        leases.c.until_ms <= now_ms,
        leases.c.until_ms > now_ms + 2 * LEASE_MS,
    )
    taken = wanted.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={"holder": holder, "until_ms": now_ms + LEASE_MS},
        where=free,
    ).returning(leases.c.holder)
    return connection.execute(taken).first() is not None


def release(connection: Connection, name: str, holder: str) -> None:
    """Give a lease back, so that another process need not wait for its end."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
