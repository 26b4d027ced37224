"""The background agent as a process of its own: how it is told things, dies, and what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.credentials import Destination
from telemhq_agents.ledger import steering
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Source
from tests.envelopes import data_of
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from telemhq_agents.credentials import Credentials
    from tests.telemhq_cli.conftest import Machine, PingServer

DAY_MS = 24 * 3600 * 1000


def send_to(machine: Machine, server: PingServer) -> None:
    """Send both sources to a server since yesterday, as a login would."""

    def pointed(held: Credentials) -> Credentials:
        for source in Source:
            place = Destination(f"default:{source}:1", server.ping_url, source.value, "default")
            held = held.with_destination(place)
            held = held.with_source_sent(source.value, place.id, clock.now_ms() - DAY_MS)
        return held

    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger:
        steering.point(ledger, machine.ours / "credentials.json", pointed)


def until(happened: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def told(machine: Machine) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads((machine.ours / "agent.json").read_bytes())
    except FileNotFoundError:
        return {}
    return status


def log(machine: Machine) -> str:
    path = machine.ours / "agent.log"
    return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def agent(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent that has read everything once."""
    (machine.ours / "agent.json").unlink(missing_ok=True)
    process = machine.start("agent", "run", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: told(machine).get("last_pass_ms"))
        yield process
    finally:
        process.terminate()
        process.wait(20)


def tokens(server: PingServer) -> list[int]:
    return sorted(ping.payload["input_tokens"] for ping in server.pings)


def test_what_it_does_stands_in_a_log_of_its_own_without_a_path(
    machine: Machine, ping_server: PingServer
) -> None:
    send_to(machine, ping_server)
    session = ClaudeSession(machine.home / "claude")
    with agent(machine):
        session.prompt(clock.now_ms() - 5000, 100, 10)
        until(lambda: "1 new response" in log(machine))

    path = machine.ours / "agent.log"
    lines = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert lines[0].startswith("started, process ")
    assert lines[-1] == "stopped"
    for secret in (str(machine.home), "/srv/made-up", "billing", "a made-up prompt", "tt_made_up"):
        assert secret not in path.read_text()


