"""Mail that nobody can send yet: set aside for a day, let go when there is an SMTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from server_stub.domain.delivery import DAY_MS, NO_MAIL_SERVER
from server_stub.store.deliveries import MAIL_KINDS, is_due, read_row, update_of, without_secret
from server_stub.store.tables import deliveries
from telemhq_agents.contract.deliveries import DeliveryState

if TYPE_CHECKING:
    from sqlalchemy import Connection

SLICE = 50
"""How many rows are changed at once: a few milliseconds."""


def hold(connection: Connection, now_ms: int) -> int:
    """Set mail aside that nobody can send: for a day, then it is given up.

    Return how many were, at most `SLICE` of either: there may be more.
    """
    held = DeliveryState.HELD.value
    ids = connection.execute(select(deliveries.c.id).where(is_due(MAIL_KINDS, now_ms)).limit(SLICE))
    found = list(ids.scalars())
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(found), is_due(MAIL_KINDS, now_ms))
        .values(state=held, next_ms=now_ms + DAY_MS, last_error=NO_MAIL_SERVER)
    )
    return len(found) + _give_up_held(connection, now_ms)


def release(connection: Connection, now_ms: int) -> int:
    """Let mail go that was set aside, unless that was more than a day ago.

    Return how many that concerns, at most `SLICE` of either: there may be more.
    """
    given_up = _give_up_held(connection, now_ms)
    is_held = (deliveries.c.next_ms.is_not(None), deliveries.c.state == DeliveryState.HELD.value)
    ids = connection.execute(select(deliveries.c.id).where(*is_held).limit(SLICE))
    found = list(ids.scalars())
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(found), *is_held)
        .values(state=DeliveryState.WAITING.value, next_ms=now_ms)
    )
    return given_up + len(found)


def _give_up_held(connection: Connection, now_ms: int) -> int:
    over = select(deliveries).where(
        deliveries.c.next_ms <= now_ms, deliveries.c.state == DeliveryState.HELD.value
    )
    found = [read_row(row) for row in connection.execute(over.limit(SLICE))]
    for one in found:
        values = {
            "state": DeliveryState.GIVEN_UP.value,
            "next_ms": None,
            "done_ms": now_ms,
            **without_secret(one),
        }
        connection.execute(update_of(one).values(values))
    return len(found)


def is_there_any(connection: Connection, now_ms: int) -> bool:
    """Tell whether `hold` has something to do."""
    asked = select(deliveries.c.id).where(
        or_(
            is_due(MAIL_KINDS, now_ms),
            and_(
                deliveries.c.next_ms <= now_ms,
                deliveries.c.state == DeliveryState.HELD.value,
            ),
        )
    )
    return connection.execute(asked.limit(1)).first() is not None
