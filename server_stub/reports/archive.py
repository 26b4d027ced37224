"""What is left of runs that are kept no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.domain.usage_window import DAY_MS, day_label
from server_stub.store import archives, series
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.series import Archive, ArchivedDay

if TYPE_CHECKING:
    from server_stub.domain.plan import Plan
    from server_stub.store.engine import Store


def tracker_archive(
    store: Store, account_id: int, tracker_id: int, *, before_ms: int | None, limit: int
) -> Archive:
    """Return a tracker's archive: the whole in one line, and up to `limit` days of it.

    Raises ProblemError (402) where the account's plan has no archive.
    """
    with store.read() as connection:
        plan = series.plan_for(connection, account_id)
        if not plan.archives:
            raise not_in_plan(plan)
        total = archives.total(connection, account_id, tracker_id)
        found = archives.page(
            connection, account_id, tracker_id, before_ms=before_ms, limit=limit + 1
        )
    shown = found[:limit]
    return Archive(
        tracker=str(tracker_id),
        runs=total.runs,
        failed=total.failed,
        first_at=None if total.first_ms is None else to_iso(total.first_ms),
        last_at=None if total.last_ms is None else to_iso(total.last_ms),
        days=[
            ArchivedDay(
                day_label(one.day_ms // DAY_MS),
                one.runs,
                one.failed,
                to_iso(one.first_ms),
                to_iso(one.last_ms),
            )
            for one in shown
        ],
        next_cursor=str(shown[-1].day_ms) if len(found) > limit else None,
    )


def not_in_plan(plan: Plan) -> ProblemError:
    """Return how an archive is refused that an account's plan does not show."""
    days = (
        "" if plan.history_days is None else f" runs of the last {plan.history_days} days are kept"
    )
    problem = Problem(
        type="archive-not-in-plan",
        title=f"The plan {plan.name} has no archive",
        status=402,
        detail=days.strip(),
        next="ask the people who run this server for another plan",
    )
    return ProblemError(problem)
