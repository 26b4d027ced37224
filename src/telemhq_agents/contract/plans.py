"""What the API says of plans: what an account may do, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """Something of which a plan allows so much. `limit` and `left` are null where it is no limit.

    `used` is null where nobody counts. `left` is never negative, also where a plan has become
    smaller than what is there already.
    """

    limit: int | None
    used: int | None
    left: int | None


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """An account's plan. `pings` are those of the UTC month that ends at `month_ends_at`.

    `members` are the active ones, by which the limits of a team's plan are multiplied.
    `payload_bytes` is the largest body of a ping. Runs are kept for `history_days` after they came,
    and a tracker's latest `charted_runs` can be charted; null means all of them. What is no longer
    kept remains in every report, and with `archives` as counts and dates of each day.
    """

    account_id: str
    plan: str
    members: int
    trackers: Allowance
    pings: Allowance
    month_ends_at: str
    payload_bytes: int
    history_days: int | None
    charted_runs: int | None
    webhooks: bool
    archives: bool
