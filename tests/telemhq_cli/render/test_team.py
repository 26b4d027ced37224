"""A team's members on a screen: who was revoked stands back, narrow screens keep what matters."""

from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.resources import Role
from telemhq_agents.contract.team_usage import (
    BillingCounts,
    BillingKind,
    MemberUsage,
    TeamUsage,
    figures_of,
)
from telemhq_cli.render.team import (
    billing_in_words,
    period_in_words,
    project_document,
    project_table,
    share,
    usage_for_programs,
    usage_table,
)
from telemhq_cli.render.terminal import print_boxed

NOW = from_iso("2026-11-20T18:00:00Z")
RIGA = ZoneInfo("Europe/Riga")
DOLLAR = 1_000_000_000


def member(name: str, spent: int, state: str = "active", tokens: int = 1_000_000) -> MemberUsage:
    return MemberUsage(
        id=name,
        email=f"{name}@example.com",
        name=name.title(),
        role=Role.MEMBER,
        state=state,
        billing=BillingKind.FUTURE_TEAM_PAID,
        joined_at="2026-01-01T00:00:00.000Z",
        last_seen_at="2026-11-20T15:00:00.000Z",
        trackers=12,
        failing=1,
        figures=figures_of(
            Amounts(runs=123 if tokens else 0, total_tokens=tokens, cost_nano=spent * DOLLAR)
        ),
    )


GRACE, RITA = member("grace", 150), member("rita", 50, "revoked")
TEAM = TeamUsage(
    team="1",
    name="Engines",
    since="2026-10-31T22:00:00.000Z",
    until=None,
    timezone=RIGA.key,
    members=[GRACE, RITA, member("idle", 0, tokens=0)],
    total=figures_of(Amounts(runs=246, total_tokens=2_000_000, cost_nano=200 * DOLLAR)),
    billing=BillingCounts(1, 2, 3, 1, 4),
)


def on_screen(width: int) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard", width=width)
    print_boxed(usage_table(TEAM, RIGA, NOW).for_people(), console)
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_who_was_revoked_is_dim_and_marked(width: int) -> None:
    rows = {
        name: line
        for line in on_screen(width).splitlines()
        for name in ("grace", "rita", "Total")
        if name in line
    }

    assert "\x1b[2m" in rows["rita"]
    assert "(revoked)" in rows["rita"]
    assert "\x1b[2m" not in rows["grace"]
    assert "(revoked)" not in rows["grace"]
    assert "\x1b[1m" in rows["Total"]


def test_eighty_columns_hold_what_a_manager_asks_for() -> None:
    shown = on_screen(80)

    for title in ("Member", "Runs", "Failed", "Tokens", "Cost", "Trackers", "Seen", "Billing"):
        assert title in shown
    assert "3 h" in shown
    assert "future team" in shown


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_is_wider_than_was_asked_for(width: int) -> None:
    for table in (usage_table(TEAM, RIGA, NOW), project_table(TEAM, "api", RIGA)):
        lines = table.for_people().lines(width)

        assert max(map(len, lines)) <= width
        assert any("grace" in line and "$150.00" in line for line in lines)


def test_a_wide_screen_tells_when_somebody_was_seen() -> None:
    assert "2026-11-20 15:00Z" in on_screen(160)


def test_for_programs_everybody_has_every_figure() -> None:
    table = usage_for_programs(TEAM)

    first = table.records()[0]
    assert (first["member"], first["state"], first["billing"]) == (
        *("grace@example.com", "active"),
        "future-team-paid",
    )
    assert (first["cost_usd"], first["trackers"], first["failing"]) == (150.0, 12, 1)
    assert len(table.rows) == 3


def test_a_projects_shares_add_up_and_leave_the_idle_out() -> None:
    table = project_table(TEAM, "api", RIGA)

    assert [(row[0], row[-1]) for row in table.rows] == [
        ("grace@example.com", 0.75),
        ("rita@example.com (revoked)", 0.25),
    ]
    assert table.faint == frozenset({1})
    document = project_document(TEAM, "api")
    assert (document["schema"], document["share_of"]) == ("telemhq.team-project/1", "cost_usd")
    assert sum(one["share"] for one in document["members"]) == 1


def test_where_there_is_nothing_a_share_is_nothing() -> None:
    nobody = TeamUsage("1", "E", None, None, "UTC", [], figures_of(Amounts()), TEAM.billing)

    assert share(member("idle", 0, tokens=0), nobody) == 0
    assert project_table(nobody, "api", RIGA).rows == []


PERIODS = [
    (None, None, "all time"),
    ("2026-10-31T22:00:00.000Z", None, "since 2026-11-01 (Europe/Riga)"),
    (None, "2026-11-01T10:15:00.000Z", "before 2026-11-01 12:15 (Europe/Riga)"),
    (
        "2026-10-31T22:00:00.000Z",
        "2026-11-02T22:00:00.000Z",
        "2026-11-01 to before 2026-11-03 (Europe/Riga)",
    ),
]


@pytest.mark.parametrize(("since", "until", "expected"), PERIODS)
def test_the_period_is_told_on_the_teams_clock(
    since: str | None, until: str | None, expected: str
) -> None:
    found = TeamUsage("1", "E", since, until, RIGA.key, [], TEAM.total, TEAM.billing)

    assert period_in_words(found, RIGA) == expected


def test_billing_is_told_in_one_line() -> None:
    assert billing_in_words(BillingCounts(1, 2, 3, 5, 4)) == (
        "Billing: 1 team-paid + 3 self-billed = 4 Pro-equivalent; 2 future team-paid, 5 revoked."
    )
