"""The managers' view: every member's usage, trackers and billing, and a total that is the team's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from server_stub.reports.team_usage import billing_counts
from server_stub.store.accounts import AccountMember
from telemhq_agents.contract import routes
from telemhq_agents.contract.resources import Role
from telemhq_agents.contract.team_usage import BillingCounts, BillingKind, TeamUsage
from tests.server_stub.cast import Cast, Person, run_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

PAID, LATER, SELF = BillingKind.TEAM_PAID, BillingKind.FUTURE_TEAM_PAID, BillingKind.SELF_BILLED


def ping(person: Person, tracker: Any, ended_at: str, **fields: object) -> None:
    answer = person.http.post(tracker["ping_url"], json={"ended_at": ended_at, **fields})
    assert answer.status_code == 200, answer.text


def set_state(cast: Cast, email: str, state: str) -> None:
    run_sql(
        cast.settings,
        "UPDATE memberships SET state = :state WHERE account_id = :team"
        " AND user_id = (SELECT id FROM users WHERE email = :email)",
        state=state,
        team=int(cast.team),
        email=email,
    )


@pytest.fixture
def busy(cast: Cast) -> Cast:
    """Grace's, Carl's and (before she was revoked) Rita's runs on two days, in two projects."""
    grace, carl = cast.member.new_tracker("Codex"), cast.colleague.new_tracker("cron")
    set_state(cast, "rita@example.com", "active")
    rita = cast.revoked.new_tracker("old")
    tokens = {"input_tokens": 100, "output_tokens": 20}
    ping(cast.member, grace, "2026-03-01T10:00:00Z", project="api", cost_usd=0.25, **tokens)
    ping(cast.member, grace, "2026-03-02T10:00:00Z", project="web", **tokens)
    ping(cast.colleague, carl, "2026-03-02T11:00:00Z", project="api", status="failed")
    ping(cast.revoked, rita, "2026-03-01T12:00:00Z", project="api", cost_usd=2, input_tokens=7)
    set_state(cast, "rita@example.com", "revoked")
    return cast


def usage_of(cast: Cast, **params: object) -> TeamUsage:
    answer = cast.manager.got(routes.TEAM_USAGE.format(team_id=cast.team), **params)
    found = msgspec.convert(answer, TeamUsage)
    assert msgspec.to_builtins(found) == answer
    return found


def by_name(found: TeamUsage) -> dict[str, Any]:
    return {one.email.partition("@")[0]: one for one in found.members}


def test_every_member_stands_there_the_costliest_first(busy: Cast) -> None:
    found = usage_of(busy)

    assert [one.email.partition("@")[0] for one in found.members] == [
        *("rita", "grace", "ada", "carl", "mona")
    ]
    people = by_name(found)
    assert [(name, one.role, one.state) for name, one in people.items()] == [
        ("rita", Role.MEMBER, "revoked"),
        ("grace", Role.MEMBER, "active"),
        ("ada", Role.OWNER, "active"),
        ("carl", Role.MEMBER, "active"),
        ("mona", Role.MANAGER, "active"),
    ]
    figures = {name: one.figures for name, one in people.items()}
    assert {name: one.runs for name, one in figures.items()} == {
        "rita": 1,
        "grace": 2,
        "ada": 0,
        "carl": 1,
        "mona": 0,
    }
    assert (figures["grace"].total_tokens, figures["grace"].cost_usd) == (240, 0.25)
    assert (figures["rita"].total_tokens, figures["rita"].cost_usd) == (7, 2.0)
    assert (figures["carl"].failures, found.total.failures) == (1, 1)


@pytest.mark.parametrize(
    "period",
    [
        {},
        {"since": "2026-03-02"},
        {"until": "2026-03-01"},
        {"since": "2026-03-01", "until": "2026-03-02", "project": "api"},
        {"since": "2026-03-01T10:30:00Z", "timezone": "Asia/Kolkata"},
    ],
)
def test_the_members_add_up_to_the_teams_own_report(busy: Cast, period: dict[str, str]) -> None:
    found = usage_of(busy, **period)
    report = busy.manager.got(routes.USAGE, scope="team", account=busy.team, **period)

    total = msgspec.to_builtins(found.total)
    assert total == report["total"]
    rows = [msgspec.to_builtins(one.figures) for one in found.members]
    assert {name: sum(row[name] for row in rows) for name in total} == total
    assert total["runs"] > 0


