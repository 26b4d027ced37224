"""Changes of state and alerts that are kept no more.

What status pages show stays, and so does the latest change before that, with its alert: it says in
which state a tracker has been since, and why nobody was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from server_stub.store.ids import first_of
from server_stub.store.tables import alerts, deliveries, transitions
from telemhq_agents.contract.public import STATUS_DAYS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server_stub.domain.plan import Plan
    from server_stub.store.retention import Holding

DAY_MS = 24 * 60 * 60 * 1000
LEAST_DAYS = STATUS_DAYS + 1
CHARTED_DAYS = 366
"""Of plans that keep so many runs, however old: a year of what became of them."""


def kept_days(plan: Plan) -> int:
    """Return how many days a plan keeps changes of state and alerts, where it doesn't for ever."""
    return max(plan.history_days or CHARTED_DAYS, LEAST_DAYS)


def outlived(connection: Connection, holding: Holding, now_ms: int) -> int | None:
    """Return the id below which a tracker has changes or alerts to forget, None where it has none."""
    below_id = first_of(now_ms - kept_days(holding.plan) * DAY_MS)
    last = _last_before(connection, holding, below_id)
    oldest = select(func.min(transitions.c.id)).where(
        transitions.c.account_id == holding.account_id,
        transitions.c.tracker_id == holding.tracker_id,
    )
    if last is not None and connection.execute(oldest).scalar_one() < last:
        return below_id
    return below_id if _old_alerts(connection, holding, below_id, last, 1) else None


def prune(connection: Connection, holding: Holding, below_id: int, limit: int) -> int:
    """Forget the oldest of them, at most `limit` of either; return how many that were."""
    last = _last_before(connection, holding, below_id)
    found = _old_alerts(connection, holding, below_id, last, limit)
    connection.execute(
        delete(alerts).where(alerts.c.account_id == holding.account_id, alerts.c.id.in_(found))
    )
    if last is None:
        return len(found)
    of_tracker = (
        transitions.c.account_id == holding.account_id,
        transitions.c.tracker_id == holding.tracker_id,
    )
    asked = select(transitions.c.id).where(*of_tracker, transitions.c.id < last)
    ids = connection.execute(asked.order_by(transitions.c.id).limit(limit)).scalars().all()
    connection.execute(delete(transitions).where(*of_tracker, transitions.c.id.in_(ids)))
    return len(found) + len(ids)


def _last_before(connection: Connection, holding: Holding, below_id: int) -> int | None:
    asked = select(func.max(transitions.c.id)).where(
        transitions.c.account_id == holding.account_id,
        transitions.c.tracker_id == holding.tracker_id,
        transitions.c.id < below_id,
    )
    return connection.execute(asked).scalar()


def _old_alerts(
    connection: Connection, holding: Holding, below_id: int, last: int | None, limit: int
) -> list[int]:
    """Return the oldest alerts that nothing waits to be told of, and not that of the last change."""
    waits = (
        select(deliveries.c.id)
        .where(
            deliveries.c.account_id == alerts.c.account_id,
            deliveries.c.alert_id == alerts.c.id,
            deliveries.c.next_ms.is_not(None),
        )
        .exists()
    )
    asked = select(alerts.c.id).where(
        alerts.c.account_id == holding.account_id,
        alerts.c.tracker_id == holding.tracker_id,
        alerts.c.id < below_id,
        ~waits,
    )
    if last is not None:
        asked = asked.where(alerts.c.transition_id.is_distinct_from(last))
    return list(connection.execute(asked.order_by(alerts.c.id).limit(limit)).scalars())
