"""Where usage goes when logins change and when the ledger is lost, against real servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from telemhq_agents import clock
from tests.telemhq_cli.commands.conftest import serving
from tests.telemhq_cli.logs import CodexSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


@pytest.fixture
def second(tmp_path: Path, initialised: tuple[Path, str]) -> Iterator[RunningServer]:
    with serving(tmp_path / "second.sqlite3", initialised) as running:
        yield running


def log_in(telemhq: CommandLine, server: RunningServer, profile: str = "default") -> None:
    telemhq("login", "--url", server.url, "--key-stdin", "--profile", profile, given=server.api_key)


def work(session: CodexSession, input_tokens: int) -> None:
    """Let a turn's only response end at this moment."""
    session.turn(clock.now_ms() - 500, input_tokens, 0)


def held_by(telemhq: CommandLine, server: RunningServer) -> tuple[int, int]:
    """Return the runs and the tokens that a server reports."""
    there = {"TELEMHQ_URL": server.url, "TELEMHQ_API_KEY": server.api_key}
    telemhq.machine.extra.update(there)
    total = telemhq.asks("usage", "--mine")["total"]
    for name in there:
        del telemhq.machine.extra[name]
    return total["runs"], total["input_tokens"]


def lose_ledger(telemhq: CommandLine) -> None:
    for path in telemhq.machine.ours.glob("ledger.sqlite3*"):
        path.unlink()


def test_a_ledger_that_is_lost_under_a_login_is_read_again_and_nothing_counts_twice(
    telemhq: CommandLine, server: RunningServer
) -> None:
    session = CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000)
    work(session, 1)
    log_in(telemhq, server)
    work(session, 100)
    telemhq("agent", "once")
    assert held_by(telemhq, server) == (1, 100)

    lose_ledger(telemhq)
    work(session, 200)
    done = telemhq("agent", "once")

    assert "Reported 2 pings (1 known there already)" in done.out
    assert held_by(telemhq, server) == (2, 300)
    telemhq("agent", "once", "--backfill")
    lose_ledger(telemhq)
    telemhq("agent", "once", "--coalesce", "5m")
    assert held_by(telemhq, server) == (3, 301)


def test_the_first_window_takes_nothing_back_that_was_told(
    telemhq: CommandLine, server: RunningServer
) -> None:
    log_in(telemhq, server)
    session = CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000)
    work(session, 100)
    work(session, 200)
    telemhq("agent", "once")

    done = telemhq("agent", "once", "--coalesce", "15m")

    assert "Reported 0 pings" in done.out
    assert "need the same --coalesce" in done.err
    assert held_by(telemhq, server) == (2, 300)


def test_work_goes_to_the_server_in_whose_time_it_was_done(
    telemhq: CommandLine, server: RunningServer, second: RunningServer
) -> None:
    session = CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000)
    work(session, 1)
    log_in(telemhq, server)
    work(session, 100)
    telemhq("logout")
    work(session, 10)
    log_in(telemhq, second, "two")
    work(session, 1000)

    telemhq("agent", "once")
    assert held_by(telemhq, server) == (1, 100)
    assert held_by(telemhq, second) == (1, 1000)

    telemhq("agent", "once", "--backfill")
    lose_ledger(telemhq)
    telemhq("agent", "once")
    assert held_by(telemhq, server) == (1, 100)
    assert held_by(telemhq, second) == (3, 1011)


def test_what_is_due_at_a_logout_is_queued_for_where_it_belongs(
    telemhq: CommandLine, server: RunningServer
) -> None:
    log_in(telemhq, server)
    session = CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000)
    work(session, 100)
    telemhq("usage", "--local")

    telemhq("logout")

    (row,) = telemhq.asks("agent", "outbox")
    assert row["payload"]["input_tokens"] == 100
    telemhq("agent", "once")
    assert held_by(telemhq, server) == (1, 100)


def test_logging_in_again_keeps_the_moment_of_the_first_login(
    telemhq: CommandLine, server: RunningServer
) -> None:
    log_in(telemhq, server)
    path = telemhq.machine.ours / "credentials.json"
    before = json.loads(path.read_text())

    log_in(telemhq, server)

    after = json.loads(path.read_text())
    assert after["sends_to"] == before["sends_to"]
    assert after["destinations"] == before["destinations"]


def test_a_single_pass_is_remembered_and_told_in_the_singular(
    telemhq: CommandLine, server: RunningServer
) -> None:
    log_in(telemhq, server)
    assert "Last pass  never" in telemhq("agent", "status").out
    work(CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000), 100)
    before = clock.now_ms()

    done = telemhq("agent", "once")

    assert "Reported 1 ping; 0 wait." in done.out
    told = telemhq.asks("agent", "status")
    assert before <= clock.from_iso(told["last_pass_at"]) <= clock.now_ms()
    assert not told["running"]
    shown = telemhq("agent", "status").out
    assert "Watching by" not in shown
    assert shown.endswith("Next: telemhq agent install\n")


def test_parked_pings_lead_to_the_outbox(telemhq: CommandLine, server: RunningServer) -> None:
    log_in(telemhq, server)
    work(CodexSession(telemhq.machine.home / "codex", clock.now_ms() - 5000), 100)
    [codex] = [one for one in telemhq.asks("tracker", "list") if one["source"] == "codex"]
    telemhq("tracker", "delete", codex["id"], "--yes")

    telemhq("agent", "once")

    shown = telemhq("agent", "status").out
    assert "1 parked" in shown
    assert shown.endswith("Next: telemhq agent outbox\n")
