"""Alerts: every question about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, insert, select, update

from server_stub.domain.health import Event
from server_stub.store.tables import alerts, deliveries
from telemhq_agents.contract.deliveries import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class WaitingAlert:
    """An alert that nobody was told of yet: its deliveries, `parts` of them, wait for their time."""

    id: int
    tracker_id: int
    event: Event
    parts: int


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(alerts), rows)


def withhold(connection: Connection, account_id: int, alert_id: int, reason: str) -> None:
    """Note that nobody is told of an alert, and why."""
    connection.execute(
        update(alerts)
        .where(alerts.c.account_id == account_id, alerts.c.id == alert_id)
        .values(withheld=reason)
    )


def withheld(
    connection: Connection, account_id: int, tracker_id: int, transition_ids: Collection[int]
) -> dict[int, str]:
    """Return why nobody was told of these changes of state, by their ids; only of such."""
    asked = select(alerts.c.transition_id, alerts.c.withheld).where(
        alerts.c.account_id == account_id,
        alerts.c.tracker_id == tracker_id,
        # An alert comes after its cause: the index need not be read further back.
        alerts.c.id > min(transition_ids, default=0),
        alerts.c.transition_id.in_(transition_ids),
        alerts.c.withheld != "",
    )
    return {row.transition_id: row.withheld for row in connection.execute(asked)}


def waiting(
    connection: Connection, account_id: int, tracker_ids: Collection[int], now_ms: int
) -> list[WaitingAlert]:
    """Return the alerts of these trackers whose time is still to come, in order.

    None of which a part was tried, is on its way, or waits for a mail server instead.
    """
    part = deliveries.c
    still_waits = and_(
        part.next_ms > now_ms,
        part.attempts == 0,
        part.claimed_by == "",
        part.state == DeliveryState.WAITING.value,
    )
    of_these = (
        part.account_id == account_id,
        part.tracker_id.in_(tracker_ids),
        part.alert_id.is_not(None),
    )
    asked = (
        select(part.alert_id, part.tracker_id, part.event, func.count().label("parts"))
        .where(
            *of_these,
            part.alert_id.in_(select(part.alert_id).where(*of_these, still_waits)),
            part.state != DeliveryState.WITHDRAWN.value,
        )
        .group_by(part.alert_id, part.tracker_id, part.event)
        .having(func.min(case((still_waits, 1), else_=0)) == 1)
        .order_by(part.alert_id)
    )
    return [
        WaitingAlert(row.alert_id, row.tracker_id, Event(row.event), row.parts)
        for row in connection.execute(asked)
    ]
