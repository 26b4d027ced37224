"""A team's usage by member: sums and trackers from the store, named and put in order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from server_stub.domain.membership import ACTIVE
from server_stub.domain.usage_question import UsageQuestion
from server_stub.store import accounts, owners, usage
from server_stub.store.owners import Owned
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.team_usage import (
    BillingCounts,
    BillingKind,
    MemberUsage,
    TeamUsage,
    figures_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server_stub.domain.membership import Membership
    from server_stub.domain.usage_window import Window
    from server_stub.store.accounts import AccountMember
    from server_stub.store.engine import Store


def team_usage(
    store: Store, team: Membership, window: Window, zone: str, projects: Sequence[str] = ()
) -> TeamUsage:
    """Return what every member of a team used in a window, all of it from one snapshot.

    Of these projects alone where any are named; the costliest first, then by tokens and address.
    """
    question = UsageQuestion(team.account_id, ("member",), window, projects=tuple(projects))
    with store.read() as connection:
        sums = {one.keys[0]: one.amounts for one in usage.sums(connection, question, ())}
        members = accounts.members(connection, team.account_id)
        owned = owners.by_owner(connection, team.account_id)
    used = [(one, sums.get(one.id, Amounts())) for one in members]
    used.sort(key=lambda pair: (-pair[1].cost_nano, -pair[1].total_tokens, pair[0].email))
    return TeamUsage(
        team=str(team.account_id),
        name=team.account_name,
        since=_moment(window.since_ms),
        until=_moment(window.until_ms),
        timezone=zone,
        members=[_member(one, amounts, owned) for one, amounts in used],
        total=figures_of(sum(sums.values(), Amounts())),
        billing=billing_counts(members),
    )


def billing_counts(members: Sequence[AccountMember]) -> BillingCounts:
    """Count members by who pays for them, revoked ones apart."""
    active = [one for one in members if one.state == ACTIVE]
    kinds = Counter(one.billing for one in active)
    return BillingCounts(
        team_paid=kinds[BillingKind.TEAM_PAID],
        future_team_paid=kinds[BillingKind.FUTURE_TEAM_PAID],
        self_billed=kinds[BillingKind.SELF_BILLED],
        revoked=len(members) - len(active),
        pro_equivalent=kinds[BillingKind.TEAM_PAID] + kinds[BillingKind.SELF_BILLED],
    )


def _member(one: AccountMember, used: Amounts, owned: Mapping[int, Owned]) -> MemberUsage:
    theirs = owned.get(one.id, Owned())
    return MemberUsage(
        id=str(one.id),
        email=one.email,
        name=one.name,
        role=one.role,
        state=one.state,
        billing=one.billing,
        joined_at=to_iso(one.joined_ms),
        last_seen_at=_moment(theirs.last_run_ms),
        trackers=theirs.trackers,
        failing=theirs.failing,
        figures=figures_of(used),
    )


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_iso(ms)