def test_a_project_counts_what_was_done_for_it_alone(busy: Cast) -> None:
    people = by_name(usage_of(busy, project="api"))

    assert {name: one.figures.runs for name, one in people.items()} == {
        "rita": 1,
        "grace": 1,
        "carl": 1,
        "ada": 0,
        "mona": 0,
    }


def test_trackers_are_counted_by_who_owns_them(busy: Cast) -> None:
    second = busy.member.new_tracker("nightly")
    assertion = {"path": "items", "operator": "greater_than", "value": 0}
    busy.member.did(
        "PUT", routes.TRACKER_RULES.format(tracker_id=second["id"]), {"assertions": [assertion]}
    )
    ping(busy.member, second, "2026-03-03T10:00:00Z", items=0)
    gone = busy.member.new_tracker("gone")
    busy.member.did("DELETE", routes.TRACKER.format(tracker_id=gone["id"]))

    people = by_name(usage_of(busy))

    assert {name: (one.trackers, one.failing) for name, one in people.items()} == {
        "rita": (1, 0),
        "grace": (2, 1),
        "carl": (1, 1),
        "ada": (0, 0),
        "mona": (0, 0),
    }


def test_last_seen_is_when_the_last_run_came_whatever_the_period(busy: Cast) -> None:
    own = busy.member.got(routes.TRACKERS)
    people = by_name(usage_of(busy, since="2030-01-01"))

    assert people["grace"].last_seen_at == own[0]["last_run_at"]
    assert people["ada"].last_seen_at is None


def test_the_period_that_was_counted_is_told(busy: Cast) -> None:
    found = usage_of(busy, since="2026-03-01", until="2026-03-01", timezone="Asia/Kolkata")

    assert (found.since, found.until) == ("2026-02-28T18:30:00.000Z", "2026-03-01T18:30:00.000Z")
    assert (found.name, found.timezone) == ("Engines", "Asia/Kolkata")


def test_members_are_told_by_who_pays_for_them(busy: Cast) -> None:
    run_sql(
        busy.settings,
        "UPDATE memberships SET billing_kind = 'team-paid' WHERE account_id = :team"
        " AND user_id = (SELECT id FROM users WHERE email = 'grace@example.com')",
        team=int(busy.team),
    )

    found = usage_of(busy)

    assert by_name(found)["grace"].billing is BillingKind.TEAM_PAID
    assert found.billing == BillingCounts(
        team_paid=1, future_team_paid=0, self_billed=3, revoked=1, pro_equivalent=4
    )


def member(billing: BillingKind, state: str = "active") -> AccountMember:
    return AccountMember(1, "a@example.com", "A", Role.MEMBER, state, billing, 0)


@pytest.mark.parametrize(
    ("members", "counts"),
    [
        ([], (0, 0, 0, 0, 0)),
        ([member(PAID), member(LATER), member(LATER), member(SELF)], (1, 2, 1, 0, 2)),
        ([member(PAID, "revoked"), member(SELF, "revoked"), member(SELF)], (0, 0, 1, 2, 1)),
    ],
)
def test_billing_counts_leave_the_revoked_apart(
    members: Sequence[AccountMember], counts: tuple[int, int, int, int, int]
) -> None:
    assert billing_counts(members) == BillingCounts(*counts)


def test_a_period_that_holds_no_time_names_its_fields(sqlite_cast: Cast) -> None:
    path = routes.TEAM_USAGE.format(team_id=sqlite_cast.team)
    answer = sqlite_cast.owner.ask(
        "GET", path, params={"since": "2026-03-02", "until": "2026-03-01"}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "since/until"
