"""The overlap guard: one run at a time under one name, and what is told of the one that is skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from telemhq_cli.wrap import lock
from tests.envelopes import data_of
from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.conftest import Machine, PingServer


def hold(machine: Machine, server: PingServer, job: str, name: str = "nightly") -> subprocess.Popen[bytes]:  # fmt: skip
    """Start a job under the lock and return once it runs."""
    wrapper = machine.start(
        *("ping", server.ping_url, "--lock", name, "--", "sh", "-c", f"echo runs; {job}")
    )
    assert wrapper.stdout is not None
    assert wrapper.stdout.readline() == b"runs\n"
    return wrapper


def knows_skips(server: PingServer) -> None:
    assert server.capabilities is not None
    server.capabilities["verbs"] = ["start", "end", "skip"]


def test_a_job_whose_last_run_is_still_going_is_skipped(
    machine: Machine, ping_server: PingServer
) -> None:
    first = hold(machine, ping_server, "exec sleep 30")

    second = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")
    other = machine.run("ping", ping_server.ping_url, "--lock", "other", "--", "echo", "ran")

    assert (second.returncode, second.stdout) == (75, "")
    assert second.stderr == (
        "telemhq: the last run under the lock 'nightly' is still going: skipped\n"
    )
    assert (other.returncode, other.stdout) == (0, "ran\n")
    first.terminate()
    first.communicate()
    third = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")
    assert (third.returncode, third.stdout) == (0, "ran\n")


def test_a_skip_is_no_sign_of_life_to_a_server_that_knows_only_runs(
    machine: Machine, ping_server: PingServer
) -> None:
    first = hold(machine, ping_server, "exec sleep 30")

    machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "true")

    assert ping_server.pings == []
    first.terminate()
    first.communicate()
    assert [ping.payload["signal"] for ping in ping_server.pings] == ["SIGTERM"]


def test_a_server_that_knows_skips_is_told_of_one(
    machine: Machine, ping_server: PingServer
) -> None:
    knows_skips(ping_server)
    first = hold(machine, ping_server, "exec sleep 30")

    done = machine.run(
        *("ping", ping_server.ping_url, "--lock", "nightly", "--project", "billing", "--json"),
        *("--", "true"),
    )

    first.terminate()
    first.communicate()
    [skip] = [ping for ping in ping_server.pings if "kind" in ping.payload]
    said = skip.payload
    assert said.pop("ended_at").endswith("Z")
    assert said == {"kind": "skip", "status": "skipped", "lock": "nightly", "project": "billing"}
    told = data_of(done.stderr)
    assert (told["outcome"], told["told"], told["exit_code"]) == ("skipped", "recorded", 75)
    assert told["key"] == skip.key


def test_a_skip_that_did_not_arrive_is_kept_where_the_server_knows_skips(
    machine: Machine, ping_server: PingServer
) -> None:
    knows_skips(ping_server)
    first = hold(machine, ping_server, "exec sleep 30")
    machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--quiet", "--", "true")
    ping_server.status = 503

    done = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "true")

    kept = [
        json.loads(path.read_text()) for path in machine.left_behind() if path.suffix == ".json"
    ]
    first.terminate()
    first.communicate()
    assert done.returncode == 75
    assert "skipped; " in done.stderr
    assert "later" in done.stderr
    assert [json.loads(entry["body"])["kind"] for entry in kept] == ["skip"]


def test_a_server_that_hangs_holds_a_skip_up_for_the_timeout_at_most(
    machine: Machine, ping_server: PingServer
) -> None:
    first = hold(machine, ping_server, "exec sleep 30")
    ping_server.hangs = True
    began = time.monotonic()

    done = machine.run(
        "ping", ping_server.ping_url, "--lock", "nightly", "--timeout", "0.5", "--", "true"
    )

    assert done.returncode == 75
    assert time.monotonic() - began < 6
    assert machine.left_behind() == []
    ping_server.released.set()
    first.terminate()
    first.communicate()


def test_the_lock_is_free_once_the_job_has_ended_whatever_it_left_behind(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    job = f"sleep 30 > /dev/null 2>&1 & echo $! > {pid}"

    machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "sh", "-c", job)
    second = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")

    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert (second.returncode, second.stdout) == (0, "ran\n")


def test_the_lock_holds_while_the_job_runs_even_if_we_were_killed(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    first = hold(machine, ping_server, f"echo $$ > {pid}; exec sleep 30")
    deadline = time.monotonic() + 10
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    first.wait()

    second = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    first.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        third = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")
        if third.returncode == 0:
            break

    assert (second.returncode, second.stdout) == (75, "")
    assert (third.returncode, third.stdout) == (0, "ran\n")


def test_further_attempts_stay_under_the_lock(machine: Machine, ping_server: PingServer) -> None:
    first = machine.start(
        *("ping", ping_server.ping_url, "--lock", "nightly", "--retry", "1", "--retry-delay", "30"),
        *("--", "sh", "-c", "echo runs; exit 1"),
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"runs\n"
    time.sleep(0.3)

    second = machine.run("ping", ping_server.ping_url, "--lock", "nightly", "--", "echo", "ran")

    assert second.returncode == 75
    first.terminate()
    first.communicate()


def test_a_lock_that_cannot_be_had_does_not_cost_the_job(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    machine.extra["TELEMHQ_HOME"] = str(file)

    done = machine.run(
        "ping", ping_server.ping_url, "--lock", "nightly", "--", "sh", "-c", "echo ran; exit 3"
    )

    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert "the job runs without the lock 'nightly'" in done.stderr
    assert ping_server.pings[0].payload["exit_code"] == 3


def test_closed_streams_do_not_turn_the_lock_into_one(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "test ! -e /proc/$$/fd/0"

    done = subprocess.run(
        [
            *("sh", "-c", 'exec "$@" <&- 2>&-', "sh", *TELEMHQ, "ping", ping_server.ping_url),
            *("--lock", "nightly", "--tail-output", "50", "--", "sh", "-c", job),
        ],
        env=machine.environ,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("nightly-report_2", "ping-nightly-report_2.lock"),
        ("a/b", "ping-a%2fb.lock"),
        ("..", "ping-%2e%2e.lock"),
        ("größe 1%", "ping-gr%c3%b6%c3%9fe%201%25.lock"),
    ],
)
def test_any_name_makes_a_file_name(name: str, file: str) -> None:
    assert lock.file_name(name) == file
