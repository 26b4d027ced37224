"""Deliveries, the outbox of alerts and mail: every question about them.

A delivery is claimed by a conditional update and let go by another one, so that any number of
workers may look at once; a claim whose worker died runs out and is taken by the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, insert, or_, select, tuple_, update

from server_stub.domain.channel import SUMMARY_KIND
from server_stub.domain.delivery import (
    DAY_MS,
    LEASE_MS,
    PENDING,
    Attempt,
    Next,
    after,
)
from server_stub.domain.message import Telling
from server_stub.store import dialect
from server_stub.store.ids import new_id
from server_stub.store.tables import deliveries, delivery_attempts
from telemhq_agents.contract.deliveries import DeliveryState
from telemhq_agents.contract.rules import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

MAIL_KINDS = (ChannelKind.EMAIL.value, SUMMARY_KIND)
INVITATION_EVENT = "invitation"
TEST_EVENT = "mail.test"
SECRET_FIELD = "link"  # noqa: S105 - the name of the field, not what it holds
"""What mail must not be kept with, once it is done: whoever reads it could accept."""

IDS_AT_ONCE = 500
"""In one statement."""

SET_BACK_MS = 5_000
"""A row born so long after now was born before somebody set the clock back."""


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One message for one receiver. Times are milliseconds UTC; `content` is JSON as decoded.

    `next_ms` is when it is tried (again), None when it is done.
    """

    account_id: int
    id: int
    tracker_id: int | None
    alert_id: int | None
    channel_id: int | None
    kind: str
    target: str
    event: str
    content: dict[str, Any]
    state: DeliveryState
    attempts: int
    next_ms: int | None
    created_ms: int
    claimed_until_ms: int | None
    claimed_by: str
    done_ms: int | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come; `again` when it was tried before."""

    account_id: int
    id: int
    target: str
    again: bool


def row(
    *,
    account_id: int,
    kind: str,
    target: str,
    event: str,
    content: Mapping[str, Any],
    next_ms: int,
    now_ms: int,
    tracker_id: int | None = None,
    alert_id: int | None = None,
    channel_id: int | None = None,
) -> dict[str, Any]:
    """Return the row of a new delivery."""
    return {
        "account_id": account_id,
        "id": new_id(),
        "tracker_id": tracker_id,
        "alert_id": alert_id,
        "channel_id": channel_id,
        "kind": kind,
        "target": target,
        "event": event,
        "content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
        "state": DeliveryState.WAITING.value,
        "next_ms": next_ms,
        "created_ms": now_ms,
    }


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add deliveries, which go out once the transaction is committed."""
    if rows:
        connection.execute(insert(deliveries), rows)


def add_unless_waiting(connection: Connection, new: dict[str, Any]) -> bool:
    """Add a delivery; False where one of its kind waits for the same receiver already."""
    asked = select(deliveries.c.id).where(
        deliveries.c.account_id == new["account_id"],
        deliveries.c.channel_id.is_not_distinct_from(new["channel_id"]),
        deliveries.c.target == new["target"],
        deliveries.c.event == new["event"],
        deliveries.c.next_ms.is_not(None),
    )
    if connection.execute(asked.limit(1)).first() is not None:
        return False
    add(connection, [new])
    return True


def due(connection: Connection, kinds: Collection[str], now_ms: int, limit: int) -> list[Due]:
    """Return what to send now, at most one for each receiver, first what was never tried.

    A receiver that somebody sends to at this moment is left out.
    """
    busy = select(deliveries.c.target).where(deliveries.c.next_ms.is_not(None), _is_claimed(now_ms))
    place = (
        func.row_number()
        .over(
            partition_by=(deliveries.c.kind, deliveries.c.target),
            order_by=(deliveries.c.next_ms, deliveries.c.id),
        )
        .label("place")
    )
    found = (
        select(
            deliveries.c.account_id,
            deliveries.c.id,
            deliveries.c.target,
            deliveries.c.attempts,
            deliveries.c.next_ms,
            place,
        )
        .where(is_due(kinds, now_ms), deliveries.c.target.not_in(busy))
        .subquery()
    )
    asked = (
        select(found)
        .where(found.c.place == 1)
        .order_by(case((found.c.attempts > 0, 1), else_=0), found.c.next_ms, found.c.id)
        .limit(limit)
    )
    return [
        Due(row.account_id, row.id, row.target, row.attempts > 0)
        for row in connection.execute(asked)
    ]


