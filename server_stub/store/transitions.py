"""Changes of state as they were noted: every question about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from server_stub.store import alerts
from server_stub.store.tables import transitions
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Cause

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class StoredTransition:
    """One change of state. Times are milliseconds UTC; `at_ms` is the moment it was due.

    `untold`: why nobody was told of it; "" where somebody was, or nobody ever is.
    """

    id: int
    before: TrackerState
    after: TrackerState
    at_ms: int
    noted_ms: int
    cause: Cause
    message: str
    run_id: int | None
    untold: str


def page(
    connection: Connection, account_id: int, tracker_id: int, *, before_id: int | None, limit: int
) -> list[StoredTransition]:
    """Return up to `limit` changes of a tracker's state, newest first, noted before one."""
    asked = select(transitions).where(
        transitions.c.account_id == account_id, transitions.c.tracker_id == tracker_id
    )
    if before_id is not None:
        asked = asked.where(transitions.c.id < before_id)
    asked = asked.order_by(transitions.c.id.desc()).limit(limit)
    found = connection.execute(asked).all()
    untold = alerts.withheld(connection, account_id, tracker_id, [row.id for row in found])
    return [_transition(row, untold.get(row.id, "")) for row in found]


def _transition(row: Row[*tuple[Any, ...]], untold: str) -> StoredTransition:
    return StoredTransition(
        id=row.id,
        before=TrackerState(row.from_state),
        after=TrackerState(row.to_state),
        at_ms=row.at_ms,
        noted_ms=row.noted_ms,
        cause=Cause(row.cause),
        message=row.message,
        run_id=row.run_id,
        untold=untold,
    )
