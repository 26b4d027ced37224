"""What became of deliveries: every question that people ask about them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select

from server_stub.domain.delivery import KEPT_MS
from server_stub.store.deliveries import TEST_EVENT, StoredDelivery, read_row
from server_stub.store.tables import deliveries, delivery_attempts, trackers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

SLICE = 20
"""How many are forgotten at once: a few milliseconds."""

_LOGGED = select(
    *deliveries.c, trackers.c.name.label("tracker_name"), trackers.c.owner_id
).join_from(
    deliveries,
    trackers,
    and_(
        trackers.c.account_id == deliveries.c.account_id,
        trackers.c.id == deliveries.c.tracker_id,
    ),
    isouter=True,
)


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """A delivery with its tracker's name and owner; neither for an invitation."""

    delivery: StoredDelivery
    tracker_name: str
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """How one attempt went. `at_ms` is milliseconds UTC."""

    attempt: int
    at_ms: int
    took_ms: int
    http_status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which deliveries of an account: None means all. `owner_id` leaves out invitations.

    With an owner's, and with these alone, go the tests of mail to `own_address`.
    """

    owner_id: int | None = None
    own_address: str = ""
    tracker_id: int | None = None
    kinds: Collection[str] | None = None
    state: str | None = None
    before_id: int | None = None


def page(connection: Connection, account_id: int, asked: Asked, limit: int) -> list[LoggedDelivery]:
    """Return up to `limit` deliveries, newest first."""
    found = _LOGGED.where(deliveries.c.account_id == account_id)
    if asked.owner_id is not None:
        test = and_(deliveries.c.event == TEST_EVENT, deliveries.c.target == asked.own_address)
        found = found.where(or_(trackers.c.owner_id == asked.owner_id, test))
    if asked.tracker_id is not None:
        found = found.where(deliveries.c.tracker_id == asked.tracker_id)
    if asked.kinds is not None:
        found = found.where(deliveries.c.kind.in_(asked.kinds))
    if asked.state is not None:
        found = found.where(deliveries.c.state == asked.state)
    if asked.before_id is not None:
        found = found.where(deliveries.c.id < asked.before_id)
    rows = connection.execute(found.order_by(deliveries.c.id.desc()).limit(limit))
    return [_logged(row) for row in rows]


def find(
    connection: Connection, delivery_id: int, account_ids: Collection[int]
) -> LoggedDelivery | None:
    """Return a delivery, if it belongs to one of these accounts."""
    asked = _LOGGED.where(deliveries.c.account_id.in_(account_ids), deliveries.c.id == delivery_id)
    row = connection.execute(asked).one_or_none()
    return None if row is None else _logged(row)


def attempts(connection: Connection, account_id: int, delivery_id: int) -> Sequence[LoggedAttempt]:
    """Return how each attempt went, in order."""
    shown = delivery_attempts.c
    asked = (
        select(shown.attempt, shown.at_ms, shown.took_ms, shown.http_status, shown.error)
        .where(shown.account_id == account_id, shown.delivery_id == delivery_id)
        .order_by(shown.attempt)
    )
    return [LoggedAttempt(*row) for row in connection.execute(asked)]


def prune(connection: Connection, now_ms: int) -> int:
    """Forget deliveries that were done with a month ago; return how many, at most `SLICE`."""
    asked = select(deliveries.c.account_id, deliveries.c.id).where(
        deliveries.c.done_ms < now_ms - KEPT_MS, deliveries.c.next_ms.is_(None)
    )
    found = connection.execute(asked.order_by(deliveries.c.done_ms).limit(SLICE)).all()
    for account_id, delivery_id in found:
        logged = delivery_attempts.c
        connection.execute(
            delete(delivery_attempts).where(
                logged.account_id == account_id, logged.delivery_id == delivery_id
            )
        )
        connection.execute(
            delete(deliveries).where(
                deliveries.c.account_id == account_id, deliveries.c.id == delivery_id
            )
        )
    return len(found)


def _logged(row: Row[*tuple[Any, ...]]) -> LoggedDelivery:
    return LoggedDelivery(read_row(row), row.tracker_name or "", row.owner_id)
