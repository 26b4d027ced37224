"""A team as its managers see it: what every member used, keeps running, and who pays for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telemhq_agents.contract.amounts import Amounts, usd
from telemhq_agents.contract.resources import Role

SCHEMA = "telemhq.team-usage/1"


class BillingKind(StrEnum):
    """Who pays for a member: they themselves, the team, or the team once its billing has begun."""

    SELF_BILLED = "self-billed"
    TEAM_PAID = "team-paid"
    FUTURE_TEAM_PAID = "future-team-paid"


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums, as every usage report has them; tokens as OpenTelemetry counts them, money in USD."""

    runs: int
    responses: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_usd: float
    unpriced_tokens: int
    failures: int


@dataclass(frozen=True, slots=True)
class MemberUsage:
    """What one member used in the period; `state` is `active` or `revoked`.

    `trackers` are those they own by now, `failing` those among them that fail. `last_seen_at` is
    when the latest run of a tracker of theirs came, in the period or not.
    """

    id: str
    email: str
    name: str
    role: Role
    state: str
    billing: BillingKind
    joined_at: str
    last_seen_at: str | None
    trackers: int
    failing: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class BillingCounts:
    """How many members are paid for how. Revoked ones are counted as such and nowhere else.

    `pro_equivalent` is team-paid and self-billed together.
    """

    team_paid: int
    future_team_paid: int
    self_billed: int
    revoked: int
    pro_equivalent: int


@dataclass(frozen=True, slots=True)
class TeamUsage:
    """A team's usage by member, revoked ones included, the costliest first.

    `total` is the team's own report of the same period. `since` and `until` are the quarter-hours
    that were counted, null where the period is open.
    """

    team: str
    name: str
    since: str | None
    until: str | None
    timezone: str
    members: list[MemberUsage]
    total: Figures
    billing: BillingCounts
    schema: str = SCHEMA


def figures_of(amounts: Amounts) -> Figures:
    """Return the figures that reports show of sums."""
    return Figures(
        runs=amounts.runs,
        responses=amounts.responses,
        input_tokens=amounts.input_tokens,
        cached_input_tokens=amounts.cached_input_tokens,
        cache_write_tokens=amounts.cache_write_tokens,
        output_tokens=amounts.output_tokens,
        reasoning_tokens=amounts.reasoning_tokens,
        total_tokens=amounts.total_tokens,
        cost_usd=usd(amounts.cost_nano),
        unpriced_tokens=amounts.unpriced_tokens,
        failures=amounts.failures,
    )