def test_an_agent_that_was_killed_goes_on_where_it_was_and_counts_nothing_twice(
    machine: Machine, ping_server: PingServer
) -> None:
    send_to(machine, ping_server)
    session = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
    for number in range(20):
        session.turn(clock.now_ms() - 50_000 + 1000 * number, number + 1, 1)
    process = machine.start("agent", "run", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ping_server.wait_for_pings(3)
    process.kill()
    process.wait(10)
    session.turn(clock.now_ms() - 5000, 100, 1)

    with agent(machine):
        until(lambda: {*range(1, 21), 100} <= set(tokens(ping_server)))
        until(lambda: pending(machine) == 0)

    assert len({ping.key for ping in ping_server.pings}) == 21
    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger:
        assert ledger.usage(()).total.input_tokens == sum(range(1, 21)) + 100


def test_reloading_reads_the_settings_and_opens_the_log_anew(machine: Machine) -> None:
    with agent(machine) as process:
        (machine.ours / "agent.log").rename(machine.ours / "moved.log")
        machine.run("config", "set", "coalesce", "5m")
        process.send_signal(signal.SIGHUP)
        until(lambda: "read the settings again" in log(machine))
        until(lambda: "codex" in steps_of(machine))
        assert process.poll() is None

    assert steps_of(machine)["codex"] == [[0, 300_000]]


def steps_of(machine: Machine) -> dict[str, Any]:
    try:
        held = json.loads((machine.ours / "credentials.json").read_bytes())
    except FileNotFoundError:
        return {}
    steps: dict[str, Any] = held["coalescing"]
    return steps


def test_settings_that_are_wrong_are_said_and_nothing_is_read_until_they_are_right(
    machine: Machine,
) -> None:
    session = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
    with agent(machine) as process:
        (machine.ours / "config.toml").write_text('coalesce = "never"\n')
        process.send_signal(signal.SIGHUP)
        until(lambda: "coalesce must be off" in log(machine))
        session.turn(clock.now_ms() - 5000, 7, 1)
        time.sleep(1)
        assert known_tokens(machine) == 0

        (machine.ours / "config.toml").write_text('coalesce = "off"\n')
        until(lambda: known_tokens(machine) == 7)
        assert process.poll() is None


def test_a_server_that_hangs_delays_neither_the_outbox_nor_the_end(
    machine: Machine, ping_server: PingServer
) -> None:
    send_to(machine, ping_server)
    ping_server.hangs = True
    session = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
    with agent(machine) as process:
        session.turn(clock.now_ms() - 9000, 100, 1)
        until(lambda: ping_server.requests)
        session.turn(clock.now_ms() - 5000, 200, 1)
        until(lambda: pending(machine) == 2, 5)
        began = time.monotonic()
        process.terminate()

        assert process.wait(20) == 0
        assert time.monotonic() - began < 8

    ping_server.hangs = False
    ping_server.released.set()
    machine.run("agent", "once")
    assert {100, 200} <= set(tokens(ping_server))
    assert len({ping.key for ping in ping_server.pings}) == 2


def pending(machine: Machine) -> int:
    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger:
        return ledger.counts().pending


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells of open files")
def test_no_log_is_held_open_and_one_that_goes_is_no_trouble(machine: Machine) -> None:
    codex = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
    claude = ClaudeSession(machine.home / "claude")
    with agent(machine) as process:
        codex.turn(clock.now_ms() - 5000, 100, 1)
        claude.prompt(clock.now_ms() - 5000, 200, 1)
        until(lambda: known_tokens(machine) == 300)

        open_files = [link.readlink() for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert [place for place in open_files if place.suffix == ".jsonl"] == []
        codex.path.unlink()
        claude.path.rename(claude.path.with_suffix(".old"))
        other = CodexSession(machine.home / "codex", clock.now_ms())
        other.turn(clock.now_ms() - 1000, 7, 1)
        until(lambda: known_tokens(machine) == 307)


def known_tokens(machine: Machine) -> int:
    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger:
        return ledger.usage(()).total.input_tokens


def test_an_agent_that_starts_while_somebody_reads_waits_for_its_turn(machine: Machine) -> None:
    CodexSession(machine.home / "codex", clock.now_ms() - 60_000).turn(
        clock.now_ms() - 50_000, 7, 1
    )
    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger, ledger.booking(0):
        process = machine.start("agent", "run", stderr=subprocess.DEVNULL)
        until(lambda: "Another process reads the logs" in log(machine))
        assert process.poll() is None

    until(lambda: known_tokens(machine) == 7)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells of children")
def test_a_first_reading_that_is_killed_is_made_again(machine: Machine) -> None:
    session = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
    session.turn(clock.now_ms() - 50_000, 7, 1)
    process = machine.start("agent", "run", stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: children.read_text().split())
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)

    until(lambda: "ended with -9" in log(machine))
    until(lambda: known_tokens(machine) == 7)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_many_files_at_once_are_read_all(machine: Machine) -> None:
    with agent(machine):
        for number in range(30):
            session = CodexSession(machine.home / "codex", clock.now_ms() - 60_000)
            session.turn(clock.now_ms() - 50_000, 2**number, 1)
        until(lambda: known_tokens(machine) == 2**30 - 1)


def test_the_logs_command_shows_the_last_lines(machine: Machine) -> None:
    assert "wrote nothing" in machine.run("agent", "logs").stderr
    with agent(machine):
        pass

    lines = machine.run("agent", "logs", "-n", "1").stdout.splitlines()
    document = data_of(machine.run("agent", "logs", "--json").stdout)

    assert len(lines) == 1
    assert lines[0].endswith(" stopped")
    assert document[-1]["message"] == "stopped"
    assert document[0]["message"].startswith("started")


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        ((), "2026-11-20T12:00:00.000Z started", "2026-11-20T12:00:01.000Z stopped"),
        (
            ("--json",),
            '{"at": "2026-11-20T12:00:00.000Z", "message": "started"}',
            '{"at": "2026-11-20T12:00:01.000Z", "message": "stopped"}',
        ),
    ],
    ids=["as text", "as one object a line"],
)
def test_following_the_log_shows_what_is_added(
    machine: Machine, options: tuple[str, ...], first: str, second: str
) -> None:
    machine.ours.mkdir()
    path = machine.ours / "agent.log"
    path.write_text("2026-11-20T12:00:00.000Z started\n")
    process = machine.start("agent", "logs", "--follow", *options, preexec_fn=as_a_terminal_does)
    guard = threading.Timer(20, process.kill)
    guard.start()
    assert process.stdout is not None
    assert process.stdout.readline().decode().rstrip() == first

    with path.open("a") as file:
        file.write("2026-11-20T12:00:01.000Z stopped\n")

    assert process.stdout.readline().decode().rstrip() == second
    process.send_signal(signal.SIGINT)
    rest, complaint = process.communicate(timeout=10)
    guard.cancel()
    assert (process.returncode, rest, complaint) == (130, b"", b"")


def as_a_terminal_does() -> None:
    """Let Ctrl-C through: a test run that a shell put into the background ignores it, and its
    children would."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_drain_that_holds_the_lock_for_a_moment_is_no_agent(machine: Machine) -> None:
    import fcntl

    (machine.ours / "locks").mkdir(parents=True)
    with (machine.ours / "locks" / "agent.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as hooks that look for an agent do
        status = data_of(machine.run("agent", "status", "--json").stdout)

    assert status["running"] is False
