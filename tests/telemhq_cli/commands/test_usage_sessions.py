"""`telemhq usage sessions` and `usage session ID`: one by one, turn by turn."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from telemhq_agents import clock
from telemhq_agents.clock import from_iso
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

NOON = from_iso("2026-03-02T12:00:00Z")
HOUR = 3600 * 1000
DAY = 24 * HOUR
SUMS = (
    "runs",
    "failures",
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
    "cost_usd",
)


@pytest.fixture
def worked(telemhq: CommandLine) -> tuple[CommandLine, CodexSession, ClaudeSession]:
    """A Codex session of two turns at noon and one, and Claude Code's in the evening."""
    codex = CodexSession(telemhq.machine.home / "codex", NOON)
    codex.turn(NOON, 1_000_000, 10)
    codex.turn(NOON + HOUR, 200_000, 5)
    claude = ClaudeSession(telemhq.machine.home / "claude")
    claude.prompt(NOON + 8 * HOUR, 500, 20)
    return telemhq, codex, claude


Worked = tuple["CommandLine", CodexSession, ClaudeSession]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_session_has_one_line_the_latest_first(worked: Worked) -> None:
    telemhq, codex, claude = worked

    lines = telemhq("usage", "sessions", "--timezone", "UTC").out.splitlines()

    assert lines[0].split() == [
        *("Session", "Seen", "Project", "Model", "Time", "Tokens", "Cost", "End")
    ]
    assert lines[2].startswith(f"{claude.session[:8]}  2026-03-02 20:00  billing")
    assert lines[3].startswith(f"{codex.thread[:8]}  2026-03-02 13:00  billing  gpt-5.4")
    assert "1 h 00 min  1,200,015" in lines[3]
    assert lines[-1].split()[:2] == ["Total", "1,200,535"]


def test_sessions_add_up_to_the_report(worked: Worked) -> None:
    telemhq, *_ = worked
    for filters in ((), ("--source", "codex"), ("--model", "gpt-5.4"), ("--since", "2026-03-03")):
        found = telemhq.asks("usage", "sessions", "--limit", "1", *filters)
        report = telemhq.asks("usage", *filters)["total"]
        for figure in SUMS:
            listed = sum(one[figure] for one in found["sessions"])
            assert found["total"][figure] == report[figure], (filters, figure)
            assert round(listed + found["rest"][figure], 9) == report[figure], (filters, figure)


def test_what_is_not_listed_is_summed_in_one_line(worked: Worked) -> None:
    telemhq, codex, _ = worked

    text = telemhq("usage", "sessions", "--limit", "1").out

    assert codex.thread[:8] not in text
    assert "1 more" in text
    assert "2 sessions in all; --limit 0 lists every one." in text
    for all_of_them in ("0", "2", f"{1 << 80}"):
        assert codex.thread[:8] in telemhq("usage", "sessions", "--limit", all_of_them).out


def test_at_eighty_columns_a_line_is_a_line(worked: Worked) -> None:
    telemhq, *_ = worked

    lines = telemhq("usage", "sessions", "--width", "80", "--timezone", "UTC").out.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[2].split()[1:] == [
        *("03-02", "20:00", "billing", "opus-4-8", "<1s", "520", "<$0.01", "ok")
    ]
    assert "1h00m" in lines[3]


@pytest.mark.parametrize("width", [40, 50, 60, 70])
def test_a_narrow_screen_cuts_no_figure_and_no_time_of_a_turn(worked: Worked, width: int) -> None:
    telemhq, codex, _ = worked
    asked = ("usage", "session", codex.thread, "--timezone", "UTC", "--width", str(width))

    lines = telemhq(*asked).out.splitlines()

    (turn,) = [line for line in lines if line.split()[:3] == ["1", "03-02", "12:00"]]
    assert turn.split()[-1].startswith("$")
    table = lines[lines.index("") : lines.index("", lines.index("") + 1)]
    assert max(map(len, table)) <= width
    assert len(table) == len(["", "names", "rule", "turn", "turn", "rule", "total"])


def test_no_sessions_is_said(telemhq: CommandLine) -> None:
    assert "No usage in this period. Looked in" in telemhq("usage", "sessions").out
    assert telemhq.asks("usage", "sessions")["sessions"] == []


def test_a_session_is_told_turn_by_turn(worked: Worked) -> None:
    telemhq, codex, _ = worked

    text = telemhq("usage", "session", codex.thread[:6], "--timezone", "UTC").out

    lines = text.splitlines()
    assert lines[0] == f"Session  {codex.thread}"
    assert "When     2026-03-02 12:00:00 to 2026-03-02 13:00:00" in lines
    assert "Lasted   1 h 00 min, active 1.8 s" in lines
    turns = [line.split() for line in lines if line.startswith("    ")]
    assert [turn[:4] for turn in turns[1:]] == [
        ["1", "2026-03-02", "12:00:00", "gpt-5.4"],
        ["2", "2026-03-02", "13:00:00", "gpt-5.4"],
    ]
    assert f"Line by line, and why: telemhq usage --explain {codex.thread[:8]}" in text


