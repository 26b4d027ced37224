from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from telemhq_cli.render import envelope
from telemhq_cli.render.progress import counting, patience
from tests.telemhq_cli.screens import on_screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemhq_cli.conftest import Machine


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody watches, who is told after a hundredth of a second."""
    monkeypatch.setattr("telemhq_cli.render.progress.is_terminal", lambda: True)
    monkeypatch.setattr("telemhq_cli.render.progress.PATIENCE_S", 0.01)


@pytest.fixture
def asked_for_json() -> Iterator[None]:
    envelope.begin(["usage"])
    yield
    envelope.end()


@pytest.mark.usefixtures("watched")
def test_a_person_is_told_after_a_while_and_the_line_is_gone_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGALRM)

    with patience("Reading logs …"):
        time.sleep(0.1)
        shown = capsys.readouterr().err
        threads = threading.active_count()

    assert (shown, capsys.readouterr().err) == ("Reading logs …", "\r\x1b[K")
    assert threads == threading.active_count()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_what_is_quick_or_unwatched_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with patience("Reading logs …"):
        pass
    monkeypatch.setattr("telemhq_cli.render.progress.is_terminal", lambda: True)
    with patience("Reading logs …"):
        pass
    with counting("Reading") as told:
        told("logs", 1, 2)

    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("watched", "asked_for_json")
def test_with_json_nobody_waits_at_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with patience("Reading logs …"), counting("Reading") as told:
        time.sleep(0.05)
        told("logs", 1, 2)

    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("watched")
def test_a_count_is_a_bar_without_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()

    with counting("Reading") as told:
        time.sleep(0.05)
        told("logs", 1200, 4800)
        during = threading.active_count()
    first = capsys.readouterr().err
    with counting("Exporting") as told:
        time.sleep(0.05)
        told("lines", 1200, 0)

    assert "Reading logs" in first
    assert "1,200 of 4,800" in first
    assert during == threads
    second = capsys.readouterr().err
    assert "1,200" in second
    assert " of " not in second


SLOW = """
import sys, time
from telemhq_cli import main
from telemhq_agents import reading

def slowly(jobs):
    for number, job in enumerate(jobs):
        time.sleep(0.3)
        for found in job.read():
            yield reading.Found(number, found)

reading.read_here = slowly
sys.exit(main.main())
"""
SCANS = {
    "claude scan": ["claude", "scan"],
    "usage": ["usage", "--by", "model"],
}


@pytest.fixture
def slow_logs(machine: Machine) -> Machine:
    """A machine with six transcripts, each of which takes a while to read."""
    folder = machine.home / "claude" / "projects" / "-srv-app"
    folder.mkdir(parents=True)
    for number in range(6):
        (folder / f"0000000{number}-0000-4000-8000-000000000000.jsonl").write_text("{}\n")
    return machine


@pytest.mark.parametrize("arguments", SCANS.values(), ids=SCANS)
def test_a_first_scan_shows_how_far_it_is_and_leaves_nothing_of_it(
    slow_logs: Machine, arguments: list[str]
) -> None:
    with on_screen([sys.executable, "-c", SLOW, *arguments], slow_logs.environ) as screen:
        assert screen.end() == 0
        written = screen.written.decode()

    assert "Reading logs" in written
    assert " of 6" in written
    assert "Reading" not in written.rpartition("\x1b[2K")[2].rpartition("\x1b[K")[2]


def test_a_scan_as_json_shows_only_its_answer(slow_logs: Machine) -> None:
    with on_screen(
        [sys.executable, "-c", SLOW, "claude", "scan", "--json"], slow_logs.environ
    ) as screen:
        assert screen.end() == 0

    assert screen.written.startswith(b'{\r\n  "schema": "telemhq.claude-scan/1"')
    assert b"Reading" not in screen.written
