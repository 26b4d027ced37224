"""What an account's plan allows, and what is left of it."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from fastapi import APIRouter, Request

from server_stub.api.caller import CurrentCaller, CurrentStore, membership_of
from server_stub.api.documented import refusing
from server_stub.domain.plan import next_month, payload_limit
from server_stub.store import plans
from server_stub.store.plans import Use
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.plans import AccountPlan, Allowance

router = APIRouter(tags=["plans"])


@router.get(routes.PLAN, responses=refusing(401, 403, 404))
def show_plan(
    account_id: str, caller: CurrentCaller, store: CurrentStore, request: Request
) -> AccountPlan:
    """Show what the plan of an account of yours allows, and what is left of it."""
    membership = membership_of(caller, account_id, "account")
    with store.read() as connection:
        use = plans.use_of(connection, membership.account_id, now_ms())
    return _shown(membership.account_id, use, request.app.state.settings.max_body_bytes)


def _shown(account_id: int, use: Use, largest_body: int) -> AccountPlan:
    plan = use.plan
    counted = plan.pings_per_month is not None
    return AccountPlan(
        account_id=str(account_id),
        plan=plan.name,
        members=use.members,
        trackers=_allowance(use.most_trackers, use.trackers),
        pings=_allowance(use.most_pings, use.pings if counted else None),
        month_ends_at=to_iso(next_month(use.month_ms)),
        payload_bytes=payload_limit(plan, largest_body),
        history_days=plan.history_days,
        charted_runs=plan.charted_runs,
        webhooks=plan.webhooks,
        archives=plan.archives,
    )


def _allowance(limit: int | None, used: int | None) -> Allowance:
    left = None if limit is None else max(limit - (used or 0), 0)
    return Allowance(limit, used, left)