def test_the_turns_add_up_to_the_session_and_to_the_report(worked: Worked) -> None:
    telemhq, codex, _ = worked

    found = telemhq.asks("usage", "session", codex.thread)

    report = telemhq.asks("usage", "--source", "codex")["total"]
    for figure in SUMS:
        turned = sum(turn[figure] for turn in found["turns"])
        assert round(turned, 9) == found[figure] == report[figure], figure
    assert [turn["duration_ms"] for turn in found["turns"]] == [900, 900]


def test_a_turn_for_a_spreadsheet_names_its_session(worked: Worked) -> None:
    telemhq, codex, _ = worked

    found = rows(telemhq("usage", "session", codex.thread, "--csv").out)

    assert [one["session"] for one in found] == [codex.thread] * 2
    assert [one["input_tokens"] for one in found] == ["1000000", "200000"]
    assert [one["models"] for one in found] == ["gpt-5.4"] * 2


def test_an_id_that_names_none_or_several_is_refused(worked: Worked) -> None:
    telemhq, *_ = worked

    none = telemhq("usage", "session", "zzz", code=2)
    assert "No session begins with 'zzz'." in none.complaint
    assert "telemhq usage sessions" in none.complaint
    telemhq("usage", "session", "", code=2)
    telemhq("usage", "session", code=2)


def test_an_ambiguous_beginning_names_what_it_may_be(telemhq: CommandLine) -> None:
    made: dict[str, list[str]] = {}
    while not any(len(found) > 1 for found in made.values()):
        thread = CodexSession(telemhq.machine.home / "codex", NOON)
        thread.turn(NOON, 1, 1)
        made.setdefault(thread.thread[0], []).append(thread.thread)
    (several,) = [found for found in made.values() if len(found) > 1]

    done = telemhq("usage", "session", several[0][0], code=2)

    assert "may be any of" in done.complaint
    assert all(name in done.complaint for name in several)


# Real logs, with sub-agents, forks and failures

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("agent", ["claude_code/2.1.328", "codex/0.145.0"])
def test_every_session_of_real_logs_is_what_the_report_says_and_so_are_its_turns(
    telemhq: CommandLine, agent: str
) -> None:
    name = "codex" if agent.startswith("codex") else "claude"
    shutil.copytree(FIXTURES / agent / "home", telemhq.machine.home / name)
    report = {
        row["session"]: {figure: row[figure] for figure in SUMS}
        for row in telemhq.asks("usage", "--by", "session")["rows"]
    }

    found = telemhq.asks("usage", "sessions", "--limit", "0")["sessions"]

    assert {one["session"]: {name: one[name] for name in SUMS} for one in found} == report
    assert len(report) > 10
    several = [one for one in found if one["threads"] > 1]
    assert bool(several) is (name == "codex")
    for one in [*several, *found[:3]]:
        turns = telemhq.asks("usage", "session", one["session"])["turns"]
        assert len({turn["thread"] for turn in turns}) == one["threads"]
        for figure in SUMS:
            assert round(sum(turn[figure] for turn in turns), 9) == one[figure]


# On a server


def sent(telemhq: CommandLine, server: RunningServer) -> tuple[CodexSession, ClaudeSession]:
    at = clock.now_ms() - DAY
    codex = CodexSession(telemhq.machine.home / "codex", at)
    codex.turn(at, 1_000_000, 10)
    codex.turn(at + HOUR, 200_000, 5)
    claude = ClaudeSession(telemhq.machine.home / "claude")
    claude.prompt(at, 500, 20)
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    telemhq("agent", "once", "--backfill")
    return codex, claude


def known(found: Any) -> list[dict[str, Any]]:
    """Return what ledger and server know alike of sessions."""
    names = ("session", "source", "projects", "models", "threads", *SUMS)
    return sorted(
        ({name: one[name] for name in names} for one in found["sessions"]),
        key=lambda one: str(one["session"]),
    )


def test_a_servers_sessions_are_this_machines(telemhq: CommandLine, server: RunningServer) -> None:
    sent(telemhq, server)

    ours = telemhq.asks("usage", "sessions")

    for whose in ("--mine", "--team"):
        theirs = telemhq.asks("usage", "sessions", whose)
        assert known(theirs) == known(ours)
        assert {one["member"] for one in theirs["sessions"]} == {"ada@example.com"}
        figures = {name: theirs["total"][name] for name in SUMS}
        assert figures == {name: ours["total"][name] for name in SUMS}


