"""The job comes first: its code, its signals, its streams, whatever happens to the ping."""

from __future__ import annotations

import os
import pty
import select
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

TRAPS = (
    "import signal, sys, time\n"
    "heard = []\n"
    "def hear(number, frame): heard.append(number)\n"
    "for name in ('TERM', 'INT', 'HUP', 'QUIT', 'USR1'):\n"
    "    signal.signal(getattr(signal, 'SIG' + name), hear)\n"
    "print('ready', flush=True)\n"
    "deadline = time.monotonic() + 20\n"
    "while not heard and time.monotonic() < deadline: time.sleep(0.01)\n"
    "time.sleep(0.3)\n"
    "print(','.join(map(str, heard)), flush=True)\n"
    "sys.exit(40 + len(heard))\n"
)

GLIBC_OWN = 3 << 31


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_jobs_exit_code_is_ours(machine: Machine, ping_server: PingServer, code: int) -> None:
    done = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", f"exit {code}")

    assert done.returncode == code
    assert (done.stdout, done.stderr) == ("", "")
    [ping] = ping_server.pings
    assert ping.payload["exit_code"] == code
    assert ping.payload["status"] == ("error" if code else "success")
    assert "signal" not in ping.payload


def test_a_job_that_a_signal_kills_ends_with_128_and_its_number(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", "kill -KILL $$")

    assert done.returncode == 128 + 9
    [ping] = ping_server.pings
    assert ping.payload["signal"] == "SIGKILL"
    assert ping.payload["status"] == "error"
    assert "exit_code" not in ping.payload


def test_a_command_that_is_not_there_ends_with_127(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run("ping", ping_server.ping_url, "--", "no-such-command-here")

    assert done.returncode == 127
    assert done.stderr == "telemhq: no-such-command-here: command not found\n"
    [ping] = ping_server.pings
    assert ping.payload["exit_code"] == 127
    assert ping.payload["error"] == "command not found"


def test_a_command_that_cannot_be_executed_ends_with_126(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexit 0\n")

    for path in (script, tmp_path):
        done = machine.run("ping", ping_server.ping_url, "--", str(path))

        assert done.returncode == 126
        assert "Permission denied" in done.stderr


def test_a_script_without_an_interpreter_line_runs_as_under_a_shell(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1"; exit 9\n')
    script.chmod(0o755)
    machine.extra["PATH"] = f"{tmp_path}:{os.environ['PATH']}"

    for name in (str(script), "script"):
        done = machine.run("ping", ping_server.ping_url, "--", name, "hello")

        assert (done.returncode, done.stdout) == (9, "hello\n")


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1"])
@pytest.mark.parametrize("origin", ["told", "untold"])
def test_a_signal_sent_to_us_reaches_the_job_once(
    machine: Machine, ping_server: PingServer, name: str, origin: str
) -> None:
    number = getattr(signal, f"SIG{name}")
    arguments = ["ping", ping_server.ping_url, "--", sys.executable, "-c", TRAPS]
    program = [*TELEMHQ, *arguments]
    if origin == "untold":  # as where the system has no sigwaitinfo
        code = "import _signal, sys; del _signal.sigwaitinfo; from telemhq_cli.main import main; sys.exit(main())"
        program = [sys.executable, "-c", code, *arguments]
    wrapper = subprocess.Popen(program, env=machine.environ, stdout=subprocess.PIPE)
    assert wrapper.stdout is not None
    assert wrapper.stdout.readline() == b"ready\n"

    wrapper.send_signal(number)

    assert wrapper.stdout.read() == f"{int(number)}\n".encode()
    wrapper.stdout.close()
    assert wrapper.wait(20) == 41
    assert ping_server.pings[0].payload["exit_code"] == 41


@pytest.mark.parametrize("origin", ["told", "untold"])
def test_ctrl_c_at_the_terminal_reaches_the_job_once(
    machine: Machine, ping_server: PingServer, origin: str
) -> None:
    wrapper, terminal = pty.fork()
    if wrapper == 0:
        arguments = ["ping", ping_server.ping_url, "--", sys.executable, "-c", TRAPS]
        code = "import sys; from telemhq_cli.main import main; sys.exit(main())"
        if origin == "untold":
            code = f"import _signal; del _signal.sigwaitinfo; {code}"
        os.execve(sys.executable, [sys.executable, "-c", code, *arguments], machine.environ)  # noqa: S606 - there is no shell, on purpose
    read_until(terminal, b"ready")

    os.write(terminal, b"\x03")

    assert read_until(terminal, b"2\r\n").replace(b"^C", b"").strip() == b"2"
    _, status = os.waitpid(wrapper, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 41


def read_until(terminal: int, mark: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 20
    while mark not in seen and time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if ready:
            seen += os.read(terminal, 4096)
    assert mark in seen, seen
    return seen


def test_signals_that_nohup_ignores_stay_ignored_for_the_job(
    machine: Machine, ping_server: PingServer
) -> None:
    # A Python job would ignore SIGPIPE by itself, so the job is asked through /proc.
    job = "grep -E '^Sig(Blk|Ign)' /proc/self/status"

    plain = subprocess.run(
        ["sh", "-c", f"trap '' HUP; {job}"], capture_output=True, text=True, check=True
    )
    done = subprocess.run(
        [
            "sh",
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            *TELEMHQ,
            "ping",
            ping_server.ping_url,
            "--",
            "sh",
            "-c",
            job,
        ],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    blocked, ignored = masks(done.stdout)
    assert blocked == 0
    # glibc's posix_spawn (ours, and make's) leaves its own two signals, 32 and 33, ignored.
    without_us = masks(plain.stdout)[1]
    assert ignored & ~GLIBC_OWN == without_us & ~GLIBC_OWN
    assert without_us & 1 << (signal.SIGHUP - 1)


def masks(status: str) -> list[int]:
    return [int(line.split()[1], 16) for line in status.splitlines()]


def test_a_job_under_us_has_its_default_signals_again(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "grep -E '^Sig(Blk|Ign)' /proc/self/status"

    # Whoever runs the tests in the background ignores INT and QUIT: so does the job, then.
    plain = subprocess.run(["sh", "-c", job], capture_output=True, text=True, check=True)
    done = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", job)

    assert [mask & ~GLIBC_OWN for mask in masks(done.stdout)] == [
        mask & ~GLIBC_OWN for mask in masks(plain.stdout)
    ]


def test_an_ignored_sigchld_does_not_cost_the_exit_code(
    machine: Machine, ping_server: PingServer
) -> None:
    done = subprocess.run(
        [*TELEMHQ, "ping", ping_server.ping_url, "--", "sh", "-c", "exit 5"],
        env=machine.environ,
        capture_output=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN) and None,
    )

    assert done.returncode == 5


def test_stdin_stdout_and_stderr_pass_through_byte_for_byte(
    machine: Machine, ping_server: PingServer
) -> None:
    data = bytes(range(256)) * 4096

    done = subprocess.run(
        [*TELEMHQ, "ping", ping_server.ping_url, "--", "sh", "-c", "tee /dev/stderr"],
        env=machine.environ,
        input=data,
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, data, data)


def test_the_job_keeps_directory_environment_and_arguments(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    machine.extra["FLAVOUR"] = "sour cherry"
    job = 'pwd; echo "$FLAVOUR"; echo "$#:$1:$2"'

    done = machine.run(
        *("ping", ping_server.ping_url, "--", "sh", "-c", job, "sh", "--", "a b"), cwd=tmp_path
    )

    assert done.stdout.splitlines() == [str(tmp_path), "sour cherry", "2:--:a b"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"LC_CTYPE": "C"},
        {"LC_CTYPE": "C.UTF-8"},
        {"LC_CTYPE": ""},
        {"LANG": "C"},
        {"LC_ALL": "C.UTF-8", "LC_CTYPE": "POSIX"},
    ],
    ids=str,
)
def test_a_job_has_the_environment_that_it_would_have_without_us(
    machine: Machine, ping_server: PingServer, given: dict[str, str]
) -> None:
    environ = {"PATH": "/usr/bin:/bin", "TELEMHQ_HOME": str(machine.ours), "ODD": "\udcff", **given}

    done = subprocess.run(
        [*TELEMHQ, "ping", ping_server.ping_url, "--", "env", "-0"],
        env=environ,
        capture_output=True,
        check=True,
    )

    words = [os.fsencode(f"{name}={value}") for name, value in environ.items()]
    assert sorted(done.stdout.rstrip(b"\0").split(b"\0")) == sorted(words)


def test_closed_streams_cost_neither_the_job_nor_its_code(
    machine: Machine, ping_server: PingServer
) -> None:
    for options in ([], ["--payload-from-stdout"]):
        done = subprocess.run(
            [
                *("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *TELEMHQ, "ping", *options),
                *(ping_server.ping_url, "--", "sh", "-c", "exit 6"),
            ],
            env=machine.environ,
            check=False,
            timeout=30,
        )

        assert done.returncode == 6
    assert [ping.payload["exit_code"] for ping in ping_server.pings] == [6, 6]


def test_a_mistake_before_the_command_is_said_and_the_job_runs(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    for wrong in (["--bogus"], ["--timeout", "soon"], ["-f", "nonsense"], ["one-too-many"]):
        done = machine.run(
            "ping", ping_server.ping_url, *wrong, "--", "sh", "-c", "echo ran; exit 4"
        )

        assert (done.returncode, done.stdout) == (4, "ran\n")
        assert len(done.stderr.strip().splitlines()) == 1
    assert machine.run("ping", "--", "sh", "-c", "exit 4").returncode == 4
    assert ping_server.pings == []


def test_without_a_command_a_mistake_is_an_error(machine: Machine, ping_server: PingServer) -> None:
    for wrong in (
        [],
        [ping_server.ping_url, "--bogus"],
        [ping_server.ping_url, "--"],
        [ping_server.ping_url, "-f", "a=1", "-f", "a.b=2"],
        [ping_server.ping_url, "--payload-from-stdout"],
    ):
        done = machine.run("ping", *wrong)

        assert done.returncode == 2, wrong
        assert done.stderr.startswith("telemhq: ")
    assert ping_server.pings == []
