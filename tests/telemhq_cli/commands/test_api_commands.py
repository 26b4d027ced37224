"""The commands that speak to a server, against a real one."""

from __future__ import annotations

import csv
import io
import json
import stat
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from telemhq_agents import clock
from telemhq_agents.contract import routes
from telemhq_cli.commands.server import run_command
from tests.envelopes import data_of
from tests.telemhq_cli.logs import ClaudeSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

    People = Callable[[str], CommandLine]


def logged_in(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    return telemhq


def test_login_keeps_the_key_for_its_owner_alone_and_makes_this_machines_trackers(
    telemhq: CommandLine, server: RunningServer
) -> None:
    done = telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")

    assert "ada@example.com" in done.out
    assert server.api_key not in done.out + done.err
    path = telemhq.machine.ours / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    trackers = telemhq.asks("tracker", "list")
    assert {tracker["source"] for tracker in trackers} == {"codex", "claude"}
    assert {tracker["name"].split(" on ")[0] for tracker in trackers} == {"Codex", "Claude Code"}
    assert telemhq.asks("agent", "status")["sends_to"]["codex"].startswith("Ada: Codex on ")


def test_logging_in_again_makes_no_second_trackers(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    first = telemhq.asks("tracker", "list")

    logged_in(telemhq, server)

    assert telemhq.asks("tracker", "list") == first


def test_a_wrong_key_is_refused_and_leaves_nothing(
    telemhq: CommandLine, server: RunningServer
) -> None:
    done = telemhq("login", "--url", server.url, "--key-stdin", given="thq_made_up\n", code=5)

    assert "API key is unknown" in done.err
    assert not (telemhq.machine.ours / "credentials.json").exists()


def test_the_environment_is_login_enough(telemhq: CommandLine, server: RunningServer) -> None:
    telemhq.machine.extra.update(TELEMHQ_URL=server.url, TELEMHQ_API_KEY=server.api_key)

    assert telemhq.asks("whoami")["me"]["email"] == "ada@example.com"
    assert telemhq.asks("tracker", "create", "nightly")["name"] == "nightly"


def test_logout_forgets_the_key_and_sends_nothing_more(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)

    assert telemhq.asks("logout") == {"profile": "default", "was_logged_in": True}

    assert server.api_key not in (telemhq.machine.ours / "credentials.json").read_text()
    telemhq("whoami", code=4)
    assert set(telemhq.asks("agent", "status")["sends_to"].values()) == {""}
    assert telemhq.asks("logout")["was_logged_in"] is False


def test_a_trackers_life(telemhq: CommandLine, server: RunningServer) -> None:
    logged_in(telemhq, server)

    made = telemhq.asks("tracker", "create", "nightly report")
    assert made["ping_url"] in telemhq("tracker", "show", "nightly report").out
    assert telemhq.asks("tracker", "show", made["id"])["name"] == "nightly report"
    assert telemhq.asks("tracker", "pause", "nightly report")["state"] == "paused"
    assert telemhq.asks("tracker", "resume", "nightly report")["state"] == "new"
    assert (
        telemhq.asks("tracker", "update", "nightly report", "--name", "weekly")["id"] == made["id"]
    )
    rotated = telemhq.asks("tracker", "rotate", "weekly", "--yes")
    assert rotated["ping_url"] != made["ping_url"]
    assert telemhq("ping", made["ping_url"], code=5).err.count("\n") == 1
    telemhq("ping", "weekly", "-f", "items_processed=3")
    [run] = telemhq.asks("tracker", "runs", "weekly")
    assert run["payload"]["items_processed"] == 3
    assert telemhq.asks("tracker", "delete", "weekly", "--yes")["deleted"] is True
    assert "no tracker 'weekly'" in telemhq("tracker", "show", "weekly", code=2).err
    assert "no tracker 'weekly'" in telemhq("ping", "weekly", code=2).err


def test_what_is_gone_for_good_is_asked_about_first(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    telemhq("tracker", "create", "nightly")

    for verb in ("delete", "rotate"):
        assert "--yes" in telemhq("tracker", verb, "nightly", code=2).err
    assert len(telemhq.asks("tracker", "list")) == 3


def twin_of(tracker: dict[str, Any], server: RunningServer) -> dict[str, Any]:
    """Make another tracker of the same name, as another program may."""
    made = httpx.post(
        f"{server.url}{routes.TRACKERS}",
        json={"name": tracker["name"]},
        headers={"Authorization": f"Bearer {server.api_key}"},
    )
    made.raise_for_status()
    found: dict[str, Any] = made.json()
    return found


def test_a_second_tracker_of_a_name_is_refused_with_the_way_to_the_first(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    telemhq("tracker", "create", "nightly report")

    done = telemhq("tracker", "create", "nightly report", code=2)

    assert "already" in done.err
    assert "telemhq tracker show 'nightly report'" in done.err
    assert len(telemhq.asks("tracker", "list")) == 3


def test_an_id_is_shown_where_a_name_is_not_enough_and_always_to_programs(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    one = telemhq.asks("tracker", "create", "twin")

    assert one["id"] not in telemhq("tracker", "list").out
    assert one["id"] in telemhq("tracker", "list", "--csv").out
    other = twin_of(one, server)
    assert other["id"] in telemhq("tracker", "list").out


def test_tables_are_no_wider_than_a_terminal(telemhq: CommandLine, server: RunningServer) -> None:
    logged_in(telemhq, server)
    telemhq("tracker", "create", "nightly report")
    telemhq("ping", "nightly report")
    telemhq("key", "create", "continuous integration")

    for command in (["tracker", "list"], ["key", "list"], ["tracker", "runs", "nightly report"]):
        assert max(map(len, telemhq(*command).out.splitlines())) <= 80


def test_a_key_that_no_header_can_hold_is_named_as_such(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq.machine.extra.update(TELEMHQ_URL=server.url, TELEMHQ_API_KEY="\xe9")

    assert "no API key" in telemhq("usage", "--mine", code=2).err


def test_what_waits_for_a_tracker_that_is_gone_is_shown_with_what_helps(
    people: People, server: RunningServer
) -> None:
    laptop, desktop = people("laptop"), people("desktop")
    for machine in (laptop, desktop):
        logged_in(machine, server)
    [mine] = [one for one in laptop.asks("tracker", "list") if one["source"] == "claude"][:1]
    session = ClaudeSession(laptop.machine.home / "claude")
    now = clock.now_ms()
    session.prompt(now - 2000, 100, 10)
    session.prompt(now - 1000, 100, 10)
    for tracker in desktop.asks("tracker", "list"):
        if tracker["source"] == "claude":
            desktop("tracker", "rotate", tracker["id"], "--yes")

    laptop("agent", "once", "--backfill")
    shown = laptop("agent", "outbox").out
    laptop("login", "--url", server.url, "--key-stdin", given=server.api_key)
    laptop("agent", "outbox", "--retry")
    laptop("agent", "once")

    assert mine["name"] in shown
    assert "Next: telemhq login, then telemhq agent outbox --retry" in shown
    assert laptop.asks("agent", "outbox") == []
    assert laptop.asks("usage", "--mine")["total"]["input_tokens"] == 200


def test_two_trackers_of_one_name_are_told_apart_by_id(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    one = telemhq.asks("tracker", "create", "twin")
    other = twin_of(one, server)

    error = telemhq("tracker", "show", "twin", code=2).err
    telemhq("ping", other["id"])

    assert one["id"] in error
    assert other["id"] in error
    assert len(telemhq.asks("tracker", "runs", other["id"])) == 1
    assert telemhq.asks("tracker", "runs", one["id"]) == []


def test_a_tracker_made_elsewhere_is_found_by_its_name(
    people: People, server: RunningServer
) -> None:
    laptop, desktop = people("laptop"), people("desktop")
    for machine in (laptop, desktop):
        logged_in(machine, server)
    laptop("tracker", "create", "made on the laptop")

    desktop("ping", "made on the laptop")

    assert len(laptop.asks("tracker", "runs", "made on the laptop")) == 1


def test_pages_of_runs_are_put_together(telemhq: CommandLine, server: RunningServer) -> None:
    logged_in(telemhq, server)
    telemhq("tracker", "create", "busy")
    for number in range(5):
        telemhq("ping", "busy", "-f", f"n={number}")

    runs = telemhq.asks("tracker", "runs", "busy", "--limit", "3")
    rows = list(csv.DictReader(io.StringIO(telemhq("tracker", "runs", "busy", "--csv").out)))

    assert [run["payload"]["n"] for run in runs] == [4, 3, 2]
    assert len(rows) == 5


def test_keys_are_shown_once_and_revoked_at_once(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)

    shown = telemhq("key", "create", "ci")
    secret = shown.out.strip()
    listed = telemhq("key", "list", "--json").out
    [ci] = [key for key in data_of(listed) if key["name"] == "ci"]
    telemhq("key", "revoke", ci["id"], "--yes")

    assert secret.startswith("thq_")
    assert secret not in shown.err
    assert secret not in listed
    telemhq.machine.extra.update(TELEMHQ_API_KEY=secret)
    telemhq("whoami", code=5)


def test_a_team_from_founding_to_its_report(people: People, server: RunningServer) -> None:
    ada, grace = logged_in(people("ada"), server), people("grace")

    team = ada.asks("team", "create", "Analytical Engines")
    link = ada.asks("team", "invite", "grace@example.com")["link"]
    assert [one["email"] for one in ada.asks("team", "invitations")] == ["grace@example.com"]
    joined = grace.asks("team", "accept", link, "--name", "Grace")
    ada("tracker", "create", "ada's")
    grace("tracker", "create", "grace's")
    ada("ping", "ada's", "-f", "input_tokens=10", "-f", "model=gpt-5", "--project", "web")
    grace("ping", "grace's", "-f", "input_tokens=5", "--project", "web", "--status", "error")

    assert joined["account"]["id"] == team["id"]
    assert [member["email"] for member in ada.asks("team", "members")] == [
        "ada@example.com",
        "grace@example.com",
    ]
    assert [one["name"] for one in grace.asks("team", "list")] == ["Analytical Engines"]
    report = ada.asks("usage", "--team", "--by", "member")
    assert {row["member"]: (row["runs"], row["failures"]) for row in report["rows"]} == {
        "ada@example.com": (1, 0),
        "grace@example.com": (1, 1),
    }
    assert grace.asks("usage", "--mine")["total"]["runs"] == 1
    assert "manager" in grace("usage", "--team", code=5).err
    assert grace.asks("agent", "status")["sends_to"]["claude"].startswith("Analytical Engines: ")


def test_the_teams_report_shows_members_projects_and_models(
    people: People, server: RunningServer
) -> None:
    ada = logged_in(people("ada"), server)
    ada("team", "create", "Analytical Engines")
    ada("tracker", "create", "job")
    ada("ping", "job", "-f", "input_tokens=1234567", "--model", "gpt-5", "--project", "web")

    text = ada("usage", "--team").out

    assert [line.split(", ")[1] for line in text.splitlines() if line.startswith("Analytical")] == [
        "by member",
        "by project",
        "by model",
    ]
    assert "1,234,567" in text
    assert text.count("* Sent without a cost: gpt-5 (1,234,567 tokens)\n") == 3
    assert "No price" not in text + ada("usage", "--mine").out
    assert max(map(len, text.splitlines())) <= 80


def test_a_report_as_json_and_csv_has_its_stable_shape(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    telemhq("tracker", "create", "job")
    telemhq("ping", "job", "-f", "input_tokens=7", "-f", "cost_usd=0.25", "--model", "gpt-5")

    asked = ("usage", "--mine", "--by", "model", "--by", "day", "--timezone", "Asia/Kolkata")
    envelope = telemhq(*asked, "--json").envelope
    document = envelope["data"]
    rows = list(
        csv.DictReader(io.StringIO(telemhq("usage", "--mine", "--by", "model", "--csv").out))
    )

    figures = [
        *("runs", "responses", "input_tokens", "cached_input_tokens", "cache_write_tokens"),
        *("output_tokens", "reasoning_tokens", "total_tokens", "cost_usd", "unpriced_tokens"),
        "failures",
    ]
    assert (envelope["schema"], document["group_by"]) == ("telemhq.usage/1", ["model", "day"])
    assert list(document["rows"][0]) == ["model", "day", *figures]
    assert list(document["total"]) == figures
    assert document["total"]["cost_usd"] == 0.25
    assert document["unpriced_models"] == []
    assert list(rows[0]) == ["model", *figures, "unpriced_models"]
    assert (rows[0]["model"], rows[0]["input_tokens"], rows[0]["unpriced_models"]) == (
        *("gpt-5", "7", ""),
    )


@pytest.mark.parametrize("groups", [["project"], ["day", "model"]])
@pytest.mark.parametrize("whose", ["--mine", "--team"])
def test_every_report_of_the_server_names_the_models_without_a_cost(
    telemhq: CommandLine, server: RunningServer, whose: str, groups: list[str]
) -> None:
    ada = logged_in(telemhq, server)
    ada("team", "create", "Engines")
    ada("tracker", "create", "job")
    ada("ping", "job", "-f", "input_tokens=7", "--model", "nimbus-9")
    ada("ping", "job", "-f", "input_tokens=8", "-f", "cost_usd=0.25", "--model", "gpt-5")
    by = [part for group in groups for part in ("--by", group)]

    document = ada.asks("usage", whose, *by)
    rows = list(csv.DictReader(io.StringIO(ada("usage", whose, *by, "--csv").out)))

    assert document["unpriced_models"] == [{"model": "nimbus-9", "tokens": 7}]
    assert {row["unpriced_models"] for row in rows if int(row["unpriced_tokens"])} == {"nimbus-9"}
    assert {row["unpriced_models"] for row in rows if not int(row["unpriced_tokens"])} <= {""}


def test_an_invitation_to_another_server_needs_a_login_of_its_own(
    telemhq: CommandLine, server: RunningServer, people: People
) -> None:
    ada = logged_in(people("ada"), server)
    ada("team", "create", "Engines")
    link = ada.asks("team", "invite", "grace@example.com")["link"]
    path = telemhq.machine.ours / "credentials.json"
    path.parent.mkdir()
    elsewhere: dict[str, Any] = {"name": "default", "url": "https://elsewhere.example.com"}
    path.write_text(json.dumps({"version": 1, "profiles": {"default": elsewhere}}))

    refused = telemhq("team", "accept", link, code=2)
    telemhq("team", "accept", link, "--profile", "engines")

    assert "--profile" in refused.err
    assert telemhq.asks("whoami", "--profile", "engines")["me"]["email"] == "grace@example.com"
    profiles = json.loads(path.read_text())["profiles"]
    assert profiles["default"]["url"] == "https://elsewhere.example.com"


def test_somebody_with_a_login_accepts_with_it(people: People, server: RunningServer) -> None:
    ada, grace = logged_in(people("ada"), server), people("grace")
    ada("team", "create", "First")
    grace("team", "accept", ada.asks("team", "invite", "grace@example.com")["link"])
    key = json.loads((grace.machine.ours / "credentials.json").read_text())["profiles"]["default"]
    second = ada.asks("team", "create", "Second")
    link = ada.asks("team", "invite", "grace@example.com")["link"]

    grace("team", "accept", link)

    after = json.loads((grace.machine.ours / "credentials.json").read_text())["profiles"]["default"]
    assert (after["api_key"], after["account"]) == (key["api_key"], second["id"])
    assert [one["name"] for one in grace.asks("team", "list")] == ["First", "Second"]


def test_init_shows_the_key_alone_on_stdout(telemhq: CommandLine) -> None:
    done = telemhq("server", "init", "--email", "ada@example.com")

    assert done.out.startswith("thq_")
    assert done.out.count("\n") == 1
    assert "telemhq server run" in done.err
    assert "telemhq login --url http://127.0.0.1:8080" in done.err
    assert done.out.strip() not in done.err
    again = telemhq("server", "init", "--email", "ada@example.com", code=3)
    assert "set up already" in again.err


def test_init_names_the_database_that_it_made(telemhq: CommandLine, tmp_path: Path) -> None:
    path = f"{tmp_path}/of ours.sqlite3"

    done = telemhq("server", "init", "--email", "ada@example.com", "--database", path)

    assert f"Next: telemhq server run --database '{path}'\n" in done.err


@pytest.mark.parametrize(
    ("database", "shown"),
    [
        (None, "telemhq server run"),
        (
            "postgresql://ada@db/telemhq",
            "telemhq server run --database postgresql://ada@db/telemhq",
        ),
        ("postgresql://ada:made-up@db/t", "telemhq server run --database URL   (the same)"),
        ("postgresql://db/t?password=made-up", "telemhq server run --database URL   (the same)"),
    ],
)
def test_the_next_command_shows_no_password(database: str | None, shown: str) -> None:
    assert run_command(database) == shown


def test_the_servers_options_win_over_its_variables(telemhq: CommandLine) -> None:
    telemhq.machine.extra["TELEMHQ_PORT"] = "not a port"

    assert "TELEMHQ_PORT" in telemhq("server", "init", "--email", "a@example.com", code=3).err
    done = telemhq("server", "run", "--port", "0", "--host", "no such host", code=3)

    assert "TELEMHQ_HOST" in done.err
    assert "TELEMHQ_PORT" not in done.err
