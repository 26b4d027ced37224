"""`telemhq privacy …` and the settings behind it, on a machine with logs of both agents."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.contract.problem import Problem
from telemhq_agents.delivery.client import ApiClient
from telemhq_agents.errors import RefusedError
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

NOON = clock.from_iso("2026-03-01T12:00:00Z")
DIRECTORY = "/srv/made-up/billing"


@pytest.fixture
def logs(telemhq: CommandLine) -> CommandLine:
    """One Codex turn, and a later Claude Code prompt; both are in the ledger."""
    CodexSession(telemhq.machine.home / "codex", NOON).turn(NOON, 1000, 10)
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON + 60_000, 500, 20)
    telemhq("usage", "--local")
    return telemhq


def test_an_empty_ledger_says_what_to_run_first(telemhq: CommandLine) -> None:
    assert "telemhq usage --local" in telemhq("privacy", "preview", code=1).err


def test_the_preview_shows_what_is_known_beside_what_is_sent(logs: CommandLine) -> None:
    shown = logs.asks("privacy", "preview")

    sent = shown["sent"]
    assert (shown["level"], shown["private"]) == ("metadata", False)
    assert shown["known"]["directory"] == DIRECTORY
    assert sent["metadata"]["project"] == "billing"
    assert sent["metadata"]["input_tokens"] == sent["hashed"]["input_tokens"] == 500
    assert sent["hashed"]["project"].startswith("project-")
    assert sent["content-redacted"] == sent["metadata"]
    assert shown["never_sent"] == ["git remote", "prompts, replies, commands"]
    assert DIRECTORY not in json.dumps(sent)
    assert "billing" not in json.dumps(sent["hashed"])


def test_the_preview_reads_as_columns_and_ends_with_the_body(logs: CommandLine) -> None:
    lines = logs("privacy", "preview").out.splitlines()

    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["directory"][1] == DIRECTORY
    assert rows["project"][1:3] == ["billing", "billing"]
    assert rows["git remote"][-4:] == ["left", "out", "left", "out"]
    assert json.loads(lines[-1])["project"] == "billing"


def test_a_session_can_be_named(logs: CommandLine) -> None:
    codex = logs.asks("usage", "--local", "--by", "session", "--source", "codex")["rows"][0]

    shown = logs.asks("privacy", "preview", "--session", codex["session"])

    assert shown["sent"]["metadata"]["source"] == "codex"
    assert shown["sent"]["metadata"]["input_tokens"] == 1000
    assert "--by session" in logs("privacy", "preview", "--session", "no such", code=2).err


def test_the_preview_is_what_is_really_sent(logs: CommandLine, ping_server: Any) -> None:
    from telemhq_agents import credentials, locations
    from telemhq_agents.credentials import Destination

    path = locations.ours(logs.machine.environ).credentials
    home = Destination("home", ping_server.ping_url, "claude")
    credentials.change(
        path, lambda held: held.with_destination(home).with_source_sent("claude", "home", 0)
    )
    wanted = logs.asks("privacy", "preview")["sent"]["hashed"]
    logs("config", "set", "privacy", "hashed")

    logs("agent", "once")

    assert [request.payload for request in ping_server.pings] == [wanted]


def test_the_preview_hashes_under_the_key_of_where_the_turn_is_sent(
    logs: CommandLine, ping_server: Any
) -> None:
    from telemhq_agents import credentials, locations
    from telemhq_agents.credentials import Destination

    path = locations.ours(logs.machine.environ).credentials
    held = credentials.load(path)
    for source, key in (("codex", "another account's"), ("claude", "this account's")):
        home = Destination(source, ping_server.ping_url, source, name_key=key)
        held = held.with_destination(home).with_source_sent(source, home.id, 0)
    credentials.change(path, lambda _: held)

    shown = logs.asks("privacy", "preview")["sent"]["hashed"]

    digest = hmac.new(b"this account's", b"billing", hashlib.sha256).hexdigest()
    assert (shown["source"], shown["project"]) == ("claude", f"project-{digest[:12]}")


def test_nothing_is_sent_of_what_a_pattern_keeps(logs: CommandLine) -> None:
    logs("config", "set", "private", "/srv/made-up/*", "~/clients/**")

    shown = logs.asks("privacy", "preview")

    assert shown["private"] is True
    assert set(shown["sent"].values()) == {None}
    assert logs("config", "get", "private").out == "/srv/made-up/*\n~/clients/**\n"
    assert logs.asks("config", "get", "private")["value"] == ["/srv/made-up/*", "~/clients/**"]
    assert "/srv/made-up/* ~/clients/**" in logs("config", "list").out
    assert "stays here" in logs("privacy", "preview").out


def test_private_work_is_marked_in_local_reports(telemhq: CommandLine) -> None:
    telemhq("config", "set", "private", "/srv/made-up/*")
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 500, 20)

    rows = telemhq.asks("usage", "--local", "--by", "project")["rows"]

    assert [(row["project"], row["input_tokens"]) for row in rows] == [("private/billing", 500)]


def test_a_wrong_level_is_refused(telemhq: CommandLine) -> None:
    done = telemhq("config", "set", "privacy", "none", code=2)

    assert "metadata, hashed, content-redacted" in done.complaint


# The log of prompts


def test_no_prompt_is_kept_unless_the_level_says_so(logs: CommandLine) -> None:
    done = logs("privacy", "prompts")

    assert done.out == "No prompt is logged.\n"
    assert "telemhq config set privacy content-redacted" in done.err
    assert not list(logs.machine.ours.glob("prompts*"))


def test_prompts_are_kept_from_then_on_and_forgotten_when_told(telemhq: CommandLine) -> None:
    telemhq("config", "set", "privacy", "content-redacted")
    session = ClaudeSession(telemhq.machine.home / "claude")
    session.prompt(clock.now_ms() + 5, 500, 20)

    (kept,) = telemhq.asks("privacy", "prompts")
    assert (kept["source"], kept["session"], kept["project"], kept["prompt"]) == (
        *("claude", session.session, "billing"),
        "a made-up prompt",
    )
    assert telemhq.asks("privacy", "prompts", "--session", "another") == []
    assert "a made-up prompt" in telemhq("privacy", "prompts").out
    assert "a made-up prompt" in telemhq("privacy", "prompts", "--csv").out

    assert telemhq("privacy", "forget", code=2).out == ""
    assert telemhq.asks("privacy", "forget", "--yes") == {"forgotten": 1}
    assert telemhq.asks("privacy", "prompts") == []


def test_what_is_asked_while_nothing_is_kept_is_not_kept_later(telemhq: CommandLine) -> None:
    session = ClaudeSession(telemhq.machine.home / "claude")
    telemhq("config", "set", "privacy", "content-redacted")
    telemhq("config", "unset", "privacy")
    session.prompt(clock.now_ms(), 500, 20)
    time.sleep(0.002)

    telemhq("config", "set", "privacy", "content-redacted")

    assert telemhq.asks("privacy", "prompts") == []


def test_the_agent_keeps_prompts_and_a_full_pass_never_sends_one(telemhq: CommandLine) -> None:
    telemhq("config", "set", "privacy", "content-redacted")
    ClaudeSession(telemhq.machine.home / "claude").prompt(clock.now_ms() + 5, 500, 20)

    telemhq("agent", "once")

    path = telemhq.machine.ours / "prompts.jsonl"
    assert json.loads(path.read_text())["prompt"] == "a made-up prompt"
    for other in telemhq.machine.ours.rglob("*"):
        if other.is_file() and other != path:
            assert b"a made-up prompt" not in other.read_bytes(), other


# Hashed names of a team


def test_the_hashed_names_of_two_members_join_in_the_teams_report(
    people: Callable[[str], CommandLine], server: RunningServer
) -> None:
    ada, grace = people("ada"), people("grace")
    ada("login", "--url", server.url, "--key-stdin", given=server.api_key)
    ada("team", "create", "Engines")
    link = ada.asks("team", "invite", "grace@example.com")["link"]
    grace("team", "accept", link)
    for member in (ada, grace):
        member("config", "set", "privacy", "hashed")
        just_ended = clock.now_ms() - 500
        ClaudeSession(member.machine.home / "claude").prompt(just_ended, 500, 20)
        member("agent", "once")

    (row,) = ada.asks("usage", "--team", "--by", "project")["rows"]

    assert (row["input_tokens"], row["runs"]) == (1000, 2)
    kept = json.loads((ada.machine.ours / "credentials.json").read_text())["destinations"]
    keys = {one["name_key"] for one in kept.values() if "Engines" in one["label"]}
    assert len(keys) == 1
    digest = hmac.new(keys.pop().encode(), b"billing", hashlib.sha256).hexdigest()[:12]
    assert row["project"] == f"project-{digest}"


@pytest.mark.parametrize(("status", "code"), [(404, 0), (503, 5)])
def test_a_login_goes_without_a_naming_key_only_where_a_server_knows_of_none(
    telemhq: CommandLine,
    server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: int,
) -> None:
    def refused(_api: ApiClient, _account: str) -> str:
        raise RefusedError("No.", status=status, problem=Problem("no", "No", status))

    monkeypatch.setattr(ApiClient, "naming_key", refused)

    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key, code=code)


@pytest.mark.parametrize("arguments", [["preview"], ["prompts"], ["forget", "--yes"]])
def test_looking_at_what_is_sent_opens_no_connection(
    logs: CommandLine, arguments: list[str]
) -> None:
    code = (
        "import socket, sys; from telemhq_cli.main import main; socket.socket = None; "
        f"sys.argv = ['telemhq', 'privacy', *{arguments!r}]; code = main(); "
        "print('httpx' in sys.modules, file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=logs.machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.split()[-1] == "False"
