"""`telemhq top`: on a real ledger, in a real terminal, beside a real server."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from telemhq_agents import clock, locations
from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.ledger import locks
from telemhq_agents.ledger.report import zone_of
from telemhq_cli.commands import top_here
from telemhq_cli.commands.top import _OwnView as own_view
from telemhq_cli.commands.top_there import latest
from tests.telemhq_cli.logs import ClaudeSession, CodexSession
from tests.telemhq_cli.render.test_top import NOW, run
from tests.telemhq_cli.screens import ALTERNATE, HIDDEN, NORMAL, SHOWN, on_screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.contract.resources import Run
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer
    from tests.telemhq_cli.conftest import Machine

    People = Callable[[str], CommandLine]

TELEMHQ = (sys.executable, "-m", "telemhq_cli.main")
SUITED = {"TZ": "Etc/UTC"}


def soon() -> int:
    """A moment of today, in UTC, that is as late as can be, and not to come."""
    return clock.now_ms()


def work(machine: Machine) -> int:
    """Leave a Codex turn of now that ended, and one of Claude Code's that runs; return when."""
    now = soon()
    CodexSession(machine.home / "codex", now).turn(now, 1_000, 50)
    ClaudeSession(machine.home / "claude").prompt(now, 200, 10)
    return now


def test_a_pipe_gets_one_frame(telemhq: CommandLine) -> None:
    work(telemhq.machine)
    telemhq.machine.extra.update(SUITED)

    done = telemhq("top")

    lines = done.out.splitlines()
    assert lines[0].startswith("telemhq top · this machine ")
    assert any(line.startswith("Today  $") and "1.3k tokens" in line for line in lines)
    assert "\x1b" not in done.out
    assert max(map(len, lines)) <= 80


def test_json_is_the_frames_data(telemhq: CommandLine) -> None:
    work(telemhq.machine)
    telemhq.machine.extra.update(SUITED)

    done = telemhq("top", "--json")

    assert done.envelope["schema"] == "telemhq.top/1"
    found = done.document
    assert found["today"]["total_tokens"] == 1_260
    assert found["today"] == telemhq.asks("usage", "--since", "today")["total"]
    assert found["server"] is None
    sessions = [*found["running"], *found["latest"]]
    assert sorted(one["source"] for one in sessions) == ["claude", "codex"]


def test_the_day_is_compared_with_the_day_before_up_to_the_same_time() -> None:
    zone = zone_of("Europe/Riga")
    cases = {
        # Riga changes from +03:00 to +02:00 on 25 October 2026, at 04:00.
        "2026-11-20T16:52:07Z": ("11-19T22:00", "11-18T22:00", "11-19T17:00"),
        "2026-10-25T12:00:00Z": ("10-24T21:00", "10-23T21:00", "10-24T11:00"),
        "2026-11-19T22:00:00Z": ("11-19T22:00", "11-18T22:00", "11-18T22:15"),
        "2026-11-20T21:59:59Z": ("11-19T22:00", "11-18T22:00", "11-19T22:00"),
    }
    for now, expected in cases.items():
        found = top_here.day_so_far(from_iso(now), zone)

        assert [to_iso(ms)[5:16] for ms in found] == list(expected), now


