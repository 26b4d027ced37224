"""A team as its managers see it: members with their usage, and their shares of a project. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.amounts import nano
from telemhq_agents.contract.team_usage import BillingKind
from telemhq_agents.ledger.report import moment_of
from telemhq_cli.render.bars import bar
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import ago, cost, moment, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.team_usage import BillingCounts, Figures, MemberUsage, TeamUsage

PROJECT_SCHEMA = "telemhq.team-project/1"
REVOKED = "revoked"
REVOKED_MARK = "(revoked)"
BAR_WIDTH = 10
BILLING = {
    BillingKind.SELF_BILLED: "self-billed",
    BillingKind.TEAM_PAID: "team-paid",
    BillingKind.FUTURE_TEAM_PAID: "future team",
}
SENT_WITHOUT = "* Some of it was sent without a cost. Next: telemhq usage --team --by model"
NOBODY = "Nobody used anything for {project!r} in this period."
_COST, _TOKENS = "cost_usd", "total_tokens"
_MEASURES = {_COST: "cost", _TOKENS: "tokens"}
_FIGURES = (
    Column("runs", "Runs", whole, is_figure=True, grudged=1),
    Column("failures", "Failed", whole, is_figure=True, grudged=2),
    Column("total_tokens", "Tokens", whole, is_figure=True),
    Column("cost_usd", "Cost", is_figure=True),
)


def usage_table(found: TeamUsage, zone: ZoneInfo, now_ms: int) -> Table:
    """Return a team's members for people, with their billing and the team's total below.

    Where there is room, when somebody was last seen is told as a time, else as how long ago.
    """
    failing = sum(one.failing for one in found.members)

    def since(at: str | None) -> str:
        return "" if at is None else ago(now_ms - from_iso(at))

    columns = (
        Column("member", "Member", copied=True),
        Column("role", "Role", spare=2),
        *_FIGURES,
        Column("trackers", "Trackers", whole, is_figure=True, spare=1),
        Column("failing", "Failing", whole, is_figure=True, is_detail=not failing, spare=3),
        Column("last_seen_at", "Seen", moment, short=since, grudged=4),
        Column("billing", "Billing", grudged=3),
    )
    rows = [
        (
            *(one.email, one.role.value, *_shown(one.figures)),
            *(one.trackers, one.failing, one.last_seen_at, _billing(one)),
        )
        for one in found.members
    ]
    trackers = sum(one.trackers for one in found.members)
    total = ("Total", "", *_shown(found.total), trackers, failing, None, "")
    return Table(
        columns,
        rows,
        total=total,
        title=f"{found.name}, {period_in_words(found, zone)}",
        notes=(billing_in_words(found.billing), *_footnotes(found.total)),
        faint=_revoked(found.members),
    )


def usage_for_programs(found: TeamUsage) -> Table:
    """Return every figure of every member, raw, one column each."""
    flat = [_flat(one) for one in found.members]
    names = list(flat[0]) if flat else []
    columns = tuple(Column(name, name) for name in names)
    return Table(columns, [tuple(one.values()) for one in flat])


def project_table(found: TeamUsage, project: str, zone: ZoneInfo) -> Table:
    """Return who did how much for a project; members who did nothing for it are left out."""
    busy = _busy(found)
    columns = (
        Column("member", "Member", copied=True),
        Column("role", "Role", spare=2),
        *_FIGURES,
        Column("percent", "Share", _percent, is_figure=True),
        Column("share", f"Of {_MEASURES[measure(found)]}", _bar, spare=1),
    )
    shares = [share(one, found) for one in busy]
    rows = [
        (_marked(one), one.role.value, *_shown(one.figures), part, part)
        for one, part in zip(busy, shares, strict=True)
    ]
    return Table(
        columns,
        rows,
        total=("Total", "", *_shown(found.total), 1.0, 1.0) if busy else None,
        title=f"{project} in {found.name}, {period_in_words(found, zone)}",
        notes=_footnotes(found.total),
        empty=NOBODY.format(project=project),
        faint=_revoked(busy),
    )


def project_for_programs(found: TeamUsage) -> Table:
    """Return the same for programs: every figure, and each member's share."""
    flat = [{**_flat(one), "share": share(one, found)} for one in _busy(found)]
    names = list(flat[0]) if flat else ["member", "share"]
    columns = tuple(Column(name, name) for name in names)
    return Table(columns, [tuple(one.values()) for one in flat])


