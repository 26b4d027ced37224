"""What a ping says, that it is on disk before it is sent, and that nothing is sent twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import spool
from telemhq_agents.errors import DamagedError
from telemhq_cli.wrap import leftovers, telling
from telemhq_cli.wrap.ping import Course
from tests.envelopes import data_of
from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.conftest import Machine, PingServer

STARTING_TAKES_S = 3.0
"""Two processes that start on a busy machine."""


def dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/ping/tt_nobody_listens"


def test_one_ping_says_what_it_was_told(machine: Machine, ping_server: PingServer) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--status", "success", "--project", "billing"),
        *("--model", "gpt-5", "--provider", "openai", "--duration-ms", "1500"),
        *("-f", "input_tokens=1200", "-f", "usage.cached=true", "-f", "note=plain text"),
    )

    assert done.returncode == 0, done.stderr
    [ping] = ping_server.pings
    said = ping.payload
    assert said.pop("ended_at").endswith("Z")
    assert said == {
        "status": "success",
        "project": "billing",
        "model": "gpt-5",
        "provider": "openai",
        "duration_ms": 1500,
        "input_tokens": 1200,
        "usage": {"cached": True},
        "note": "plain text",
    }
    assert ping.key.startswith("run:")
    assert len(ping.key) == len("run:") + 32
    assert machine.left_behind() == []


def test_two_pings_are_two_runs(machine: Machine, ping_server: PingServer) -> None:
    for _ in range(2):
        machine.run("ping", ping_server.ping_url)

    assert len({ping.key for ping in ping_server.pings}) == 2


def test_a_payload_from_a_file_and_from_stdin(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    path = tmp_path / "payload.json"
    path.write_text('{"items_processed": 7, "status": "success", "usage": {"a": 1}}')

    machine.run("ping", ping_server.ping_url, "--payload", str(path), "-f", "usage.b=2")
    machine.run("ping", ping_server.ping_url, "--payload", "-", given='{"items_failed": 3}')

    first, second = (ping.payload for ping in ping_server.pings)
    assert (first["items_processed"], first["usage"]) == (7, {"a": 1, "b": 2})
    assert second["items_failed"] == 3


def test_a_payload_from_a_closed_stdin_is_no_object(
    machine: Machine, ping_server: PingServer
) -> None:
    words = [*TELEMHQ, "ping", ping_server.ping_url, "--payload", "-"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, ping_server.pings) == (2, [])
    assert "is not one JSON object" in done.stderr


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "not json"])
def test_a_payload_that_is_no_object_is_refused(
    machine: Machine, ping_server: PingServer, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "payload.json"
    path.write_text(text)

    done = machine.run("ping", ping_server.ping_url, "--payload", str(path))

    assert done.returncode == 2
    assert str(path) in done.stderr
    assert ping_server.pings == []


def test_the_jobs_payload_file_is_read_after_it_wrote_it(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    path = tmp_path / "payload.json"
    job = f"echo '{{\"items_processed\": 12}}' > {path}"

    done = machine.run("ping", ping_server.ping_url, "--payload", str(path), "--", "sh", "-c", job)

    assert done.returncode == 0
    assert ping_server.pings[0].payload["items_processed"] == 12


def test_two_things_that_went_wrong_are_one_line(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(
        "ping", "http://127.0.0.1:9/ping/x", "--payload", str(tmp_path), "--", "true"
    )

    assert "Is a directory; 127.0.0.1:9: Connection refused" in done.stderr


def test_a_job_without_its_payload_file_is_recorded_all_the_same(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    path = str(tmp_path / "never-written.json")

    done = machine.run("ping", ping_server.ping_url, "--payload", path, "--", "true")

    assert done.returncode == 0
    assert path in done.stderr
    assert ping_server.pings[0].payload["exit_code"] == 0


def test_the_last_line_of_the_job_is_merged_and_its_output_is_untouched(
    machine: Machine, ping_server: PingServer
) -> None:
    job = 'echo first; printf "\\0\\377bytes\\n"; echo \'{"input_tokens": 9, "project": "theirs"}\'; echo'

    done = subprocess.run(
        [
            *TELEMHQ,
            *("ping", ping_server.ping_url, "--payload-from-stdout", "--project", "ours"),
            *("--", "sh", "-c", job),
        ],
        env=machine.environ,
        capture_output=True,
        check=True,
    )

    expected = subprocess.run(["sh", "-c", job], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (expected.stdout, b"")
    said = ping_server.pings[0].payload
    assert (said["input_tokens"], said["project"]) == (9, "ours")


def test_a_last_line_that_is_no_object_changes_nothing(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run(
        *("ping", ping_server.ping_url, "--payload-from-stdout", "--", "sh", "-c", "echo '[1]'")
    )

    assert (done.returncode, done.stdout) == (0, "[1]\n")
    assert set(ping_server.pings[0].payload) == {
        "status",
        "exit_code",
        "duration_ms",
        "started_at",
        "ended_at",
    }


def test_a_flood_of_output_passes_unbuffered_and_whole(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo '{\"items_processed\": 1}'"

    done = machine.run(
        *("ping", ping_server.ping_url, "--payload-from-stdout", "--", "sh", "-c", job)
    )

    assert len(done.stdout) == 20_000_000 + 1 + len('{"items_processed": 1}\n')
    assert ping_server.pings[0].payload["items_processed"] == 1


def test_output_arrives_while_the_job_still_runs(machine: Machine, ping_server: PingServer) -> None:
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--payload-from-stdout", "--"),
        *("sh", "-c", "echo early; exec sleep 30"),
    )
    assert wrapper.stdout is not None

    assert wrapper.stdout.readline() == b"early\n"
    assert wrapper.poll() is None
    wrapper.terminate()
    wrapper.communicate()


def test_what_the_job_leaves_behind_keeps_its_reader_and_does_not_hold_us(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "(sleep 1.5; echo late) & echo '{\"items_processed\": 5}'"
    began = time.monotonic()
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--payload-from-stdout", "--", "sh", "-c", job)
    )

    assert wrapper.wait(10) == 0
    assert time.monotonic() - began < 1.4
    assert wrapper.stdout is not None
    assert wrapper.stdout.read() == b'{"items_processed": 5}\nlate\n'
    wrapper.communicate()
    assert ping_server.pings[0].payload["items_processed"] == 5


def test_a_reader_that_goes_away_ends_the_job_as_it_would_without_us(
    machine: Machine, ping_server: PingServer
) -> None:
    script = 'set -o pipefail; "$@" | head -n 1; exit ${PIPESTATUS[0]}'

    done = subprocess.run(
        [
            *("bash", "-c", script, "bash", *TELEMHQ, "ping", ping_server.ping_url),
            *("--payload-from-stdout", "--", "sh", "-c", "while echo y; do :; done"),
        ],
        env=machine.environ,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.stdout == b"y\n"
    assert done.returncode == 128 + 13


def test_the_times_of_a_job_are_its_own(machine: Machine, ping_server: PingServer) -> None:
    machine.run("ping", ping_server.ping_url, "--", "sleep", "0.5")

    said = ping_server.pings[0].payload
    assert 500 <= said["duration_ms"] < 900
    assert said["started_at"] < said["ended_at"]


def test_a_server_that_is_away_costs_one_line_and_the_ping_stays(machine: Machine) -> None:
    for job, code in ((["--", "sh", "-c", "exit 3"], 3), ([], 0)):
        before = len(machine.left_behind())

        done = machine.run("ping", dead_url(), *job)

        assert done.returncode == code
        assert len(done.stderr.splitlines()) == 1
        assert "later" in done.stderr
        assert len(machine.left_behind()) == before + 1
    [first, _] = machine.left_behind()
    entry = json.loads(first.read_text())
    assert entry["kind"] == "ping"
    assert json.loads(entry["body"])["exit_code"] == 3
    assert oct(first.stat().st_mode & 0o777) == "0o600"


def test_a_url_needs_no_settings(machine: Machine, ping_server: PingServer) -> None:
    machine.ours.mkdir(parents=True)
    (machine.ours / "config.toml").write_text("broken = [")

    done = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", "exit 3")

    assert (done.returncode, done.stderr) == (3, "")
    assert ping_server.pings[0].payload["exit_code"] == 3


@pytest.mark.parametrize("name", ["config.toml", "credentials.json"])
def test_a_run_is_kept_until_our_files_can_be_read_again(
    name: str, machine: Machine, ping_server: PingServer
) -> None:
    machine.ours.mkdir(parents=True)
    (machine.ours / name).write_text("broken = [")

    done = machine.run("ping", "nightly", "--", "sh", "-c", "exit 3")

    assert done.returncode == 3
    assert "The ping goes out later" in done.stderr
    (machine.ours / name).unlink()
    held = {"version": 1, "trackers": {"default/nightly": ping_server.ping_url}}
    (machine.ours / "credentials.json").write_text(json.dumps(held))
    machine.run("agent", "once")
    assert [ping.payload["exit_code"] for ping in ping_server.pings] == [3]


def test_quiet_says_nothing_even_then(machine: Machine) -> None:
    done = machine.run("ping", dead_url(), "--quiet", "--", "true")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_server_that_hangs_delays_neither_the_job_nor_more_than_the_timeout(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    ping_server.hangs = True
    mark = tmp_path / "started"
    began = time.time()

    done = machine.run(
        *("ping", ping_server.ping_url, "--timeout", "1", "--", "sh", "-c", f"touch {mark}; exit 7")
    )

    assert done.returncode == 7
    assert mark.stat().st_mtime - began < 1
    assert time.time() - began < 3
    assert "later" in done.stderr
    [entry] = machine.left_behind()
    assert json.loads(entry.read_text())["key"] == ping_server.pings[0].key


@pytest.mark.parametrize(("job", "code"), [([], 0), (["--", "sh", "-c", "exit 7"], 7)])
def test_a_resolver_that_hangs_is_not_waited_for_for_ever(
    machine: Machine, job: list[str], code: int
) -> None:
    hang = (
        "import socket, sys, time; socket.getaddrinfo = lambda *a, **k: time.sleep(30); "
        "from telemhq_cli.main import main; sys.exit(main())"
    )
    began = time.monotonic()

    done = subprocess.run(
        [TELEMHQ[0], "-c", hang, "ping", "http://a.test/ping/x", "--timeout", "0.3", *job],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert time.monotonic() - began < 0.3 + 0.5 + STARTING_TAKES_S
    assert "later" in done.stderr
    assert machine.run("agent", "once").returncode == 0
    [row] = data_of(machine.run("agent", "outbox", "--json").stdout)
    assert row["state"] == "pending"


def test_a_signal_ends_the_wait_for_a_resolver_that_hangs(machine: Machine) -> None:
    hang = (  # a lock in C, taken twice: no handler of Python's runs while it is waited for
        "import ctypes, socket, sys; lock = ctypes.create_string_buffer(64);"
        "take = lambda *a, **k: ctypes.CDLL(None).pthread_mutex_lock(lock); take();"
        "socket.getaddrinfo = take;"
        "from telemhq_cli.main import main; sys.exit(main())"
    )
    job = ("--timeout", "20", "--", "sh", "-c", "exit 7")
    wrapper = subprocess.Popen(
        [TELEMHQ[0], "-c", hang, "ping", "http://a.test/ping/x", *job], env=machine.environ
    )
    while not list(machine.spool.glob("claimed/*/*.json")):
        time.sleep(0.05)
    time.sleep(0.3)

    wrapper.terminate()

    assert wrapper.wait(5) == 7
    assert list(machine.spool.glob("claimed/*/*.json"))


def test_what_is_woken_hears_the_signals_that_we_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    looks = f"import signal; open({str(told)!r}, 'w').write(str(signal.pthread_sigmask(0, ())))"
    monkeypatch.setattr(leftovers, "DRAIN", ("-c", looks))
    spool.write(tmp_path / "spool", {"kind": "ping", "key": "k"})

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM})
    try:
        leftovers.send(tmp_path / "spool")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (told.exists() and told.read_text()):
        time.sleep(0.02)
    assert told.read_text() == "set()"


def ends_in_time(machine: Machine, target: str) -> subprocess.CompletedProcess[str]:
    """Run a job of no length under `--timeout 1`."""
    began = time.monotonic()
    done = machine.run("ping", target, "--timeout", "1", "--", "sh", "-c", "exit 4")
    took = time.monotonic() - began
    assert done.returncode == 4, done.stderr
    assert took < 1 + 0.5 + STARTING_TAKES_S
    return done


def entries(machine: Machine) -> list[Any]:
    """Return what lies in the spool, claimed by a process that has ended or by nobody."""
    paths = [path for path in machine.left_behind() if path.suffix == ".json"]
    return [json.loads(path.read_text()) for path in paths]


def test_an_earlier_ping_to_a_server_that_drips_does_not_hold_up_a_job_that_has_ended(
    machine: Machine, ping_server: PingServer, dripping_url: str
) -> None:
    left = {"kind": "ping", "key": "run:earlier", "url": f"{dripping_url}/ping/tt", "body": "{}"}
    spool.write(machine.spool, left)

    done = ends_in_time(machine, ping_server.ping_url)

    assert done.stderr == ""
    [ping] = ping_server.pings
    assert ping.payload["exit_code"] == 4


def test_what_sends_earlier_pings_holds_no_pipe_of_ours_open(
    machine: Machine, ping_server: PingServer, dripping_url: str
) -> None:
    left = {"kind": "ping", "key": "run:earlier", "url": f"{dripping_url}/ping/tt", "body": "{}"}
    spool.write(machine.spool, left)
    reader, writer = os.pipe()
    began = time.monotonic()

    wrapper = machine.start("ping", ping_server.ping_url, "--", "true", pass_fds=[writer])
    os.close(writer)
    wrapper.communicate(timeout=20)

    assert os.read(reader, 1) == b""
    assert time.monotonic() - began < STARTING_TAKES_S
    os.close(reader)


@pytest.mark.parametrize("proxied", [False, True])
def test_a_server_that_drips_its_answer_is_waited_for_as_long_as_the_timeout(
    machine: Machine, dripping_url: str, proxied: bool
) -> None:
    url = f"{dripping_url}/ping/tt_made_up_token"
    if proxied:
        machine.extra["http_proxy"] = dripping_url
        url = "http://telemhq.test/ping/tt_made_up_token"

    done = ends_in_time(machine, url)

    assert "later" in done.stderr
    [entry] = entries(machine)
    assert entry["may_have_arrived"] is True


def test_a_proxy_that_hangs_is_waited_for_as_long_as_the_timeout(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.hangs = True
    machine.extra["http_proxy"] = ping_server.url

    done = ends_in_time(machine, "http://telemhq.test/ping/tt_made_up_token")

    assert "later" in done.stderr
    assert len(entries(machine)) == 1


def test_a_name_that_a_dripping_server_is_asked_for_costs_the_timeout_and_not_the_run(
    machine: Machine, dripping_url: str
) -> None:
    machine.extra.update(TELEMHQ_URL=dripping_url, TELEMHQ_API_KEY="thq_made_up")

    ends_in_time(machine, "nightly")

    [entry] = entries(machine)
    assert (entry["tracker"], entry["url"]) == ("nightly", "")
    assert "may_have_arrived" not in entry
    assert json.loads(entry["body"])["exit_code"] == 4


def test_a_ledger_that_somebody_holds_costs_no_more_than_the_timeout(
    machine: Machine, ping_server: PingServer
) -> None:
    machine.run("agent", "outbox")
    ping_server.status = 422
    holder = sqlite3.connect(machine.ours / "ledger.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    done = ends_in_time(machine, ping_server.ping_url)

    holder.close()
    assert "refuses the ping" in done.stderr


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http:///x", "no host"),
        ("https://", "no host"),
        ("http://a b/x", "a space"),
        ("http://host:port/x", "no port"),
        ("http://host:70000/x", "no port"),
        ("http://[::1/x", "no host"),
    ],
)
def test_a_url_that_can_never_work_is_refused_and_not_kept(
    machine: Machine, url: str, wrong: str
) -> None:
    alone = machine.run("ping", url)
    around = machine.run("ping", url, "--", "sh", "-c", "exit 4")

    assert (alone.returncode, around.returncode) == (2, 4)
    assert wrong in alone.stderr
    assert wrong in around.stderr
    assert machine.left_behind() == []


def test_a_second_ctrl_c_ends_the_wait_for_a_server_that_hangs(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.hangs = True
    wrapper = machine.start(
        "ping", ping_server.ping_url, "--timeout", "20", "--", "sh", "-c", "exit 9"
    )
    ping_server.wait_for_pings(1)
    began = time.monotonic()

    wrapper.terminate()

    assert wrapper.wait(10) == 9
    assert time.monotonic() - began < 5
    wrapper.communicate()
    assert len(machine.left_behind()) >= 1


def test_a_home_that_cannot_be_written_costs_one_line_and_nothing_else(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    machine.extra["TELEMHQ_HOME"] = str(file)

    for job, code in ((["--", "sh", "-c", "exit 3"], 3), ([], 0)):
        done = machine.run("ping", ping_server.ping_url, *job)

        assert done.returncode == code
        assert len(done.stderr.splitlines()) == 1
    assert len(ping_server.pings) == 2


def test_a_full_disk_costs_neither_the_job_nor_the_ping(
    machine: Machine, ping_server: PingServer
) -> None:
    machine.extra["TELEMHQ_HOME"] = "/dev/full"

    done = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", "exit 3")

    assert done.returncode == 3
    assert len(ping_server.pings) == 1


def in_a_room_of_its_own(machine: Machine, prepare: str, *arguments: str) -> list[str]:
    """Return a program that prepares file systems that nobody else sees, and then runs us.

    `$OURS` is where our files are. Skips the test where nobody may mount anything.
    """
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("mounting is not allowed here")
    script = f'set -e; OURS={machine.ours}; mkdir -p "$OURS"; {prepare}; exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", *TELEMHQ, *arguments]


@pytest.mark.parametrize(
    "prepare",
    [
        'mount -t tmpfs -o size=16k none "$OURS"; cat /dev/zero > "$OURS/full" 2>/dev/null || true',
        'mount -t tmpfs -o ro none "$OURS"',
    ],
    ids=["full", "read-only"],
)
def test_a_home_that_takes_nothing_costs_one_line_and_the_ping_still_arrives(
    machine: Machine, ping_server: PingServer, prepare: str
) -> None:
    program = in_a_room_of_its_own(
        *(machine, prepare, "ping", ping_server.ping_url, "--tail-output", "50"),
        *("--", "sh", "-c", "echo ran; exit 3"),
    )

    done = subprocess.run(
        program, env=machine.environ, capture_output=True, text=True, check=False, timeout=30
    )

    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert "was sent, but could not be kept" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert ping_server.pings[0].payload["output_tail"] == "ran\n"


def test_a_disk_that_fills_up_while_a_ping_is_sent_does_not_lose_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_: object) -> None:
        raise DamagedError("The disk is full.")

    monkeypatch.setenv("TELEMHQ_HOME", str(machine.ours))
    monkeypatch.setattr(spool, "write", is_full)
    patience = telling.Patience(5, lambda told: pytest.fail(told.message))

    told = telling.record(telling.Ping("run:1", dead_url(), "nightly", "default", b"{}"), patience)

    assert (told.outcome, told.message) == ("kept", "The disk is full. The ping goes out later")
    assert len([path for path in machine.left_behind() if path.suffix == ".json"]) == 1


def test_a_full_disk_does_not_keep_the_lock_from_being_taken(
    machine: Machine, ping_server: PingServer
) -> None:
    fill = 'mount -t tmpfs -o size=16k none "$OURS"; mkdir "$OURS/locks"; cat /dev/zero > "$OURS/full" 2>/dev/null || true'
    program = in_a_room_of_its_own(
        *(machine, fill, "ping", ping_server.ping_url, "--lock", "nightly"),
        *("--", "sh", "-c", "exit 3"),
    )

    done = subprocess.run(
        program, env=machine.environ, capture_output=True, text=True, check=False, timeout=30
    )

    assert done.returncode == 3
    assert "without the lock" not in done.stderr
    assert ping_server.pings[0].payload["exit_code"] == 3


def test_neither_disk_nor_server_is_an_error_where_there_is_no_job(machine: Machine) -> None:
    machine.extra["TELEMHQ_HOME"] = "/dev/null"

    done = machine.run("ping", dead_url())

    assert done.returncode == 6
    assert "lost" in done.stderr


def test_no_home_at_all_costs_the_job_nothing(machine: Machine, ping_server: PingServer) -> None:
    environ = {
        name: value
        for name, value in machine.environ.items()
        if name not in {"HOME", "TELEMHQ_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"}
    }
    environ["XDG_DATA_HOME"] = "/dev/null"

    done = subprocess.run(
        [*TELEMHQ, "ping", ping_server.ping_url, "--", "sh", "-c", "exit 3"],
        env=environ,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 3
    assert len(ping_server.pings) == 1


def test_a_tracker_that_nobody_knows_costs_the_job_nothing(machine: Machine) -> None:
    done = machine.run("ping", "no such tracker", "--", "sh", "-c", "echo ran; exit 3")

    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert "no such tracker" in done.stderr


def test_what_stayed_behind_goes_out_with_the_next_ping(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.hangs = True
    machine.run("ping", ping_server.ping_url, "--timeout", "0.5", "-f", "n=1")
    machine.run("ping", ping_server.ping_url, "--timeout", "0.5", "-f", "n=2")
    assert len(machine.left_behind()) == 2
    ping_server.hangs = False
    ping_server.released.set()
    ping_server.requests.clear()

    machine.run("ping", ping_server.ping_url, "-f", "n=3")

    ping_server.wait_for_pings(3)
    assert sorted(ping.payload["n"] for ping in ping_server.pings) == [1, 2, 3]
    deadline = time.monotonic() + 10
    while machine.left_behind() and time.monotonic() < deadline:
        time.sleep(0.02)  # whoever sent them has still to note the answers
    assert machine.left_behind() == []


@pytest.mark.parametrize("status", [400, 404, 410, 413])
def test_a_ping_that_the_server_will_never_take_is_parked_and_shown(
    machine: Machine, ping_server: PingServer, status: int
) -> None:
    ping_server.status = status
    ping_server.answer = {
        "type": "no",
        "title": "This is not to be",
        "status": status,
        "next": "do else",
    }

    alone = machine.run("ping", ping_server.ping_url)
    around = machine.run("ping", ping_server.ping_url, "--", "sh", "-c", "exit 3")

    assert (alone.returncode, around.returncode) == (5, 3)
    assert "This is not to be" in alone.stderr
    assert "This is not to be" in around.stderr
    assert machine.left_behind() == []
    shown = data_of(machine.run("agent", "outbox", "--json").stdout)
    assert [row["state"] for row in shown] == ["parked", "parked"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_ping_that_the_server_cannot_take_now_goes_out_later(
    machine: Machine, ping_server: PingServer, status: int
) -> None:
    ping_server.status = status

    done = machine.run("ping", ping_server.ping_url)

    assert done.returncode == 0
    assert "later" in done.stderr
    assert len(machine.left_behind()) == 1


@pytest.mark.parametrize("status", [500, 502])
def test_a_lost_answer_of_a_server_that_counts_once_is_asked_for_again(
    machine: Machine, ping_server: PingServer, status: int
) -> None:
    ping_server.status = status

    done = machine.run("ping", ping_server.ping_url)
    ping_server.status = 200
    machine.run("agent", "once")

    assert done.stderr.endswith("; the ping goes out later\n")
    assert len({ping.key for ping in ping_server.pings}) == 1
    assert len(ping_server.pings) == 2


def test_a_lost_answer_of_a_server_that_counts_each_time_is_said_to_be_in_doubt(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.capabilities = None
    ping_server.status = 500

    done = machine.run("ping", ping_server.ping_url)
    ping_server.status = 200
    machine.run("agent", "once")

    assert "may have arrived and is not sent again (telemhq agent outbox)" in done.stderr
    assert "later" not in done.stderr
    assert len(ping_server.pings) == 1
    [row] = data_of(machine.run("agent", "outbox", "--json").stdout)
    assert row["state"] == "uncertain"


def test_of_a_server_that_says_nothing_at_all_no_more_is_claimed_than_is_known(
    machine: Machine, ping_server: PingServer
) -> None:
    ping_server.hangs = True

    done = machine.run("ping", ping_server.ping_url, "--timeout", "0.5")

    assert "may have arrived; it goes out later if the server counts it once" in done.stderr


def test_json_tells_what_became_of_the_ping(machine: Machine, ping_server: PingServer) -> None:
    alone = data_of(machine.run("ping", ping_server.ping_url, "--json").stdout)
    around = machine.run(
        "ping", ping_server.ping_url, "--json", "--", "sh", "-c", "echo out; exit 3"
    )
    kept = data_of(machine.run("ping", dead_url(), "--json").stdout)

    assert alone["outcome"] == "recorded"
    assert alone["key"] == ping_server.pings[0].key
    assert around.stdout == "out\n"
    assert data_of(around.stderr)["exit_code"] == 3
    assert kept["outcome"] == "kept"


def test_a_start_is_told_to_a_server_that_asks_for_it(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]

    job = f"while ! test -e {tmp_path}/told; do sleep 0.05; done"
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--project", "billing", "--", "sh", "-c", job)
    )
    ping_server.wait_for_pings(1)
    (tmp_path / "told").touch()
    wrapper.communicate(timeout=20)

    start, end = ping_server.pings
    assert start.payload["kind"] == "start"
    assert start.payload["run_key"] == end.key
    assert start.payload["project"] == "billing"
    assert start.payload["started_at"] == end.payload["started_at"]
    assert start.key not in ("", end.key)


def test_a_start_that_is_not_told_by_the_jobs_end_is_dropped(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]
    ping_server.describes = threading.Event()
    asked, payload = tmp_path / "asked", tmp_path / "payload"
    os.mkfifo(payload)
    job = f"while ! test -e {asked}; do sleep 0.05; done"
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--payload", str(payload), "--", "sh", "-c", job)
    )
    deadline = time.monotonic() + 20
    while not ping_server.requests and time.monotonic() < deadline:
        time.sleep(0.02)

    asked.touch()
    with payload.open("w") as given:  # opens for us once the job has ended
        ping_server.describes.set()
        time.sleep(0.5)  # for a start to be sent, if it were
        given.write("{}")
    wrapper.communicate(timeout=20)

    assert [ping.payload.get("kind") for ping in ping_server.pings] == [None]


def test_a_start_that_hangs_delays_the_end_no_longer_than_the_timeout(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]
    ping_server.posts_hang = True
    ended = tmp_path / "ended"
    job = f"while ! test -e {tmp_path}/told; do sleep 0.05; done; touch {ended}; exit 4"
    wrapper = machine.start("ping", ping_server.ping_url, "--timeout", "1", "--", "sh", "-c", job)
    ping_server.wait_for_pings(1)

    (tmp_path / "told").touch()
    _, said = wrapper.communicate(timeout=20)

    assert wrapper.returncode == 4
    assert time.time() - ended.stat().st_mtime < 1 + 0.5 + 0.4
    assert b"later" in said
    [entry] = entries(machine)
    assert json.loads(entry["body"])["exit_code"] == 4


def test_the_end_waits_for_a_start_that_is_on_its_way() -> None:
    course, told = Course(), []
    on_its_way, arrived = threading.Event(), threading.Event()

    def start() -> None:
        on_its_way.set()
        arrived.wait(20)
        told.append("start")

    beside = threading.Thread(target=course.while_it_runs, args=(start,))
    beside.start()
    assert on_its_way.wait(20)
    course.end()
    threading.Timer(0.1, arrived.set).start()
    course.settle()
    told.append("end")
    course.while_it_runs(lambda: told.append("another start"))
    beside.join()

    assert told == ["start", "end"]


@pytest.mark.parametrize("told", ["nothing", "no verbs"])
def test_a_server_that_does_not_ask_for_starts_gets_the_end_alone(
    machine: Machine, ping_server: PingServer, tmp_path: Path, told: str
) -> None:
    if told == "nothing":
        ping_server.capabilities = None

    job = f"while ! test -e {tmp_path}/asked; do sleep 0.05; done"
    wrapper = machine.start("ping", ping_server.ping_url, "--", "sh", "-c", job)
    deadline = time.monotonic() + 20
    while not ping_server.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)  # for the answer to be kept
    (tmp_path / "asked").touch()
    wrapper.communicate(timeout=20)
    machine.run("ping", ping_server.ping_url, "--", "sleep", "1.4")

    assert [ping.payload.get("kind") for ping in ping_server.pings] == [None, None]
    assert [request.method for request in ping_server.requests].count("GET") == 1


def test_a_short_job_is_told_by_its_end_alone(machine: Machine, ping_server: PingServer) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["verbs"] = ["start"]

    machine.run("ping", ping_server.ping_url, "--", "true")

    assert [request.method for request in ping_server.requests] == ["POST"]


HEAVY = {
    *("typer", "rich", "httpx", "platformdirs", "hashlib", "uuid", "subprocess", "argparse"),
    *("pydantic", "keyring", "sqlite3"),
}


def test_the_road_of_a_ping_imports_nothing_heavy(
    machine: Machine, ping_server: PingServer
) -> None:
    program = [TELEMHQ[0], "-X", "importtime", *TELEMHQ[1:]]

    done = subprocess.run(
        [*program, "ping", ping_server.ping_url, "--", "true"],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "telemhq_cli.wrap.telling" in loaded
    assert HEAVY & loaded == set()


def test_the_job_starts_before_anything_heavier_than_the_clock_is_imported(
    machine: Machine, ping_server: PingServer
) -> None:
    code = (
        "import sys\n"
        "def look(event, _):\n"
        "    if event == 'os.posix_spawn': sys.stderr.write(' '.join(sys.modules) + '\\n')\n"
        "sys.addaudithook(look)\n"
        "from telemhq_cli.main import main\n"
        "sys.exit(main())\n"
    )

    done = subprocess.run(
        [TELEMHQ[0], "-c", code, "ping", ping_server.ping_url, "--", "true"],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(done.stderr.split())
    assert "telemhq_cli.wrap.child" in loaded
    heavy = {"re", "json", "typing", "pathlib", "dataclasses", "socket", "enum"}
    heavy |= {"functools", "collections", "contextlib", "select", "fcntl"}
    assert heavy & loaded == set()
    ours = {name for name in loaded if name.startswith("telemhq_cli.wrap.")}
    assert ours == {f"telemhq_cli.wrap.{name}" for name in ("child", "command_line", "ping")}


def test_the_fixture_moves_every_file_of_ours(machine: Machine, ping_server: PingServer) -> None:
    machine.run("ping", ping_server.ping_url)

    assert {path.name for path in machine.home.iterdir()} <= {"telemhq"}
    assert os.environ.get("TELEMHQ_HOME") != str(machine.ours)


def test_events_of_hooks_that_wait_cost_a_ping_nothing(
    machine: Machine, ping_server: PingServer
) -> None:
    spool.write(machine.spool, {"kind": "hook", "event": "Stop", "at_ms": 1})

    machine.run("ping", ping_server.ping_url)

    assert len(machine.left_behind()) == 1
    assert not (machine.ours / "ledger.sqlite3").exists()


def test_a_server_behind_a_proxy_is_reached_by_the_full_client(
    machine: Machine, ping_server: PingServer
) -> None:
    # The stand-in proxy takes requests for any host, as a proxy does.
    machine.extra["http_proxy"] = ping_server.url
    url = "http://telemhq.test/ping/tt_made_up_token"

    done = machine.run("ping", url, "-f", "n=1", "--", "sh", "-c", "exit 3")

    assert (done.returncode, done.stderr) == (3, "")
    [ping] = ping_server.pings
    assert ping.path == url
    assert ping.payload["n"] == 1
    ping_server.status = 422
    assert machine.run("ping", url).returncode == 5
    ping_server.status = 503
    assert "later" in machine.run("ping", url).stderr
