"""What the members of an account keep running: every question about trackers by their owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from server_stub.store.tables import trackers
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Owned:
    """Somebody's trackers, and those among them that fail; deleted ones are none.

    `last_run_ms` is when a run last came to one of them, deleted ones included; milliseconds UTC.
    """

    trackers: int = 0
    failing: int = 0
    last_run_ms: int | None = None


def by_owner(connection: Connection, account_id: int) -> dict[int, Owned]:
    """Return what everybody in an account owns, by user id; who never had a tracker is left out."""
    is_kept = trackers.c.deleted_ms.is_(None)
    is_failing = is_kept & (trackers.c.state == TrackerState.FAILING.value)
    asked = (
        select(
            trackers.c.owner_id,
            func.sum(case((is_kept, 1), else_=0)).label("kept"),
            func.sum(case((is_failing, 1), else_=0)).label("failing"),
            func.max(trackers.c.last_run_ms).label("last_run_ms"),
        )
        .where(trackers.c.account_id == account_id)
        .group_by(trackers.c.owner_id)
    )
    return {
        row.owner_id: Owned(row.kept, row.failing, row.last_run_ms)
        for row in connection.execute(asked)
    }
