"""Reading everything in a process of its own."""

from __future__ import annotations

import time
from threading import Event, Timer
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.errors import BrokenLedgerError, TelemhqError
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Source
from telemhq_cli import reading
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.conftest import Machine

NOW = 1_795_000_000_000


@pytest.fixture
def at_home(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    return machine


def test_everything_is_booked_and_told(at_home: Machine) -> None:
    CodexSession(at_home.home / "codex", NOW).turn(NOW, 100, 10)
    ClaudeSession(at_home.home / "claude").prompt(NOW, 200, 20)

    caught = reading.in_a_process((Source.CODEX, Source.CLAUDE), Event())

    assert caught is not None
    assert {source: report.new_facts for source, report in caught.scans.items()} == {
        Source.CODEX: 1,
        Source.CLAUDE: 1,
    }
    with Ledger.open(at_home.ours / "ledger.sqlite3") as ledger:
        assert ledger.usage(()).total.input_tokens == 300


def test_one_collector_reads_its_own_logs_alone(at_home: Machine) -> None:
    ClaudeSession(at_home.home / "claude").prompt(NOW, 200, 20)

    caught = reading.in_a_process((Source.CODEX,), Event())

    assert caught is not None
    assert [*caught.scans] == [Source.CODEX]


def test_who_is_told_to_stop_does_not_wait_for_the_end(at_home: Machine) -> None:
    stop = Event()
    with Ledger.open(at_home.ours / "ledger.sqlite3") as ledger, ledger.booking(0):
        Timer(0.5, stop.set).start()
        began = time.monotonic()

        assert reading.in_a_process((Source.CODEX,), stop) is None

    assert time.monotonic() - began < 4


def test_while_somebody_else_reads_it_says_so(
    at_home: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BOOKING_WAIT_S", 0.0)
    with Ledger.open(at_home.ours / "ledger.sqlite3") as ledger, ledger.booking(0):
        answer = reading.read_all([Source.CODEX])

    assert answer == {"busy": "Another process reads the logs."}


@pytest.mark.parametrize(
    ("broken", "kind"),
    [("config.toml", TelemhqError), ("ledger.sqlite3", BrokenLedgerError)],
)
def test_what_kept_it_from_reading_is_raised_as_what_it_is(
    broken: str, kind: type[TelemhqError], at_home: Machine
) -> None:
    at_home.ours.mkdir()
    (at_home.ours / broken).write_text("neither a table nor settings, " * 400)

    with pytest.raises(kind, match=broken):
        reading.in_a_process((Source.CODEX,), Event())


def test_a_process_that_was_killed_is_a_known_failure() -> None:
    with pytest.raises(TelemhqError, match="ended with -9"):
        reading._reports(b'{"scans": {', -9)