def claim(
    connection: Connection,
    chosen: Sequence[Due],
    kinds: Collection[str],
    worker: str,
    now_ms: int,
) -> list[StoredDelivery]:
    """Claim those that are still to be sent and claimed by nobody else, and return them."""
    ids = [(one.account_id, one.id) for one in chosen]
    claimed = (
        update(deliveries)
        .where(
            tuple_(deliveries.c.account_id, deliveries.c.id).in_(ids),
            is_due(kinds, now_ms),
            ~_is_claimed(now_ms),
        )
        .values(claimed_by=worker, claimed_until_ms=now_ms + LEASE_MS)
        .returning(*deliveries.c)
    )
    return [read_row(row) for row in connection.execute(claimed)]


def _is_claimed(now_ms: int) -> ColumnElement[bool]:
    """Tell who holds a claim; one that outlasts a lease was made before the clock was set back."""
    until = func.coalesce(deliveries.c.claimed_until_ms, 0)
    return and_(until > now_ms, until <= now_ms + LEASE_MS)


def is_due(kinds: Collection[str], now_ms: int) -> ColumnElement[bool]:
    """Tell what is to be sent now, also where the clock was set back meanwhile."""
    tried = deliveries.c.attempts > 0
    return and_(
        deliveries.c.next_ms.is_not(None),
        deliveries.c.state == DeliveryState.WAITING.value,
        deliveries.c.kind.in_(kinds),
        or_(
            deliveries.c.next_ms <= now_ms,
            and_(tried, deliveries.c.next_ms > now_ms + 2 * DAY_MS),
            and_(~tried, deliveries.c.created_ms > now_ms + SET_BACK_MS),
        ),
    )


def finish(
    connection: Connection, delivery: StoredDelivery, attempt: Attempt, dice: float
) -> Next | None:
    """Note how an attempt went and decide what follows.

    What arrived has arrived, whoever holds the claim by now; a failure counts only for who holds
    it. None where it counts no more: the delivery is somebody else's, or was withdrawn.
    """
    number = delivery.attempts + 1
    first_ms = attempt.at_ms if number == 1 else _first_ms(connection, delivery, attempt.at_ms)
    once = delivery.event == Telling.TEST
    following = after(attempt, number, first_ms, dice, once=once)
    values: dict[str, Any] = {
        "state": following.state.value,
        "attempts": number,
        "next_ms": following.next_ms,
        "claimed_until_ms": None,
        "claimed_by": "",
        "last_error": attempt.error,
    }
    if following.next_ms is None:
        values |= {"done_ms": attempt.at_ms + attempt.took_ms, **without_secret(delivery)}
    changed = update_of(delivery).where(deliveries.c.state.in_(PENDING))
    if attempt.error:
        changed = changed.where(deliveries.c.claimed_by == delivery.claimed_by)
    if connection.execute(changed.values(values)).rowcount == 0:
        return None
    _log(connection, delivery, number, attempt)
    return following


def _first_ms(connection: Connection, delivery: StoredDelivery, default: int) -> int:
    asked = select(delivery_attempts.c.at_ms).where(
        delivery_attempts.c.account_id == delivery.account_id,
        delivery_attempts.c.delivery_id == delivery.id,
        delivery_attempts.c.attempt == 1,
    )
    first = connection.execute(asked).scalar_one_or_none()
    return default if first is None else first


def _log(connection: Connection, delivery: StoredDelivery, number: int, attempt: Attempt) -> None:
    values = {
        "account_id": delivery.account_id,
        "delivery_id": delivery.id,
        "attempt": number,
        "at_ms": attempt.at_ms,
        "took_ms": attempt.took_ms,
        "http_status": attempt.http_status,
        "error": attempt.error,
    }
    adding = dialect.insert(connection, delivery_attempts).values(values)
    connection.execute(adding.on_conflict_do_nothing())


