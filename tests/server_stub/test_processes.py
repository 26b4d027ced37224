"""The parent of several processes: what it starts, starts again, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 20.0
PROGRAM = """
import os, signal, sys, threading, time
from server_stub import processes
from telemhq_agents.errors import TelemhqError

def say(word, *more):
    os.write(1, (" ".join(map(str, (word, *more))) + "\\n").encode())

def work(ready):
    behaviour = sys.argv[1]
    if behaviour == "fails":
        open(sys.argv[2], "x").close()  # the second of two has no luck
    ended = threading.Event()
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    say("born", os.getpid())
    ready()
    while behaviour == "brief":
        time.sleep(0.01)
        if os.path.exists(sys.argv[2]):
            raise ValueError("again")
    while not ended.wait(0.02):
        pass
    say("ended", os.getpid())

def all_are_ready():
    open(sys.argv[2], "a").close()
    say("ready")

if sys.argv[1] == "stubborn":
    processes.ENDING_NS = 200_000_000
try:
    processes.supervise(2, work, all_are_ready, lambda: say("ending"))
except TelemhqError as error:
    say("error", error.message)
    sys.exit(1)
say("over")
"""


class Family:
    """A parent and its two children, and what they said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def until(self, word: str) -> list[str]:
        """Read what is said up to a line that begins with a word; return that line's words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith(word):
                return line.split()
        raise AssertionError((word, self.said))

    def children(self) -> list[int]:
        """Return every child that was started up to now."""
        return [int(line.split()[1]) for line in self.said if line.startswith("born")]

    def rest(self) -> list[str]:
        """Read to the end, which comes when nobody is left that could say anything."""
        assert self.process.stdout is not None
        self.said += [line.strip() for line in self.process.stdout]
        self.process.wait(PATIENCE)
        return self.said

    def count(self, word: str) -> int:
        return sum(line.startswith(word) for line in self.said)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Family]]:
    """Starts a parent whose children behave in some way."""
    started: list[Family] = []

    def run(behaviour: str) -> Family:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, behaviour, str(tmp_path / "met")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Family(process))
        return started[-1]

    yield run
    for family in started:
        family.process.kill()
        for pid in family.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        family.process.communicate()


def is_gone(pid: int) -> bool:
    """Wait until a process is no longer there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_are_ready_once_and_all_end_when_one_is_told(
    number: int, start: Callable[[str], Family]
) -> None:
    family = start("good")
    family.until("ready")

    family.process.send_signal(number)
    family.rest()

    assert [family.count(word) for word in ("born", "ready", "ending", "ended", "over")] == [
        2,
        1,
        1,
        2,
        1,
    ]
    assert family.process.returncode == 0
    assert all(is_gone(pid) for pid in family.children())


def test_one_that_dies_is_replaced_and_the_other_goes_on(start: Callable[[str], Family]) -> None:
    family = start("good")
    family.until("ready")
    dead, living = family.children()

    os.kill(dead, signal.SIGKILL)
    third = int(family.until("born")[1])
    family.process.terminate()
    family.rest()

    assert {int(line.split()[1]) for line in family.said if line.startswith("ended")} == {
        living,
        third,
    }
    assert family.count("ready") == 1
    assert family.process.stderr is not None
    assert f"server process {dead} ended by signal 9" in family.process.stderr.read()


def test_children_end_well_when_their_parent_is_killed(start: Callable[[str], Family]) -> None:
    family = start("good")
    family.until("ready")

    family.process.kill()
    family.rest()

    assert family.count("ended") == 2


def test_where_one_does_not_start_none_stays(start: Callable[[str], Family]) -> None:
    family = start("fails")
    family.rest()

    assert family.process.returncode == 1
    assert "error a server process ended with code 1 while it started" in family.said
    assert family.count("ready") == 0
    assert all(is_gone(pid) for pid in family.children())
    assert family.process.stderr is not None
    assert "FileExistsError" in family.process.stderr.read()


def test_one_that_does_not_end_is_killed(start: Callable[[str], Family]) -> None:
    family = start("stubborn")
    family.until("ready")

    family.process.terminate()
    family.rest()

    assert family.count("over") == 1
    assert all(is_gone(pid) for pid in family.children())


def test_one_that_dies_again_and_again_is_started_ever_more_slowly(
    start: Callable[[str], Family],
) -> None:
    family = start("brief")
    family.until("ready")
    time.sleep(1.0)
    family.process.terminate()
    family.rest()

    # Two at first and one at once; after that a second and more between any two.
    assert 2 <= family.count("born") <= 5
    assert family.process.returncode == 0
