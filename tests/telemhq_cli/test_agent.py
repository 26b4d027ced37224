"""The background agent as real processes: what it sends, how often, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import install
from telemhq_agents import clock, spool
from telemhq_agents.credentials import Destination
from telemhq_agents.ledger import steering
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.locations import Locations
from telemhq_agents.usage import Source
from tests.envelopes import data_of
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from telemhq_agents.credentials import Credentials
    from tests.telemhq_cli.conftest import Machine, PingServer

DAY_MS = 24 * 3600 * 1000


def send_to(machine: Machine, server: PingServer, since_ms: int) -> None:
    """Point both collectors of a machine at a server, as a login would."""
    path = machine.ours / "credentials.json"

    def pointed(held: Credentials) -> Credentials:
        for source in Source:
            id_ = f"default:{source}:1"
            destination = Destination(id_, server.ping_url, source.value, "default")
            held = held.with_destination(destination)
            held = held.with_source_sent(source.value, id_, since_ms)
        return held

    with Ledger.open(machine.ours / "ledger.sqlite3") as ledger:
        steering.point(ledger, path, pointed)


@contextlib.contextmanager
def running(machine: Machine, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = machine.start(*arguments, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        _, told = process.communicate(timeout=20)
        assert b"Traceback" not in told, told
        assert process.returncode == 0


def until(happened: Callable[[], Any], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def tokens(server: PingServer) -> list[int]:
    return [ping.payload["input_tokens"] for ping in server.pings]


def is_up(machine: Machine) -> bool:
    return (machine.ours / "agent.json").exists()


def test_each_turn_is_sent_once_however_often_the_logs_are_read(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    CodexSession(machine.home / "codex", now - 9000).turn(now - 8000, 100, 10)
    session = ClaudeSession(machine.home / "claude")
    session.prompt(now - 6000, 200, 20)
    session.prompt(now - 4000, 300, 30)

    first = machine.run("agent", "once")
    second = machine.run("agent", "once")

    assert first.returncode == second.returncode == 0, first.stderr
    assert sorted(tokens(ping_server)) == [100, 200, 300]
    assert len({ping.key for ping in ping_server.pings}) == 3
    assert "made-up prompt" not in str(ping_server.requests)
    assert "/srv/made-up" not in str(ping_server.requests)


def test_what_is_older_than_the_login_stays_here_unless_asked_for(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now)
    old = CodexSession(machine.home / "codex", now - 9 * DAY_MS)
    old.turn(now - 9 * DAY_MS, 100, 10)
    old.turn(now - 5 * DAY_MS, 200, 20)
    since = time.strftime("%Y-%m-%d", time.gmtime((now - 6 * DAY_MS) / 1000))

    machine.run("agent", "once")
    assert tokens(ping_server) == []
    machine.run("agent", "once", "--backfill", "--since", since)
    assert tokens(ping_server) == [200]
    machine.run("agent", "once", "--backfill")
    assert sorted(tokens(ping_server)) == [100, 200]

    local = data_of(machine.run("usage", "--local", "--json").stdout)
    assert local["total"]["input_tokens"] == 300


def test_the_loop_sends_what_is_added_and_stops_cleanly(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = CodexSession(machine.home / "codex", now - 5000)

    with running(machine, "agent", "run"):
        until(lambda: is_up(machine))
        session.turn(clock.now_ms(), 100, 10)
        until(lambda: tokens(ping_server) == [100])
        session.turn(clock.now_ms(), 200, 20)
        until(lambda: tokens(ping_server) == [100, 200])
        status = data_of(machine.run("agent", "status", "--json").stdout)

    assert status["running"] is True
    assert status["watching_by"] == "notifications"
    assert data_of(machine.run("agent", "status", "--json").stdout)["running"] is False


def test_a_second_agent_says_who_runs_and_ends(machine: Machine) -> None:
    with running(machine, "agent", "run") as first:
        until(lambda: is_up(machine))

        second = machine.run("agent", "run")

        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
        assert "Following" not in second.stderr


def test_what_the_agent_does_is_for_its_owner_to_read(machine: Machine) -> None:
    with running(machine, "agent", "run"):
        until(lambda: is_up(machine))

        assert (machine.ours / "agent.json").stat().st_mode & 0o777 == 0o600


IMPATIENT = (
    "import sys; from telemhq_agents.ledger import connection; connection.BUSY_TIMEOUT_S = 0.2; "
    "from telemhq_cli.main import main; sys.exit(main())"
)


@contextlib.contextmanager
def running_impatiently(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent that waits for a ledger in use for a fifth of a second, not for thirty."""
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "agent", "run"],
        env=machine.environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: last_pass(machine))
        yield process
    finally:
        process.terminate()
        process.wait(20)