def test_a_servers_session_is_told_ping_by_ping_with_exact_times(
    telemhq: CommandLine, server: RunningServer
) -> None:
    codex, _ = sent(telemhq, server)

    ours = telemhq.asks("usage", "session", codex.thread)
    theirs = telemhq.asks("usage", "session", codex.thread[:8], "--team")

    assert [{name: turn[name] for name in SUMS} for turn in theirs["turns"]] == [
        {name: turn[name] for name in SUMS} for turn in ours["turns"]
    ]
    assert theirs["exact_to_ms"] == 1
    assert theirs["ended_at"][:18] == ours["ended_at"][:18]
    text = telemhq("usage", "session", codex.thread[:8], "--mine").out
    assert "Member   ada@example.com" in text
    assert "As pings told it" in text
    assert "--explain" not in text


def test_pages_of_a_server_are_read_as_far_as_asked(
    telemhq: CommandLine, server: RunningServer
) -> None:
    sent(telemhq, server)

    text = telemhq("usage", "sessions", "--mine", "--limit", "1").out

    assert "1 more" in text
    assert "quarter-hour" in text
    assert len(telemhq.asks("usage", "sessions", "--mine", "--limit", "0")["sessions"]) == 2


def test_a_session_that_a_server_does_not_have_is_refused(
    telemhq: CommandLine, server: RunningServer
) -> None:
    sent(telemhq, server)

    done = telemhq("usage", "session", "zzz", "--mine", code=2)

    assert "No session begins with 'zzz'." in done.complaint


def test_a_servers_turns_are_its_sums_with_corrections_and_pings_beside_a_run(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    url = telemhq.asks("tracker", "create", "agents")["ping_url"]
    told: list[dict[str, Any]] = [
        {"input_tokens": 100, "output_tokens": 5, "model": "a", "tools": {"Bash": 2}},
        {"input_tokens": 30, "cost_usd": 0.25, "model": "b", "primary": False, "thread_id": "t2"},
        {"input_tokens": 7, "cost_usd": 0.5, "status": "error", "error": "overloaded"},
        {"kind": "correction", "corrects": "0", "revision": 1, "input_tokens": -10, "model": "a"},
    ]
    for number, body in enumerate(told):
        at = f"2026-03-02T12:0{number}:00Z"
        sent = httpx.post(
            url,
            json={"ended_at": at, "session_id": "s-1", "source": "claude", **body},
            headers={"Idempotency-Key": str(number)},
        )
        assert sent.status_code == 200, sent.text

    found = telemhq.asks("usage", "session", "s-", "--mine")

    for figure in SUMS:
        assert round(sum(turn[figure] for turn in found["turns"]), 9) == found[figure], figure
    assert [turn["runs"] for turn in found["turns"]] == [1, 0, 1, 0]
    assert [turn["unpriced_tokens"] for turn in found["turns"]] == [105, 0, 0, 0]
    assert [turn["failure"] for turn in found["turns"]] == ["", "", "overloaded", ""]
    assert found["turns"][0]["tools"] == {"Bash": 2}
    text = telemhq("usage", "session", "s-1", "--mine", "--width", "120").out
    (corrected,) = [line for line in text.splitlines() if "  correction  " in line]
    assert {"-10", "a"} <= set(corrected.split())
    assert "failed: overloaded" in text
    assert "Tools    Bash 2" in text
    assert "  Tools" in text.split("\n\n", 1)[1]


@pytest.mark.parametrize("name", ["a/b/runs", ".", "..", "?x=1#y", "%2F", "=1+1", "日本 語"])
def test_a_session_may_be_called_anything(
    telemhq: CommandLine, server: RunningServer, name: str
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    url = telemhq.asks("tracker", "create", "nightly")["ping_url"]
    assert httpx.post(url, json={"session_id": name, "input_tokens": 7}).status_code == 200

    told = telemhq.asks("usage", "session", name, "--mine")
    exported = rows(telemhq("usage", "export", "--mine", "--what", "turns").out)

    assert (told["session"], len(told["turns"]), told["total_tokens"]) == (name, 1, 7)
    assert [one["total_tokens"] for one in exported] == ["7"]
    assert "Tools" not in telemhq("usage", "session", name, "--mine", "--width", "200").out


def test_an_id_that_two_members_share_asks_whose(
    telemhq: CommandLine, people: Any, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    telemhq("team", "create", "Engines")
    link = telemhq.asks("team", "invite", "grace@example.com")["link"]
    grace = people("grace")
    grace("team", "accept", link)
    for person in (telemhq, grace):
        url = person.asks("tracker", "create", "agents")["ping_url"]
        body = {"ended_at": "2026-03-02T12:00:00Z", "session_id": "s-1", "input_tokens": 5}
        assert httpx.post(url, json=body).status_code == 200

    done = telemhq("usage", "session", "s-1", "--team", code=2)

    assert "s-1 of ada@example.com" in done.complaint
    assert "s-1 of grace@example.com" in done.complaint
    assert "--member" in done.complaint
    text = telemhq("usage", "session", "s-1", "--team", "--member", "grace@example.com").out
    assert "Member   grace@example.com" in text
