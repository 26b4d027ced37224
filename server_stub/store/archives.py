"""What is left of runs that are kept no more: reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from server_stub.store.exact import added_up
from server_stub.store.tables import archives

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """One UTC day of a tracker's runs that are kept no more. Times are milliseconds UTC."""

    tracker_id: int
    day_ms: int
    runs: int
    failed: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Total:
    """All of a tracker's runs that are kept no more; the times are None where there are none."""

    runs: int
    failed: int
    first_ms: int | None
    last_ms: int | None


def total(connection: Connection, account_id: int, tracker_id: int) -> Total:
    """Return the sum of a tracker's archive."""
    ends = (func.min(archives.c.first_ms), func.max(archives.c.last_ms))
    of_tracker = (archives.c.account_id == account_id, archives.c.tracker_id == tracker_id)
    found = added_up(
        connection,
        [archives.c.runs, archives.c.failed],
        lambda added: select(*ends, *added).where(*of_tracker),
    )
    ((first_ms, last_ms), (runs, failed)) = found[0]
    return Total(runs, failed, first_ms, last_ms)


def page(
    connection: Connection, account_id: int, tracker_id: int, *, before_ms: int | None, limit: int
) -> list[ArchivedDay]:
    """Return up to `limit` days of a tracker's archive, newest first, before one."""
    conditions = [archives.c.tracker_id == tracker_id]
    if before_ms is not None:
        conditions.append(archives.c.day_ms < before_ms)
    return _days(connection, account_id, *conditions, limit=limit)


def since(
    connection: Connection, account_id: int, tracker_ids: Collection[int], since_ms: int
) -> list[ArchivedDay]:
    """Return the archived days of some trackers from one day on, newest first."""
    return _days(
        connection,
        account_id,
        archives.c.tracker_id.in_(tracker_ids),
        archives.c.day_ms >= since_ms,
    )


def _days(
    connection: Connection,
    account_id: int,
    *conditions: ColumnElement[bool],
    limit: int | None = None,
) -> list[ArchivedDay]:
    columns = [archives.c[name] for name in ArchivedDay.__slots__]
    asked = select(*columns).where(archives.c.account_id == account_id, *conditions)
    asked = asked.order_by(archives.c.day_ms.desc(), archives.c.tracker_id).limit(limit)
    return [ArchivedDay(*row) for row in connection.execute(asked)]