def test_new_log_lines_are_read_at_each_look(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    zone = zone_of("UTC")
    now = soon()
    session = CodexSession(machine.home / "codex", now)
    session.turn(now, 1_000, 0)
    tokens = [top_here.first_look(zone).spend.today.total_tokens]

    for size in (200, 30):
        session.turn(now, size, 0)
        tokens.append(top_here.look(zone).spend.today.total_tokens)

    assert tokens == [1_000, 1_200, 1_230]


def test_while_somebody_else_reads_the_logs_the_ledger_is_shown_as_it_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    now, zone = soon(), zone_of("UTC")
    session = CodexSession(machine.home / "codex", now)
    session.turn(now, 1_000, 0)
    top_here.first_look(zone)
    session.turn(now, 200, 0)

    with locks.held(locations.ours().locks / "booking.lock", 0) as ours:
        assert ours
        assert top_here.look(zone).spend.today.total_tokens == 1_000
    assert top_here.look(zone).spend.today.total_tokens == 1_200


def test_a_look_leaves_the_ledger_free(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    work(machine)
    top_here.first_look(zone_of("UTC"))
    top_here.look(zone_of("UTC"))

    with locks.held(locations.ours().locks / "booking.lock", 0) as ours:
        assert ours
    connection = sqlite3.connect(machine.ours / "ledger.sqlite3", timeout=0, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    connection.close()


@pytest.mark.parametrize(
    ("end", "code"),
    [(b"q", 0), (b"\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["q", "Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_the_terminal_is_left_as_it_was(
    machine: Machine, end: bytes | signal.Signals, code: int
) -> None:
    work(machine)

    with on_screen([*TELEMHQ, "top"], machine.environ) as screen:
        drawn = screen.until(b"q quits")
        assert screen.modes() != screen.modes_before
        if isinstance(end, bytes):
            screen.type(end)
        else:
            screen.process.send_signal(end)

        assert screen.end() == code
        assert screen.modes() == screen.modes_before
        assert drawn.count(ALTERNATE) == 1
        assert drawn.count(HIDDEN) == 1
        rest = screen.written[len(drawn) :]
        assert rest.count(NORMAL) == 1
        assert rest.count(SHOWN) == 1
        assert rest.rindex(NORMAL) > rest.rfind(b"q quits")


def test_a_window_that_is_closed_ends_it(machine: Machine) -> None:
    with on_screen([*TELEMHQ, "top"], machine.environ) as screen:
        screen.until(b"q quits")

        assert screen.hang_up() == 129


BREAKS = """
from rich.text import Text
from telemhq_cli.render import live
with live.lent() as terminal:
    terminal.draw([Text("drawn")])
    raise ZeroDivisionError
"""


def test_an_error_gives_the_terminal_back_too(machine: Machine) -> None:
    with on_screen([sys.executable, "-c", BREAKS], machine.environ) as screen:
        assert screen.end() == 1
        assert screen.modes() == screen.modes_before
        written = screen.written
        assert written.index(ALTERNATE) < written.index(b"drawn") < written.index(NORMAL)
        assert written.index(SHOWN) < written.index(b"ZeroDivisionError")


def test_another_size_of_the_window_is_drawn_at_once(machine: Machine) -> None:
    work(machine)
    exported = {"COLUMNS": "80", "LINES": "24"}

    with on_screen([*TELEMHQ, "top", "--interval", "600"], machine.environ | exported) as screen:
        screen.until(b"q quits")
        screen.resize(120, 30)
        for _ in range(10):  # a frame of the size before may still have been under way
            wider = screen.until(b"q quits")
            if wider.count(b"\n") >= 29:
                break
        screen.type(b"q")
        screen.end()

    lines = wider.replace(b"\x1b[H", b"").decode().split("\n")
    assert max(len(line.rstrip("\r")) for line in lines if "\x1b" not in line) == 120


def test_a_view_is_as_wide_as_was_asked_for(machine: Machine) -> None:
    work(machine)

    with on_screen([*TELEMHQ, "top", "--width", "50"], machine.environ) as screen:
        frame = screen.until(b"q quits")
        screen.type(b"q")
        screen.end()

    lines = frame.replace(b"\x1b[H", b"").decode().split("\n")
    shown = [line.rstrip() for line in lines if "\x1b" not in line]
    assert max(map(len, shown)) <= 50


def test_a_frame_is_drawn_over_the_last_one_and_nothing_is_wiped(machine: Machine) -> None:
    work(machine)

    with on_screen([*TELEMHQ, "top", "--interval", "0.5"], machine.environ) as screen:
        screen.until(b"q quits")
        again = screen.until(b"q quits") + screen.until(b"q quits")
        screen.type(b"q")
        screen.end()

    assert b"\x1b[2J" not in again
    assert b"\x1b[J" not in again
    assert b"\x1b[H" in again


def test_a_report_is_watched_in_place_and_grows(machine: Machine) -> None:
    now = soon()
    session = CodexSession(machine.home / "codex", now)
    session.turn(now, 1_000, 0)
    command = [*TELEMHQ, "usage", "--watch", "--by", "project", "--interval", "0.5"]

    with on_screen(command, machine.environ) as screen:
        first = screen.until(b"q quits")
        session.turn(now, 234, 0)
        screen.until(b"1,234")
        screen.type(b"q")

        assert screen.end() == 0
        assert screen.modes() == screen.modes_before
    assert b"1,000" in first
    assert screen.written.count(ALTERNATE) == screen.written.count(NORMAL) == 1


def test_without_a_terminal_that_can_be_drawn_on_there_is_one_frame(machine: Machine) -> None:
    work(machine)
    once = ["/usr/bin/env", "TERM=dumb", *TELEMHQ, "top"]

    with on_screen(once, machine.environ) as screen:
        assert screen.end() == 0
        assert ALTERNATE not in screen.written
        assert b"Today  $" in screen.written


def logged_in(person: CommandLine, server: RunningServer) -> CommandLine:
    person("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    return person


def ping(url: str, **fields: object) -> None:
    assert httpx.post(url, json=fields).status_code == 200


def test_with_a_login_the_servers_runs_and_failing_trackers_are_there(
    telemhq: CommandLine, server: RunningServer
) -> None:
    logged_in(telemhq, server)
    good, bad = (telemhq.asks("tracker", "create", name)["ping_url"] for name in ("good", "bad"))
    ping(good, project="api", cost_usd=0.5, total_tokens=10)
    ping(bad, project="api", status="failed")
    ping(good, project="web")

    found = telemhq.asks("top")["server"]
    shown = telemhq("top").out

    assert (found["url"], found["problem"], found["trackers"]) == (server.url, "", 4)
    assert [one["name"] for one in found["failing"]] == ["bad"]
    assert [(one["tracker"], one["run"]["project"]) for one in found["runs"]] == [
        *(("good", "web"), ("bad", "api"), ("good", "api"))
    ]
    assert "Failing trackers: 1" in shown
    assert "\nLatest runs" in shown
    assert (telemhq.machine.ours / "failing").read_text().startswith("1 ")


def test_a_server_that_is_away_is_a_line_and_no_end(
    telemhq: CommandLine, server: RunningServer
) -> None:
    work(telemhq.machine)
    logged_in(telemhq, server)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        telemhq.machine.extra |= {
            "TELEMHQ_URL": f"http://127.0.0.1:{nobody.getsockname()[1]}",
            "TELEMHQ_API_KEY": server.api_key,
        }

        found = telemhq.asks("top")
        shown = telemhq("top").out

    assert "cannot be reached" in found["server"]["problem"]
    assert found["today"]["total_tokens"] == 1_260
    assert "The server cannot be asked." in shown
    assert shown.splitlines()[-1].startswith(found["server"]["problem"][:60])


def test_a_server_that_never_answers_keeps_nobody_waiting(machine: Machine) -> None:
    work(machine)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = {
            **machine.environ,
            "TELEMHQ_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "TELEMHQ_API_KEY": "thq_made_up",
        }
        with on_screen([*TELEMHQ, "top", "--interval", "0.5"], environ) as screen:
            drawn = screen.until(b"Asking the server")
            drawn += screen.until(b"q quits") + screen.until(b"q quits")
            asked_ns = clock.monotonic_ns()
            screen.type(b"q")

            assert screen.end() == 0
            assert clock.monotonic_ns() - asked_ns < 5e9
            assert screen.modes() == screen.modes_before
    assert b"1.3k tokens" in drawn


def test_what_a_server_says_comes_with_a_later_look(
    telemhq: CommandLine, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(telemhq.machine)
    logged_in(telemhq, server)
    monkeypatch.setattr("telemhq_cli.commands.watching.SERVER_S", 0.2)
    for name, value in telemhq.machine.environ.items():
        monkeypatch.setenv(name, value)
    view = own_view(None, None, None, waits=False)
    assert view.said == f"asking {server.url}"

    for _ in range(200):
        if "asking" not in view.said:
            break
        time.sleep(0.05)
        view.look()

    assert view.top.there is not None
    assert (view.top.there.trackers, view.top.there.problem) == (2, "")
    assert view.said.startswith(f"{server.url} ")


def test_a_team_is_watched_by_its_managers(people: People, server: RunningServer) -> None:
    ada = logged_in(people("ada"), server)
    ada("team", "create", "Engines")
    grace = people("grace")
    grace("team", "accept", ada.asks("team", "invite", "grace@example.com")["link"])
    ping(grace.asks("tracker", "create", "job")["ping_url"], cost_usd=0.5, input_tokens=70)

    found = ada.asks("top", "--team")
    refused = grace("top", "--team", code=None)

    assert (found["whose"], found["running"]) == ("Engines", None)
    assert [(one["member"], one["total_tokens"]) for one in found["by_member"]] == [
        ("grace@example.com", 70)
    ]
    assert [one["tracker"] for one in found["server"]["runs"]] == ["job"]
    assert refused.code != 0
    assert "you may not see the usage of the whole account" in refused.complaint


@pytest.mark.parametrize(
    "option", [["--team"], ["--account", "Engines"], ["--profile", "work"]], ids=" ".join
)
def test_what_is_about_a_server_needs_a_login(telemhq: CommandLine, option: list[str]) -> None:
    done = telemhq("top", *option, code=None)

    assert done.code != 0
    assert "there is no login" in done.complaint.lower()


def test_runs_of_several_trackers_come_newest_first() -> None:
    def at(ago_ms: int) -> Run:
        return run("", ago_ms).run

    found = latest(
        [("a", [at(10), at(30)]), ("b", [at(20)]), ("c", [at(ms) for ms in range(31, 50)])]
    )

    times = [one.run.received_at for one in found]
    assert [one.tracker for one in found] == ["a", "b", "a", "c", "c", "c", "c", "c"]
    assert times == sorted(times, reverse=True)
    assert times[0] == to_iso(NOW - 10)


def test_failing_is_what_the_contract_calls_it() -> None:
    from telemhq_agents import failing

    assert TrackerState.FAILING == failing.STATE
