"""The end of the job's output: sent where it is asked for, while the job's streams stay its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_cli.wrap import payload
from telemhq_cli.wrap.tail import MARGIN, Tail, last_bytes, without_half_character
from tests.telemhq_cli.conftest import TELEMHQ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.conftest import Machine, PingServer

MAXIMUM = "65536"


def wrapped(server: PingServer, *words: str, tail: str = "1000") -> list[str]:
    return [*TELEMHQ, "ping", server.ping_url, "--tail-output", tail, "--", *words]


def test_the_end_of_both_streams_is_sent_and_they_stay_two(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "echo out; sleep 0.3; echo error >&2; sleep 0.3; printf '\\0\\377 end'; exit 3"

    done = subprocess.run(
        wrapped(ping_server, "sh", "-c", job), env=machine.environ, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n\0\xff end", b"error\n")
    assert ping_server.pings[0].payload["output_tail"] == "out\nerror\n\0\ufffd end"


def test_nothing_is_sent_of_the_output_unless_it_is_asked_for(
    machine: Machine, ping_server: PingServer
) -> None:
    machine.run("ping", ping_server.ping_url, "--", "echo", "out")
    machine.run("ping", ping_server.ping_url, "--tail-output", "10", "--", "true")

    assert all("output_tail" not in ping.payload for ping in ping_server.pings)


def test_of_a_flood_the_last_bytes_are_sent_and_all_of_it_is_handed_on(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end"

    done = machine.run("ping", ping_server.ping_url, "--tail-output", "20", "--", "sh", "-c", job)

    assert len(done.stdout) == 20_000_000 + len("\nthe end\n")
    assert ping_server.pings[0].payload["output_tail"] == "x" * 11 + "\nthe end\n"


def test_secrets_are_masked_in_what_is_sent_and_not_in_what_is_handed_on(
    machine: Machine, ping_server: PingServer
) -> None:
    text = "password=hunter2\nkey ghp_0123456789abcdefghijABCDEFGHIJ012345\n"

    # 30 bytes: the cut would go through the middle of the token, whose shape would be lost.
    for tail in ("500", "30"):
        done = subprocess.run(
            wrapped(ping_server, "printf", text, tail=tail),
            env=machine.environ,
            capture_output=True,
            check=True,
        )
        assert done.stdout == text.encode()

    whole, cut = (ping.payload["output_tail"] for ping in ping_server.pings)
    assert whole == "password=[masked]\nkey [masked]\n"
    assert cut == whole[-30:]


def test_a_ping_with_output_fits_what_any_server_takes(
    machine: Machine, ping_server: PingServer
) -> None:
    job = 'import sys; print("".join(chr(0x1F600 + n % 64) + "\\x1b\\"" for n in range(9000)))'

    done = machine.run(
        *("ping", ping_server.ping_url, "--tail-output", MAXIMUM, "--project", "billing"),
        *("--", sys.executable, "-X", "utf8", "-c", job),
    )

    assert done.returncode == 0
    [ping] = ping_server.pings
    assert 1024 - 12 <= len(ping.body) <= 1024
    assert ping.payload["project"] == "billing"
    assert ping.payload["output_tail"].endswith('\x1b"\n')


def test_a_server_that_told_that_it_takes_more_gets_more(
    machine: Machine, ping_server: PingServer
) -> None:
    assert ping_server.capabilities is not None
    ping_server.capabilities["max_body_bytes"] = 30_000
    until_told = f"while ! test -e {machine.ours}/capabilities.json; do sleep 0.05; done"
    machine.run("ping", ping_server.ping_url, "--", "sh", "-c", until_told)

    machine.run(
        *("ping", ping_server.ping_url, "--tail-output", MAXIMUM, "--"),
        *("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x"),
    )

    assert len(ping_server.pings[-1].body) == 30_000


def test_lines_of_one_sink_keep_their_order(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    job = 'i=0; while [ $i -lt 300 ]; do echo "out $i"; echo "error $i" >&2; i=$((i+1)); done'
    log = tmp_path / "log"

    with log.open("wb") as sink:
        subprocess.run(
            wrapped(ping_server, "sh", "-c", job),
            env=machine.environ,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=True,
        )

    expected = "".join(f"out {n}\nerror {n}\n" for n in range(300))
    assert log.read_text() == expected
    assert expected.endswith(ping_server.pings[0].payload["output_tail"])


def test_a_reader_of_one_stream_that_stands_still_does_not_hold_up_the_other(
    machine: Machine, ping_server: PingServer
) -> None:
    # The job fills stderr (nobody reads it), from a process of its own, and goes on on stdout.
    job = "(head -c 1000000 /dev/zero >&2) & sleep 0.5; echo lives; exec sleep 30"
    wrapper = machine.start(
        "ping", ping_server.ping_url, "--tail-output", "100", "--", "sh", "-c", job
    )
    assert wrapper.stdout is not None

    assert wrapper.stdout.readline() == b"lives\n"

    wrapper.kill()
    wrapper.communicate()


def test_the_run_is_told_though_the_reader_of_its_last_words_stands_still(
    machine: Machine, ping_server: PingServer
) -> None:
    began = time.monotonic()
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--tail-output", "100", "--"),
        *("sh", "-c", "head -c 100000 /dev/zero; exit 3"),
    )

    ping_server.wait_for_pings(1)  # our stdout is read by nobody yet

    assert time.monotonic() - began < 8
    assert ping_server.pings[0].payload["exit_code"] == 3
    assert wrapper.poll() is None
    assert wrapper.stdout is not None
    assert len(wrapper.stdout.read()) == 100_000
    assert wrapper.wait(20) == 3
    wrapper.communicate()


def test_a_signal_ends_the_wait_for_a_reader_that_stands_still(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper = machine.start(
        *("ping", ping_server.ping_url, "--tail-output", "100", "--"),
        *("sh", "-c", "head -c 100000 /dev/zero; exit 3"),
    )
    ping_server.wait_for_pings(1)
    time.sleep(0.3)

    wrapper.terminate()

    assert wrapper.wait(10) == 3
    wrapper.communicate()


def test_what_floods_on_after_the_jobs_end_does_not_hold_us(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    job = f"yes & echo $! > {pid}; sleep 0.2; exit 3"
    began = time.monotonic()
    wrapper = subprocess.Popen(
        wrapped(ping_server, "sh", "-c", job),
        env=machine.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    assert wrapper.wait(20) == 3

    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 8
    assert ping_server.pings[0].payload["output_tail"].startswith("y\n")


def test_a_daemon_keeps_both_its_streams_and_does_not_hold_us(
    machine: Machine, ping_server: PingServer
) -> None:
    job = "(sleep 1.5; echo late; echo later >&2) & echo done; exit 3"
    began = time.monotonic()
    wrapper = machine.start(
        "ping", ping_server.ping_url, "--tail-output", "100", "--", "sh", "-c", job
    )

    assert wrapper.wait(10) == 3

    assert time.monotonic() - began < 1.4
    assert wrapper.communicate() == (b"done\nlate\n", b"later\n")
    assert ping_server.pings[0].payload["output_tail"] == "done\n"


def test_at_a_terminal_the_job_writes_into_a_pipe_and_its_words_arrive(
    machine: Machine, ping_server: PingServer
) -> None:
    wrapper, terminal = pty.fork()
    if wrapper == 0:
        words = wrapped(ping_server, "sh", "-c", "test -t 1 || echo a pipe; echo two >&2")
        os.execve(words[0], words, machine.environ)  # noqa: S606 - there is no shell, on purpose
    seen = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # the terminal's other end has gone
            break
        seen += block
    os.waitpid(wrapper, 0)
    os.close(terminal)

    assert seen == b"a pipe\r\ntwo\r\n"
    assert ping_server.pings[0].payload["output_tail"] == "a pipe\ntwo\n"


def test_a_closed_stderr_costs_only_what_would_be_heard_there(
    machine: Machine, ping_server: PingServer
) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *wrapped(ping_server, "sh", "-c", "echo out; exit 3")],
        env=machine.environ,
        stdout=subprocess.PIPE,
        check=False,
    )

    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert ping_server.pings[0].payload["output_tail"] == "out\n"


def test_more_open_files_than_select_knows_cost_nothing(
    machine: Machine, ping_server: PingServer
) -> None:
    opens = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 4096));"
        "[os.set_inheritable(os.open(os.devnull, 0), True) for _ in range(1100)];"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = wrapped(ping_server, "sh", "-c", "echo out; echo error >&2")

    done = subprocess.run(
        [sys.executable, "-c", opens, *command],
        env=machine.environ,
        capture_output=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == (b"out\n", b"error\n")
    assert "out\n" in ping_server.pings[0].payload["output_tail"]


@given(
    st.text("ab\n äö€\U0001f600", max_size=60),
    st.integers(1, 40),
    st.lists(st.integers(1, 7), max_size=40),
)
def test_the_tail_is_the_texts_end_however_it_was_cut_into_pieces(
    text: str, limit: int, cuts: list[int]
) -> None:
    tail = Tail(limit)
    rest = text.encode()
    for cut in cuts:
        tail.feed(1, rest[:cut])
        rest = rest[cut:]
    tail.feed(1, rest)

    found = tail.text()

    assert text.endswith(found)
    assert len(found.encode()) <= limit
    assert found == text or len(text[-len(found) - 1 :].encode()) > limit


def test_a_character_that_two_streams_interrupt_is_still_one() -> None:
    tail = Tail(100)
    tail.feed(1, "ä".encode()[:1])
    tail.feed(2, b"!")
    tail.feed(1, "ä".encode()[1:])

    assert tail.text() == "!ä"


def test_a_line_that_the_other_stream_interrupts_stays_whole_and_so_does_its_secret() -> None:
    tail = Tail(100)
    for stream, data in (
        (1, b"key: ghp_01234567"),
        (2, b"warning\n"),
        (1, b"89abcdefghijklmn\nend"),
    ):
        tail.feed(stream, data)

    assert tail.text() == "warning\nkey: [masked]\nend"


def test_of_a_secret_whose_name_was_cut_off_nothing_is_kept() -> None:
    tail = Tail(2_000)
    for letter in "abcdefghijklmnop":  # masked, all of it is shorter than what is wanted
        tail.feed(1, b"Authorization: Bearer " + letter.encode() * 3_000 + b"\n")

    assert set(tail.text().splitlines()) == {"Authorization: [masked]"}


def test_colours_hide_no_secret() -> None:
    tail = Tail(500)
    tail.feed(
        1, b"\x1b[1;31mghp_0123456789abcdefghij\x1b[0m \x1b[34mtoken\x1b[0m=\x1b[33mabc\x1b[m"
    )
    tail.feed(1, b"\x1b]0;title\x07 \x1b[2K done")

    assert tail.text() == "[masked] token=[masked]  done"


def test_what_is_kept_of_a_long_stream_is_bounded_and_begins_with_a_character() -> None:
    tail = Tail(1_000)
    for _ in range(50_000):
        tail.feed(1, "äöü".encode())

    assert sum(len(piece.data) for piece in tail._pieces) <= 2 * (1_000 + MARGIN)
    assert tail.text() == ("äöü" * 334)[-500:]


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"abc", b"abc"),
        (b"", b""),
        (b"\xa4bc", b"bc"),
        (b"\x9f\x98\x80b", b"b"),
        (b"\x80\x80\x80\x80", b"\x80"),  # no character has four of these: not our cut
        ("ä".encode(), "ä".encode()),
    ],
)
def test_half_a_character_is_dropped(data: bytes, rest: bytes) -> None:
    assert without_half_character(data) == rest


def test_the_last_bytes_are_whole_characters() -> None:
    assert [last_bytes("aäö", limit) for limit in (1, 2, 3, 4, 5)] == ["", "ö", "ö", "äö", "aäö"]


@pytest.mark.parametrize("limit", [200, 1024, 5_000])
@pytest.mark.parametrize("unit", ["x", "ä", '"', "\x1b", "\U0001f600", "\n"])
def test_a_payload_takes_as_much_of_the_tail_as_fits(unit: str, limit: int) -> None:
    told = {"status": "success", "project": "billing"}

    body = payload.with_tail(told, unit * 9_000, limit)

    said = json.loads(body)
    assert len(body) <= limit < len(payload.with_tail(told, unit * 9_000, limit + 12)) + 12
    assert limit - len(body) < 6
    assert said.pop("output_tail") in unit * 9_000
    assert said == told


def test_a_payload_without_room_goes_out_without_a_tail() -> None:
    told = {"note": "x" * 2_000}

    assert json.loads(payload.with_tail(told, "end", 0)) == told