def without_secret(delivery: StoredDelivery) -> dict[str, Any]:
    """Return what to write over the content of a delivery that is done: not its secret."""
    if delivery.event != INVITATION_EVENT:
        return {}
    kept = {name: value for name, value in delivery.content.items() if name != SECRET_FIELD}
    return {"content": json.dumps(kept, ensure_ascii=False)}


def withdraw(connection: Connection, delivery: StoredDelivery, reason: str, now_ms: int) -> None:
    """End a delivery that has nowhere to go any more."""
    _end(connection, update_of(delivery), reason, now_ms, **without_secret(delivery))


def withdraw_invitations(
    connection: Connection, account_id: int, email: str, reason: str, now_ms: int
) -> None:
    """End what waits to invite an address into an account; its link is not kept."""
    asked = select(deliveries).where(
        deliveries.c.account_id == account_id,
        deliveries.c.event == INVITATION_EVENT,
        deliveries.c.target == email,
        deliveries.c.next_ms.is_not(None),
    )
    for one in [read_row(found) for found in connection.execute(asked)]:
        withdraw(connection, one, reason, now_ms)


def withdraw_channels(
    connection: Connection,
    account_id: int,
    channel_ids: Sequence[int],
    reason: str,
    now_ms: int,
) -> None:
    """End everything that waits for channels."""
    for start in range(0, len(channel_ids), IDS_AT_ONCE):
        changed = update(deliveries).where(
            deliveries.c.account_id == account_id,
            deliveries.c.channel_id.in_(channel_ids[start : start + IDS_AT_ONCE]),
            deliveries.c.next_ms.is_not(None),
        )
        _end(connection, changed, reason, now_ms)


def withdraw_tracker(
    connection: Connection, account_id: int, tracker_id: int, reason: str, now_ms: int
) -> None:
    """End everything that waits to tell of a tracker."""
    changed = update(deliveries).where(
        deliveries.c.account_id == account_id,
        deliveries.c.tracker_id == tracker_id,
        deliveries.c.next_ms.is_not(None),
    )
    _end(connection, changed, reason, now_ms)


def withdraw_alert(
    connection: Connection, account_id: int, alert_id: int, reason: str, now_ms: int
) -> int:
    """End what waits for its time and was never tried of an alert; return how many those were."""
    changed = update(deliveries).where(
        deliveries.c.account_id == account_id,
        deliveries.c.alert_id == alert_id,
        deliveries.c.attempts == 0,
        # Somebody whose clock is ahead, or was set back, may be sending it at this moment.
        deliveries.c.claimed_by == "",
        # Nobody claims what is not due, so that a claim and this rarely wait for each other.
        deliveries.c.next_ms > now_ms,
    )
    return _end(connection, changed, reason, now_ms)


def _end(
    connection: Connection,
    changed: Any,  # noqa: ANN401 - SQLAlchemy's Update
    reason: str,
    now_ms: int,
    **more: object,
) -> int:
    ended = changed.where(deliveries.c.state.in_(PENDING)).values(
        state=DeliveryState.WITHDRAWN.value,
        next_ms=None,
        done_ms=now_ms,
        last_error=reason,
        **more,
    )
    return int(connection.execute(ended).rowcount)


def send_again(connection: Connection, delivery: StoredDelivery, now_ms: int) -> None:
    """Send a delivery once more, under the id that it had."""
    values = {"state": DeliveryState.WAITING.value, "next_ms": now_ms, "done_ms": None}
    connection.execute(
        update_of(delivery).values(**values, claimed_until_ms=None, claimed_by="", last_error="")
    )


def update_of(delivery: StoredDelivery) -> Any:  # noqa: ANN401 - SQLAlchemy's Update
    """Return the update of one delivery, to be given its values."""
    return update(deliveries).where(
        deliveries.c.account_id == delivery.account_id, deliveries.c.id == delivery.id
    )


def read_row(found: Row[*tuple[Any, ...]]) -> StoredDelivery:
    """Read a row that holds every column of the table, and maybe more."""
    mapping = found._mapping  # noqa: SLF001 - SQLAlchemy's public name
    values = {column.name: mapping[column.name] for column in deliveries.c}
    values["state"] = DeliveryState(values["state"])
    try:
        values["content"] = json.loads(values["content"])
    except ValueError:
        values["content"] = {}  # a broken row fails alone, when it is sent
    return StoredDelivery(**values)
