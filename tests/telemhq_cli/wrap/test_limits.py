"""The job's own limit, and further attempts: what they do to it, and what the ping tells."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.conftest import Machine, PingServer

DEAF = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: print('heard', flush=True))\n"
    "print('ready', flush=True)\n"
    "while True: time.sleep(0.1)\n"
)
OBEDIENT = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "while True: time.sleep(0.1)\n"
)


def untold(arguments: list[str]) -> list[str]:
    """Return the program as where the system has no sigwaitinfo."""
    code = "import _signal, sys; del _signal.sigwaitinfo; from telemhq_cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *arguments]


@pytest.mark.parametrize("system", ["with sigwaitinfo", "without it"])
def test_a_job_beyond_its_limit_is_asked_to_end_and_told_as_timed_out(
    machine: Machine, ping_server: PingServer, system: str
) -> None:
    arguments = ["ping", ping_server.ping_url, "--kill-after", "0.5", "--", "sleep", "30"]
    program = [*TELEMHQ, *arguments] if system == "with sigwaitinfo" else untold(arguments)

    done = subprocess.run(program, env=machine.environ, check=False, timeout=20)

    assert done.returncode == 124
    said = ping_server.pings[0].payload
    assert (said["status"], said["timed_out"], said["signal"]) == ("error", True, "SIGTERM")
    assert said["error"] == "timed out after 0.5 s"
    assert 500 <= said["duration_ms"] < 5_000


def test_a_job_that_does_not_obey_is_killed_after_the_grace(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--kill-after", "1", "--grace", "0.6"),
        *("--", sys.executable, "-c", DEAF),
    )

    assert (done.returncode, done.stdout) == (124, "ready\nheard\n")
    said = ping_server.pings[0].payload
    assert (said["signal"], said["timed_out"]) == ("SIGKILL", True)
    assert 1_600 <= said["duration_ms"] < 6_000


def test_a_job_that_ends_well_when_asked_to_has_timed_out_all_the_same(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--kill-after", "1", "--", sys.executable, "-c", OBEDIENT)
    )

    assert done.returncode == 124
    said = ping_server.pings[0].payload
    assert (said["status"], said["exit_code"], said["timed_out"]) == ("error", 0, True)


def test_no_grace_at_all_kills_at_once(machine: Machine, ping_server: PingServer) -> None:
    began = time.monotonic()

    done = machine.run(
        *("ping", ping_server.ping_url, "--kill-after", "1", "--grace", "0"),
        *("--", sys.executable, "-c", DEAF),
    )

    assert done.returncode == 124
    assert time.monotonic() - began < 6
    assert ping_server.pings[0].payload["signal"] == "SIGKILL"


def test_a_stopped_job_is_ended_too(machine: Machine, ping_server: PingServer) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--kill-after", "0.5", "--grace", "20"),
        *("--", "sh", "-c", "kill -STOP $$"),
    )

    assert done.returncode == 124
    assert ping_server.pings[0].payload["signal"] == "SIGTERM"


def test_a_job_that_keeps_its_limit_is_told_as_ever(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run(
        "ping", ping_server.ping_url, "--kill-after", "30", "--", "sh", "-c", "exit 3"
    )

    assert done.returncode == 3
    said = ping_server.pings[0].payload
    assert said["exit_code"] == 3
    assert "timed_out" not in said


def test_a_signal_of_somebody_else_is_no_timeout(machine: Machine, ping_server: PingServer) -> None:
    wrapper = machine.start("ping", ping_server.ping_url, "--kill-after", "30", "--", "sleep", "30")
    time.sleep(0.5)
    wrapper.send_signal(signal.SIGALRM)
    time.sleep(0.2)
    assert wrapper.poll() is None  # an alarm that is not ours ends nobody

    wrapper.terminate()

    assert wrapper.wait(20) == 128 + 15
    wrapper.communicate()
    assert "timed_out" not in ping_server.pings[0].payload


def test_the_pings_timeout_never_cuts_the_job_short(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run("ping", ping_server.ping_url, "--timeout", "0.2", "--", "sleep", "0.8")

    assert done.returncode == 0
    assert ping_server.pings[0].payload["duration_ms"] >= 800


def counting(path: Path, ends: str) -> list[str]:
    """Return a job that counts its attempts in a file, and how each of them ends."""
    return ["sh", "-c", f'echo x >> {path}; n=$(wc -l < {path}); echo "attempt $n"; {ends}']


def test_a_job_that_fails_is_run_again_until_it_works(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--retry", "5", "--retry-delay", "0.3", "--"),
        *counting(tmp_path / "count", 'test "$n" -eq 3'),
    )

    assert (done.returncode, done.stdout) == (0, "attempt 1\nattempt 2\nattempt 3\n")
    [ping] = ping_server.pings
    assert (ping.payload["status"], ping.payload["attempts"]) == ("success", 3)
    assert ping.payload["duration_ms"] >= 600  # from the first attempt's start, waits included


def test_a_job_that_never_works_is_run_as_often_as_asked_and_its_last_code_is_ours(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--retry", "2", "--retry-delay", "0", "--"),
        *counting(tmp_path / "count", "exit $((n + 10))"),
    )

    assert done.returncode == 13
    [ping] = ping_server.pings
    assert (ping.payload["exit_code"], ping.payload["attempts"]) == (13, 3)


def test_a_job_that_works_at_once_is_told_as_one_attempt(
    machine: Machine, ping_server: PingServer
) -> None:
    machine.run("ping", ping_server.ping_url, "--retry", "2", "--", "true")

    assert ping_server.pings[0].payload["attempts"] == 1


def test_what_is_heard_is_the_last_attempts(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    job = counting(tmp_path / "count", 'echo "{\\"n\\": $n}"; test $n -eq 2')

    done = machine.run(
        *("ping", ping_server.ping_url, "--retry", "2", "--retry-delay", "0"),
        *("--payload-from-stdout", "--tail-output", "500", "--", *job),
    )

    assert done.stdout == 'attempt 1\n{"n": 1}\nattempt 2\n{"n": 2}\n'
    said = ping_server.pings[0].payload
    assert (said["n"], said["output_tail"]) == (2, 'attempt 2\n{"n": 2}\n')


def test_each_attempt_has_the_limit_for_itself(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--kill-after", "0.5", "--retry", "1"),
        *("--retry-delay", "0", "--", *counting(tmp_path / "count", "exec sleep 30")),
    )

    assert (done.returncode, done.stdout) == (124, "attempt 1\nattempt 2\n")
    assert ping_server.pings[0].payload["attempts"] == 2


def test_a_job_that_cannot_be_started_is_not_tried_again(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run("ping", ping_server.ping_url, "--retry", "3", "--", "no-such-command-here")

    assert done.returncode == 127
    assert len(done.stderr.splitlines()) == 1
    assert ping_server.pings[0].payload["attempts"] == 1


@pytest.mark.parametrize("moment", ["while it runs", "between two attempts"])
def test_who_ends_us_wants_no_further_attempt(
    machine: Machine, ping_server: PingServer, tmp_path: Path, moment: str
) -> None:
    count = tmp_path / "count"
    ends = "exec sleep 30" if moment == "while it runs" else "exit 9"
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--retry", "3", "--retry-delay", "30", "--"),
        *counting(count, ends),
    )
    assert wrapper.stdout is not None
    assert wrapper.stdout.readline() == b"attempt 1\n"
    time.sleep(0.5)

    wrapper.terminate()

    assert wrapper.wait(20) == (128 + 15 if moment == "while it runs" else 9)
    wrapper.communicate()
    assert count.read_text() == "x\n"
    assert ping_server.pings[0].payload["attempts"] == 1


def test_a_hangup_that_nohup_has_us_ignore_does_not_end_the_attempts(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    job = counting(tmp_path / "count", "test $n -eq 2")
    wrapper = subprocess.Popen(
        [
            *("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *TELEMHQ, "ping", ping_server.ping_url),
            *("--retry", "1", "--retry-delay", "1.5", "--", *job),
        ],
        env=machine.environ,
        stdout=subprocess.PIPE,
    )
    assert wrapper.stdout is not None
    assert wrapper.stdout.readline() == b"attempt 1\n"
    time.sleep(0.3)

    wrapper.send_signal(signal.SIGHUP)

    assert wrapper.communicate(timeout=20)[0] == b"attempt 2\n"
    assert wrapper.returncode == 0


def test_a_second_attempt_has_the_signals_that_the_first_one_had(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "grep -E '^Sig(Blk|Ign)' /proc/self/status; exit 1"

    done = machine.run(
        *("ping", ping_server.ping_url, "--retry", "1", "--retry-delay", "0", "--kill-after", "20"),
        *("--", "sh", "-c", job),
    )

    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[:2] == lines[2:]
    assert int(lines[0].split()[1], 16) == 0


def test_a_failed_job_sends_nothing_where_only_success_is_to_be_told(
    machine: Machine, ping_server: PingServer
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]
    options = ("--on-success-only", "--json")

    failed = machine.run(
        "ping", ping_server.ping_url, *options, "--", "sh", "-c", "sleep 1.5; exit 3"
    )
    claimed = machine.run(
        "ping", ping_server.ping_url, *options, "--status", "Failed", "--", "true"
    )

    assert (failed.returncode, claimed.returncode) == (3, 0)
    assert ping_server.requests == []  # not even of its start
    assert machine.left_behind() == []
    assert '"outcome": "withheld"' in failed.stderr
    worked = machine.run("ping", ping_server.ping_url, "--on-success-only", "--", "true")
    assert (worked.returncode, worked.stderr) == (0, "")
    assert [ping.payload["status"] for ping in ping_server.pings] == ["success"]