def project_document(found: TeamUsage, project: str) -> dict[str, Any]:
    """Return a project's shares as JSON shows them, `telemhq.team-project/1`."""
    members = [{**asdict(one), "share": share(one, found)} for one in _busy(found)]
    rest = {name: value for name, value in asdict(found).items() if name != "billing"}
    told = {"schema": PROJECT_SCHEMA, "project": project, "share_of": measure(found)}
    return {**rest, **told, "members": members}


def measure(found: TeamUsage) -> str:
    """Name the figure that shares are shares of: the cost, or tokens where nothing has one."""
    return _COST if found.total.cost_usd else _TOKENS


def share(one: MemberUsage, found: TeamUsage) -> float:
    """Return a member's share of the total, 0 to 1; 0 where the total is nothing."""
    name = measure(found)
    total = getattr(found.total, name)
    return getattr(one.figures, name) / total if total else 0.0


def period_in_words(found: TeamUsage, zone: ZoneInfo) -> str:
    """Say which time was counted, on the clock of `zone`."""
    since = "" if found.since is None else _local(found.since, zone)
    until = "" if found.until is None else _local(found.until, zone)
    if since and until:
        return f"{since} to before {until} ({zone.key})"
    if since:
        return f"since {since} ({zone.key})"
    return f"before {until} ({zone.key})" if until else "all time"


def billing_in_words(counts: BillingCounts) -> str:
    """Say how many members are paid for how; Pro-equivalent are the first two together."""
    return (
        f"Billing: {counts.team_paid} team-paid + {counts.self_billed} self-billed"
        f" = {counts.pro_equivalent} Pro-equivalent;"
        f" {counts.future_team_paid} future team-paid, {counts.revoked} revoked."
    )


def _local(iso: str, zone: ZoneInfo) -> str:
    local = moment_of(from_iso(iso), zone)
    return (
        f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"
    )


def _billing(one: MemberUsage) -> str:
    return REVOKED_MARK if one.state == REVOKED else BILLING[one.billing]


def _marked(one: MemberUsage) -> str:
    return f"{one.email} {REVOKED_MARK}" if one.state == REVOKED else one.email


def _revoked(members: Sequence[MemberUsage]) -> frozenset[int]:
    return frozenset(at for at, one in enumerate(members) if one.state == REVOKED)


def _busy(found: TeamUsage) -> list[MemberUsage]:
    return [one for one in found.members if any(asdict(one.figures).values())]


def _shown(figures: Figures) -> tuple[int, int, int, str]:
    spent = cost(nano(figures.cost_usd), figures.unpriced_tokens)
    return figures.runs, figures.failures, figures.total_tokens, spent


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _bar(value: float) -> str:
    return bar(value, BAR_WIDTH)


def _footnotes(total: Figures) -> tuple[str, ...]:
    return (SENT_WITHOUT,) if total.unpriced_tokens else ()


def _flat(one: MemberUsage) -> dict[str, Any]:
    """Return a member as one row: who, what they used, what they own."""
    who = {"member": one.email, "name": one.name, "role": one.role.value, "state": one.state}
    owned = {"trackers": one.trackers, "failing": one.failing}
    seen = {"last_seen_at": one.last_seen_at, "joined_at": one.joined_at}
    return {**who, "billing": one.billing.value, **asdict(one.figures), **owned, **seen}
