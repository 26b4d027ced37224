"""Plans: what an account may do, as data. A self-hosted server starts unlimited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from telemhq_agents.contract.ping import MAX_BODY_BYTES, SMALLEST_PAYLOAD_LIMIT

UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan; None means no limit.

    `trackers` and `pings_per_month` are per account; where `per_member` they are per member whose
    use is covered. `history_days` is how long raw runs are kept, `charted_runs` how many of a
    tracker's latest runs may be charted, `payload_bytes` the largest body of a ping. `archives`:
    what is no longer kept lives on as counts and dates.
    """

    name: str
    trackers: int | None = None
    pings_per_month: int | None = None
    payload_bytes: int | None = None
    history_days: int | None = None
    charted_runs: int | None = None
    webhooks: bool = True
    archives: bool = True
    per_member: bool = False


PLANS: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(
            "free",
            trackers=5,
            pings_per_month=1_000,
            payload_bytes=SMALLEST_PAYLOAD_LIMIT,
            history_days=7,
            webhooks=False,
            archives=False,
        ),
        Plan(
            "pro",
            trackers=50,
            pings_per_month=100_000,
            payload_bytes=2 * 1024,
            charted_runs=100_000,
        ),
        Plan(
            "team",
            trackers=50,
            pings_per_month=100_000,
            payload_bytes=2 * 1024,
            charted_runs=100_000,
            per_member=True,
        ),
        Plan(UNLIMITED),
    )
}
"""By name, as `accounts.plan` holds it."""


def plan_of(name: str) -> Plan:
    """Return the plan of an account; one that nobody knows (any more) limits nothing."""
    return PLANS.get(name, PLANS[UNLIMITED])


def parse_plan(text: str) -> str:
    """Return the name of a plan as accounts hold it. Raises ValueError."""
    name = text.strip().lower()
    if name not in PLANS:
        raise ValueError(f"name one of {', '.join(PLANS)}")
    return name


def times_members(limit: int | None, plan: Plan, members: int) -> int | None:
    """Return a limit of `plan` for an account with so many active members."""
    return limit * members if limit is not None and plan.per_member else limit


def month_of(at_ms: int) -> int:
    """Return the start of the UTC month that holds `at_ms`, in milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1000


def next_month(month_ms: int) -> int:
    """Return the start of the UTC month after the one that starts at `month_ms`."""
    moment = datetime.fromtimestamp(month_ms / 1000, UTC)
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


def payload_limit(plan: Plan, of_server: int = MAX_BODY_BYTES) -> int:
    """Return the largest body in bytes that a ping under `plan` may have on this server."""
    return of_server if plan.payload_bytes is None else min(of_server, plan.payload_bytes)
