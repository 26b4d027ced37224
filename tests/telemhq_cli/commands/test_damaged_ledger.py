"""A ledger that is damaged costs nobody a command, an agent, or what was counted."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock, spool
from telemhq_agents.ledger.connection import PAGE_BYTES
from tests.envelopes import data_of
from tests.telemhq_cli.logs import ClaudeSession, CodexSession
from tests.telemhq_cli.test_agent import DAY_MS, running, send_to, tokens, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine
    from tests.telemhq_cli.conftest import Machine, PingServer

PAGE = PAGE_BYTES


def garbage(ledger: Path) -> None:
    ledger.write_bytes(b"this is no database" * 1000)


def truncated(ledger: Path) -> None:
    os.truncate(ledger, PAGE * 4 + 100)


def all_but_its_first_page(ledger: Path) -> None:
    """It opens as ever; the damage shows when something is booked."""
    content = ledger.read_bytes()
    ledger.write_bytes(content[:PAGE] + b"\xa5" * (len(content) - PAGE))


DAMAGES = [garbage, truncated, all_but_its_first_page]
every_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)


def worked(machine: Machine) -> None:
    """Two Codex turns and a prompt, two days ago."""
    at = clock.now_ms() - 2 * DAY_MS
    session = CodexSession(machine.home / "codex", at)
    session.turn(at + 1000, 100, 10)
    session.turn(at + 9000, 200, 20)
    ClaudeSession(machine.home / "claude").prompt(at, 400, 40)


def lose_logs(machine: Machine) -> None:
    """Do what the agents do with their own logs after a while."""
    shutil.rmtree(machine.home / "codex" / "sessions")
    shutil.rmtree(machine.home / "claude" / "projects")


def total(telemhq: CommandLine) -> dict[str, Any]:
    found: dict[str, Any] = telemhq.asks("usage", "--local")["total"]
    return found


def used(machine: Machine) -> int:
    """Return the input tokens that a process of its own counts."""
    done = machine.run("usage", "--local", "--json")
    assert done.returncode == 0, done.stderr
    return int(data_of(done.stdout)["total"]["input_tokens"])


def asides(machine: Machine) -> list[Path]:
    return sorted(machine.ours.glob("ledger.sqlite3.damaged-????????T??????Z"))


@pytest.mark.parametrize("source", ["codex", "claude"])
def test_history_outlives_the_logs(telemhq: CommandLine, source: str) -> None:
    worked(telemhq.machine)
    asked = ("usage", "--local", "--source", source, "--json", "--by", "session", "--by", "day")
    first = telemhq(*asked)
    everything = total(telemhq)

    lose_logs(telemhq.machine)

    assert first.document["total"]["runs"] == {"codex": 2, "claude": 1}[source]
    assert telemhq(*asked).out == first.out
    assert total(telemhq) == everything


@every_damage
def test_a_command_that_meets_the_damage_says_so_and_answers_all_the_same(
    telemhq: CommandLine, damage: Callable[[Path], None]
) -> None:
    worked(telemhq.machine)
    before = total(telemhq)
    damage(telemhq.machine.ours / "ledger.sqlite3")
    worked(telemhq.machine)  # more to book, so that the ledger is written to

    done = telemhq("usage", "--local", "--json")

    after = done.document["total"]
    assert {name: after[name] for name in ("runs", "input_tokens", "output_tokens")} == {
        name: 2 * before[name] for name in ("runs", "input_tokens", "output_tokens")
    }
    (aside,) = asides(telemhq.machine)
    assert "the ledger was damaged" in done.complaint
    assert str(aside) in done.complaint
    assert telemhq("usage", "--local").err == ""


@every_damage
@pytest.mark.parametrize("kind", ["backup", "export"])
def test_with_a_backup_nothing_is_lost_though_the_logs_are_gone(
    telemhq: CommandLine, damage: Callable[[Path], None], kind: str
) -> None:
    worked(telemhq.machine)
    before = total(telemhq)
    saved = telemhq.asks("ledger", kind)["file"]
    lose_logs(telemhq.machine)
    damage(telemhq.machine.ours / "ledger.sqlite3")

    done = telemhq("ledger", "verify", "--repair", "--json")

    assert done.document["whole"] is True
    assert saved in done.complaint
    assert total(telemhq) == before


def test_a_crash_that_left_nothing_of_the_ledger_but_its_name_takes_the_backup(
    telemhq: CommandLine,
) -> None:
    worked(telemhq.machine)
    before = total(telemhq)
    telemhq("ledger", "backup")
    lose_logs(telemhq.machine)
    os.truncate(telemhq.machine.ours / "ledger.sqlite3", 0)

    assert total(telemhq) == before


@every_damage
@pytest.mark.parametrize(
    "arguments",
    [("agent", "status"), ("agent", "outbox"), ("agent", "once"), ("ledger", "export", "-")],
    ids=" ".join,
)
def test_damage_is_fatal_to_no_command(
    telemhq: CommandLine, damage: Callable[[Path], None], arguments: tuple[str, ...]
) -> None:
    worked(telemhq.machine)
    total(telemhq)
    damage(telemhq.machine.ours / "ledger.sqlite3")

    telemhq(*arguments)

    assert total(telemhq)["input_tokens"] == 700


@every_damage
def test_an_agent_whose_ledger_is_damaged_while_it_runs_goes_on(
    machine: Machine, damage: Callable[[Path], None]
) -> None:
    now = clock.now_ms()
    session = CodexSession(machine.home / "codex", now - 5000)
    session.turn(now - 4000, 100, 10)

    with running(machine, "agent", "run") as agent:
        until((machine.ours / "agent.json").exists)
        agent.send_signal(signal.SIGSTOP)
        damage(machine.ours / "ledger.sqlite3")
        agent.send_signal(signal.SIGCONT)
        session.turn(clock.now_ms(), 200, 20)
        until(lambda: used(machine) == 300)
        session.turn(clock.now_ms(), 400, 40)
        until(lambda: used(machine) == 700)
        assert agent.poll() is None

    assert data_of(machine.run("ledger", "verify", "--json").stdout)["whole"] is True


def test_an_agent_starts_on_a_damaged_ledger_and_sends_nothing_twice(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = CodexSession(machine.home / "codex", now - 9000)
    session.turn(now - 8000, 100, 10)
    machine.run("agent", "once")
    (sent,) = ping_server.pings
    garbage(machine.ours / "ledger.sqlite3")
    session.turn(now - 4000, 200, 20)

    with running(machine, "agent", "run"):
        until(lambda: 200 in tokens(ping_server))

    keys = [ping.key for ping in ping_server.pings if ping.payload["input_tokens"] == 100]
    assert set(keys) == {sent.key}  # the server knows it by its key
    assert len(asides(machine)) == 1


@every_damage
def test_a_hook_that_wakes_us_mends_the_ledger_in_silence(
    telemhq: CommandLine, damage: Callable[[Path], None]
) -> None:
    worked(telemhq.machine)
    total(telemhq)
    damage(telemhq.machine.ours / "ledger.sqlite3")
    spool.write(telemhq.machine.spool, {"kind": "hook", "event": "Stop", "at_ms": 1})

    done = telemhq("agent", "once", "--wake")

    assert (done.out, done.err) == ("", "")
    assert telemhq.machine.left_behind() == []
    assert len(asides(telemhq.machine)) == 1
    assert total(telemhq)["input_tokens"] == 700


@pytest.mark.parametrize(("job", "code"), [((), 5), (("--", "sh", "-c", "exit 3"), 3)])
def test_a_refused_ping_is_parked_though_the_ledger_is_damaged(
    machine: Machine, ping_server: PingServer, job: tuple[str, ...], code: int
) -> None:
    ping_server.status = 400
    machine.ours.mkdir()
    garbage(machine.ours / "ledger.sqlite3")

    done = machine.run("ping", ping_server.ping_url, *job)

    assert done.returncode == code, done.stderr
    assert machine.left_behind() == []
    (parked,) = data_of(machine.run("agent", "outbox", "--json").stdout)
    assert parked["state"] == "parked"
