"""Plans as tables: who has which, and what is left of one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.plans import AccountPlan

PlannedRow = tuple[str, str, str, str, str]
"""An account's id, kind, name, its owner's address and its plan."""

NO_LIMIT = "no limit"


def planned_accounts(rows: Sequence[PlannedRow]) -> Table:
    """Return accounts with their plans."""
    columns = (
        Column("id", "Id"),
        Column("kind", "Kind"),
        Column("name", "Name"),
        Column("owner", "Owner"),
        Column("plan", "Plan"),
    )
    return Table(
        columns, list(rows), empty="Nobody is there yet: telemhq server init --email EMAIL"
    )


def account_plan(plan: AccountPlan) -> Table:
    """Return what is counted of a plan: its limit, what is used and what is left."""
    columns = (
        Column("what", "What"),
        Column("limit", "Limit", _limit, is_figure=True),
        Column("used", "Used", _figure, is_figure=True),
        Column("left", "Left", _figure, is_figure=True),
    )
    named = (("trackers", plan.trackers), ("pings this month", plan.pings))
    return Table(columns, [(what, each.limit, each.used, each.left) for what, each in named])


def in_words(plan: AccountPlan, account: str) -> list[str]:
    """Say the rest of a plan."""
    kept = "for ever" if plan.history_days is None else f"for {plan.history_days} days"
    if plan.history_days is None and plan.charted_runs is not None:
        kept = f"up to the latest {whole(plan.charted_runs)} of a tracker"
    hooks = "webhooks too" if plan.webhooks else "no webhooks"
    return [
        f"{account} is on the plan {plan.plan}; the month ends at {plan.month_ends_at}.",
        f"A ping may have {whole(plan.payload_bytes)} bytes; runs are kept {kept}.",
        f"Alerts go out by e-mail, {hooks}.",
    ]


def _limit(value: int | None) -> str:
    return NO_LIMIT if value is None else whole(value)


def _figure(value: int | None) -> str:
    return "" if value is None else whole(value)
