"""`telemhq team usage` and `team project`, against a real server with a real team."""

from __future__ import annotations

import csv
import io
import sqlite3
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from telemhq_agents.clock import from_iso, now_ms
from telemhq_agents.errors import UsageError
from telemhq_cli.commands.team_usage import Period, window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

    People = Callable[[str], CommandLine]


def tracker_of(person: CommandLine, name: str) -> str:
    url: str = person.asks("tracker", "create", name)["ping_url"]
    return url


def ping(url: str, **fields: object) -> None:
    assert httpx.post(url, json=fields).status_code == 200


def set_state(tmp_path: Path, email: str, state: str) -> None:
    with sqlite3.connect(tmp_path / "server.sqlite3", timeout=5) as connection:
        changed = connection.execute(
            "UPDATE memberships SET state = ? WHERE account_id IN"
            " (SELECT id FROM accounts WHERE kind = 'team')"
            " AND user_id = (SELECT id FROM users WHERE email = ?)",
            (state, email),
        ).rowcount
    connection.close()
    assert changed == 1


@pytest.fixture
def ada(people: People, server: RunningServer, tmp_path: Path) -> CommandLine:
    """Ada, who owns Engines; Grace and (revoked by now) Rita did work for two projects of it."""
    ada = people("ada")
    ada("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    ada("team", "create", "Engines")
    for name, spent in (("grace", 0.75), ("rita", 0.25)):
        link = ada.asks("team", "invite", f"{name}@example.com")["link"]
        person = people(name)
        person("team", "accept", link)
        url = tracker_of(person, f"{name}'s job")
        ping(url, project="api", cost_usd=spent, input_tokens=100)
        ping(url, project="web", status="failed", input_tokens=1000)
    set_state(tmp_path, "rita@example.com", "revoked")
    return ada


def test_a_manager_sees_every_member_and_the_revoked_one_marked(ada: CommandLine) -> None:
    done = ada("team", "usage")

    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0].startswith("Engines, since ")
    assert "Member Role Runs Failed Tokens Cost Trackers Failing Seen Billing" in lines
    (grace,) = [line for line in lines if line.startswith("grace@example.com")]
    (rita,) = [line for line in lines if line.startswith("rita@example.com")]
    assert grace.startswith("grace@example.com member 2 1 1,100 $0.7500* 3 1 20")
    assert rita.startswith("rita@example.com member 2 1 1,100 $0.2500* 3 1 20")
    assert (grace.rpartition("Z ")[2], rita.rpartition("Z ")[2]) == ("self-billed", "(revoked)")
    (total,) = [line for line in lines if line.startswith("Total")]
    assert total.startswith("Total 4 2 2,200 $1.00* ")
    assert (
        "Billing: 0 team-paid + 2 self-billed = 2 Pro-equivalent; 0 future team-paid, 1 revoked."
        in lines
    )


def test_the_members_sum_is_the_teams_report_in_json_and_csv_too(ada: CommandLine) -> None:
    done = ada("team", "usage", "--json")
    found = done.document
    report = ada.asks("usage", "--team", "--by", "member")

    assert found["total"] == report["total"]
    assert {one["email"]: one["figures"]["total_tokens"] for one in found["members"]} == {
        "grace@example.com": 1100,
        "rita@example.com": 1100,
        "ada@example.com": 0,
    }
    assert done.envelope["schema"] == "telemhq.team-usage/1"
    rows = list(csv.DictReader(io.StringIO(ada("team", "usage", "--csv").out)))
    assert [(row["member"], row["state"], row["cost_usd"], row["trackers"]) for row in rows] == [
        ("grace@example.com", "active", "0.75", "3"),
        ("rita@example.com", "revoked", "0.25", "3"),
        ("ada@example.com", "active", "0.0", "2"),
    ]


def test_a_project_shows_each_members_share(ada: CommandLine) -> None:
    done = ada("team", "project", "api")

    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0].startswith("api in Engines, since ")
    assert "Member Role Runs Failed Tokens Cost Share Of cost" in lines
    assert "grace@example.com member 1 0 100 $0.7500 75% ███████▌" in lines
    assert "rita@example.com (revoked) member 1 0 100 $0.2500 25% ██▌" in lines
    assert "ada@example.com" not in done.out
    in_ascii = ada("team", "project", "api", "--ascii").out
    assert "75%  ########" in in_ascii
    assert in_ascii.isascii()


def test_shares_are_of_tokens_where_nothing_has_a_cost(ada: CommandLine) -> None:
    done = ada("team", "project", "web", "--json")
    found = done.document

    assert done.envelope["schema"] == "telemhq.team-project/1"
    assert found["share_of"] == "total_tokens"
    assert [one["share"] for one in found["members"]] == [0.5, 0.5]
    assert "Of tokens" in ada("team", "project", "web").out


def test_a_slip_in_a_projects_name_is_told_and_a_project_that_rests_is_none(
    ada: CommandLine,
) -> None:
    done = ada("team", "project", "apo", code=2)
    rested = ada("team", "project", "api", "--until", "2020-01-01")

    assert "There is no project 'apo' in Engines; did you mean 'api'?" in done.complaint
    assert "Nobody used anything for 'api' in this period." in rested.out


def test_a_member_is_told_that_this_is_for_managers(ada: CommandLine, people: People) -> None:
    link = ada.asks("team", "invite", "carl@example.com")["link"]
    carl = people("carl")
    carl("team", "accept", link)

    done = carl("team", "usage", code=None)

    assert done.code != 0
    assert "As member of Engines you may not see the usage of the whole account" in done.complaint


RIGA = ZoneInfo("Europe/Riga")
NOW = from_iso("2026-11-20T18:00:00Z")
WINDOWS: list[tuple[Any, dict[str, str]]] = [
    ((None, None), {"since": "2026-10-31T22:00:00.000Z"}),
    (("2026-11-02", None), {"since": "2026-11-01T22:00:00.000Z"}),
    ((None, "2026-11-02"), {"until": "2026-11-02T22:00:00.000Z"}),
    (
        ("yesterday", "yesterday"),
        {"since": "2026-11-18T22:00:00.000Z", "until": "2026-11-19T22:00:00.000Z"},
    ),
]


@pytest.mark.parametrize(("asked", "ends"), WINDOWS)
def test_a_report_is_of_this_month_unless_it_is_asked_otherwise(
    asked: tuple[str | None, str | None], ends: dict[str, str]
) -> None:
    assert window(Period(*asked, None), RIGA, NOW) == ends


def test_a_period_that_holds_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="No time lies between"):
        window(Period("2026-11-03", "2026-11-01", None), RIGA, now_ms())