def last_pass(machine: Machine) -> Any:
    return data_of(machine.run("agent", "status", "--json").stdout)["last_pass_at"]


def problems(machine: Machine) -> str:
    told = json.loads((machine.ours / "agent.json").read_bytes())
    return " ".join(told["last_pass"]["problems"])


def test_an_agent_outlives_a_ledger_that_somebody_holds(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = CodexSession(machine.home / "codex", now - 5000)

    with running_impatiently(machine) as agent:
        holder = sqlite3.connect(machine.ours / "ledger.sqlite3", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        session.turn(clock.now_ms(), 100, 10)
        until(lambda: "held by another process" in problems(machine))
        time.sleep(2)  # long enough to fail, and to be told, again
        holder.execute("ROLLBACK")
        holder.close()
        until(lambda: tokens(ping_server) == [100])
        until(lambda: problems(machine) == "")

    assert agent.stderr is not None
    told = agent.stderr.read().decode()
    agent.stderr.close()
    assert agent.returncode == 0
    assert " ".join(told.split()).count("held by") == 1


def test_an_agent_outlives_a_disk_that_is_full_for_a_while(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = CodexSession(machine.home / "codex", now - 5000)

    with running_impatiently(machine) as agent:
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        session.turn(clock.now_ms(), 100, 10)
        until(lambda: problems(machine))
        assert agent.poll() is None
        no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, no_limit)
        until(lambda: tokens(ping_server) == [100])

    assert agent.stderr is not None
    agent.stderr.close()
    assert agent.returncode == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_an_agent_whose_ledger_is_moved_away_goes_on_with_the_one_in_its_place(
    machine: Machine, replaced: bool
) -> None:
    now = clock.now_ms()
    session = CodexSession(machine.home / "codex", now - 5000)
    session.turn(now - 4000, 100, 10)
    place = machine.ours / "ledger.sqlite3"

    with running(machine, "agent", "run") as agent:
        until(lambda: is_up(machine))
        agent.send_signal(signal.SIGSTOP)  # so that it sees all of the move or nothing
        for part in list(machine.ours.glob("ledger.sqlite3*")):
            part.rename(machine.home / part.name)
        if replaced:
            Ledger.open(place).close()
        agent.send_signal(signal.SIGCONT)
        session.turn(clock.now_ms(), 200, 20)
        until(lambda: place.exists() and known_to(place) == 300)


def known_to(path: Path) -> int:
    with Ledger.open(path) as ledger:
        return ledger.usage(()).total.input_tokens


@pytest.mark.parametrize("broken", ["credentials.json", "config.toml"])
def test_an_agent_does_not_start_on_what_it_cannot_read(machine: Machine, broken: str) -> None:
    machine.ours.mkdir()
    (machine.ours / broken).write_text("neither a table nor an object, " * 40)
    (machine.ours / broken).chmod(0o600)

    done = machine.run("agent", "run")

    assert done.returncode in {3, 7}
    assert broken in done.stderr


@pytest.mark.parametrize(
    ("first", "second"), [("codex", "agent"), ("agent", "codex"), ("codex", "codex")]
)
def test_an_agent_with_one_collector_and_one_with_all_exclude_each_other(
    machine: Machine, first: str, second: str
) -> None:
    verbs = {"codex": "watch", "agent": "run"}
    with running(machine, first, verbs[first]):
        until(lambda: is_up(machine))

        assert machine.run(second, verbs[second]).returncode == 1


def test_a_hook_does_not_count_on_an_agent_that_follows_codex_alone(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = ClaudeSession(machine.home / "claude")

    with running(machine, "codex", "watch"):
        until(lambda: is_up(machine))
        fire(machine, session.event("Stop", session.prompt(now - 1000, 100, 10)))
        until(lambda: tokens(ping_server) == [100])


def test_a_hook_that_looks_for_an_agent_does_not_keep_it_from_starting(machine: Machine) -> None:
    import fcntl

    (machine.ours / "locks").mkdir(parents=True)
    file = os.open(machine.ours / "locks" / "agent.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_SH)
    with running(machine, "agent", "run"):
        time.sleep(0.5)
        os.close(file)
        until(lambda: is_up(machine))


def test_codex_watch_follows_codex_alone(machine: Machine, ping_server: PingServer) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    claude = ClaudeSession(machine.home / "claude")
    claude.prompt(now - 2000, 7, 1)
    claude.prompt(now - 1000, 7, 1)

    with running(machine, "codex", "watch"):
        until(lambda: is_up(machine))
        # Codex's folder was not there when the watch began.
        CodexSession(machine.home / "codex", clock.now_ms()).turn(clock.now_ms(), 100, 10)
        machine.run("ping", ping_server.ping_url, "-f", "input_tokens=5")
        (machine.spool / "wakes-the-loop.json").touch()
        until(lambda: 100 in tokens(ping_server))

    assert sorted(tokens(ping_server)) == [5, 100]


def test_a_loop_that_is_told_to_stop_while_it_sends_loses_nothing(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = CodexSession(machine.home / "codex", now - 100_000)
    for number in range(300):
        session.turn(now - 90_000 + 100 * number, number + 1, 1)
    process = machine.start("agent", "run", stdout=subprocess.DEVNULL)
    ping_server.wait_for_pings(20)

    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(ping_server.pings) < 300
    machine.run("agent", "once")
    assert sorted({ping.payload["input_tokens"] for ping in ping_server.pings}) == [*range(1, 301)]
    assert len({ping.key for ping in ping_server.pings}) == 300


def fire(machine: Machine, event: dict[str, Any]) -> None:
    """Run the hook's very command, as Claude Code would."""
    ours = Locations(machine.ours, machine.ours)
    done = subprocess.run(
        ["/bin/sh", "-c", install.command(ours)],
        input=json.dumps(event),
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_hook_wakes_a_drain_that_reads_and_delivers(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = ClaudeSession(machine.home / "claude")
    prompt = session.prompt(now - 1000, 100, 10)

    fire(machine, session.event("Stop", prompt))

    until(lambda: tokens(ping_server) == [100])
    until(lambda: machine.left_behind() == [])
    fire(machine, session.event("Stop", prompt))
    until(lambda: machine.left_behind() == [])
    time.sleep(0.3)
    assert tokens(ping_server) == [100]
    assert "must not leave" not in str(ping_server.requests)


def test_many_hooks_at_once_are_all_taken_in(machine: Machine, ping_server: PingServer) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    sessions = [ClaudeSession(machine.home / "claude") for _ in range(6)]

    for number, session in enumerate(sessions):
        fire(machine, session.event("Stop", session.prompt(now - 1000, 100 + number, 10)))

    until(lambda: sorted(tokens(ping_server)) == [100, 101, 102, 103, 104, 105])
    until(lambda: machine.left_behind() == [])


def test_a_running_agent_takes_the_hooks_entry_and_no_drain_starts(
    machine: Machine, ping_server: PingServer
) -> None:
    now = clock.now_ms()
    send_to(machine, ping_server, now - DAY_MS)
    session = ClaudeSession(machine.home / "claude")

    with running(machine, "agent", "run"):
        until(lambda: is_up(machine))
        fire(machine, session.event("Stop", session.prompt(clock.now_ms(), 100, 10)))
        assert machine.run("agent", "once", "--wake").returncode == 0
        until(lambda: tokens(ping_server) == [100])


def test_waking_is_quiet_even_when_everything_is_broken(machine: Machine) -> None:
    machine.ours.mkdir()
    (machine.ours / "credentials.json").write_text("these are no credentials, " * 100)
    (machine.ours / "credentials.json").chmod(0o600)
    spool.write(machine.spool, {"kind": "hook", "event": "Stop", "at_ms": 1})

    done = machine.run("agent", "once", "--wake")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(machine.left_behind()) == 1


def test_a_ping_left_behind_goes_out_with_the_agent(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.status = 503
    machine.run("ping", ping_server.ping_url, "-f", "input_tokens=5", "--quiet")
    ping_server.status = 200
    ping_server.requests.clear()

    done = machine.run("agent", "once", "--json")

    assert data_of(done.stdout)["pings"] == 1
    assert tokens(ping_server) == [5]
    assert machine.left_behind() == []


@pytest.mark.parametrize(("idempotency", "sent_again"), [(True, 1), (False, 0)])
def test_a_ping_whose_answer_never_came_is_sent_again_only_where_that_counts_once(
    machine: Machine, ping_server: PingServer, idempotency: bool, sent_again: int
) -> None:
    ping_server.hangs = True
    machine.run("ping", ping_server.ping_url, "--timeout", "0.3", "--quiet")
    ping_server.hangs = False
    ping_server.released.set()
    ping_server.requests.clear()
    assert ping_server.capabilities is not None
    ping_server.capabilities["idempotency"] = idempotency

    machine.run("agent", "once")

    assert len(ping_server.pings) == sent_again
    states = [row["state"] for row in data_of(machine.run("agent", "outbox", "--json").stdout)]
    assert states == ([] if idempotency else ["uncertain"])


def test_a_ping_that_never_left_goes_to_any_server(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.capabilities = None
    ping_server.status = 503
    machine.run("ping", ping_server.ping_url, "--quiet")
    ping_server.status = 200
    ping_server.requests.clear()

    machine.run("agent", "once")

    assert len(ping_server.pings) == 1
    assert data_of(machine.run("agent", "outbox", "--json").stdout) == []


def test_what_is_parked_is_shown_sent_again_or_dropped(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.status = 422
    for number in (1, 2):
        machine.run("ping", ping_server.ping_url, "-f", f"input_tokens={number}", "--quiet")
    ping_server.status = 200
    ping_server.requests.clear()
    shown = machine.run("agent", "outbox")
    rows = data_of(machine.run("agent", "outbox", "--json").stdout)

    assert "tt_made_up_token" not in shown.stdout
    assert "422" in shown.stdout
    dropped = machine.run("agent", "outbox", "--drop", str(rows[0]["id"]))
    assert f"ping {rows[0]['id']} is forgotten" in dropped.stderr
    machine.run("agent", "once")
    assert tokens(ping_server) == []
    machine.run("agent", "outbox", "--retry")
    machine.run("agent", "once")
    assert tokens(ping_server) == [2]
    assert data_of(machine.run("agent", "outbox", "--json").stdout) == []
    assert "nothing is sent again" in machine.run("agent", "outbox", "--retry").stderr


def test_an_entry_that_nobody_understands_holds_up_nobody(
    machine: Machine, ping_server: PingServer
) -> None:
    spool.write(machine.spool, {"kind": "ping", "key": 7})
    spool.write(machine.spool, {"kind": "hook", "at_ms": "never"})
    (machine.spool / "00000000000000000001-1.json").write_text("{half an ent")
    ping_server.status = 503
    machine.run("ping", ping_server.ping_url, "-f", "input_tokens=5", "--quiet")
    ping_server.status = 200
    ping_server.requests.clear()

    done = machine.run("agent", "once")

    assert done.returncode == 0
    assert tokens(ping_server) == [5]
    assert "cannot be understood" in done.stderr
    assert data_of(machine.run("agent", "status", "--json").stdout)["spool"]["damaged"] == 1


def test_windows_gather_turns(machine: Machine, ping_server: PingServer) -> None:
    now = clock.now_ms()
    window = 15 * 60 * 1000
    begin = now - now % window - 4 * window
    send_to(machine, ping_server, begin)
    session = CodexSession(machine.home / "codex", begin)
    for number in range(4):
        session.turn(begin + 1000 * number, 100, 1)

    machine.run("agent", "once", "--coalesce", "15m")

    [ping] = ping_server.pings
    assert ping.payload["input_tokens"] == 400
