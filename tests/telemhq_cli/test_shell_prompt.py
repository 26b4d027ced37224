"""`telemhq statusline --shell`: a prompt's part from what this machine knows, and never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from telemhq_agents import clock, failing, locations
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.ledger_file import failing_file
from telemhq_agents.usage import Place, Source, Turn, TurnStatus
from telemhq_cli.render.statusline import prompt
from telemhq_cli.statusline import midnight_ms
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, fact

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.pricing import Prices
    from tests.telemhq_cli.conftest import Machine

FLAT = cast("Prices", FlatPrices())
HOUR_MS = 3_600_000


def failed_turn(key: str, at_ms: int) -> Turn:
    place = Place()
    return Turn(key, Source.CODEX, "s1", "s1", place, at_ms, at_ms, status=TurnStatus.ERROR)


def book(path: Path, facts: list[Any], turns: list[Any] | None = None) -> None:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        ledger.book(Batch(facts, turns or []))


def today_ms() -> int:
    """A moment of today that the test does not outlive: its first one."""
    return midnight_ms(clock.now_ms())


def said(machine: Machine, *arguments: str) -> str:
    done = machine.run("statusline", "--shell", *arguments, given="not for us")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_tells_what_today_cost_and_how_many_runs_failed(machine: Machine) -> None:
    now, path = today_ms(), machine.ours / "ledger.sqlite3"
    plenty: Any = {"input_tokens": 500_000_000, "output_tokens": 0}
    yesterday = now - QUARTER
    book(
        path,
        [fact("a", at_ms=now, **plenty), fact("b", turn="t2", at_ms=yesterday, **plenty)],
        [failed_turn("t8", now), failed_turn("t9", yesterday)],
    )

    # 500 plenty tokens of today at two nano-USD each, and the one turn of today that failed.
    assert said(machine) == "$1.00, 1 failed\n"


def test_trackers_that_failed_when_the_server_was_last_asked_are_told(machine: Machine) -> None:
    book(machine.ours / "ledger.sqlite3", [fact("a", at_ms=today_ms(), model="unknown")])
    (machine.ours / "failing").write_text(f"2 {clock.now_ms()}\n")

    assert said(machine) == "unpriced*, 2 trackers failing\n"


def test_where_there_is_nothing_to_say_nothing_is_said(machine: Machine) -> None:
    assert said(machine) == ""
    assert not machine.ours.exists()


def test_a_damaged_ledger_is_no_error(machine: Machine) -> None:
    machine.ours.mkdir()
    (machine.ours / "ledger.sqlite3").write_text("this is no ledger " * 500)
    (machine.ours / "failing").write_text("no numbers here")

    assert said(machine) == ""


DAYS: list[tuple[tuple[int, int, int, int] | None, int, str]] = [
    (None, 0, ""),
    (None, 1, "1 tracker failing"),
    ((0, 0, 0, 0), 0, ""),
    ((10, 2_500_000_000, 0, 0), 0, "$2.50"),
    ((10, 2_500_000_000, 3, 0), 0, "$2.50*"),
    ((0, 0, 0, 2), 0, "2 failed"),
    ((10, 2_500_000_000, 0, 2), 3, "$2.50, 2 failed, 3 trackers failing"),
]


@pytest.mark.parametrize(("day", "trackers", "wanted"), DAYS)
def test_zeros_are_left_out(
    day: tuple[int, int, int, int] | None, trackers: int, wanted: str
) -> None:
    assert prompt(day, trackers) == wanted


KEPT = [
    ("3 1000\n", 1000, 3),
    ("3 1000\n", 1000 + HOUR_MS - 1, 3),
    ("3 1000\n", 1000 + HOUR_MS, 0),
    ("3 2000\n", 1999, 0),
    ("", 0, 0),
    ("3\n", 0, 0),
    ("three 0\n", 0, 0),
    ("-3 0\n", 0, 0),
    ("9" * 100 + " 0", 0, 0),
]


@pytest.mark.parametrize(("kept", "now_ms", "known"), KEPT)
def test_what_a_server_said_counts_for_an_hour(
    tmp_path: Path, kept: str, now_ms: int, known: int
) -> None:
    (tmp_path / "failing").write_text(kept)

    assert failing.known(now_ms, {"TELEMHQ_HOME": str(tmp_path)}) == known


def test_what_is_remembered_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMHQ_HOME", str(tmp_path))

    failing.remember(4, 1_000)

    assert failing.known(1_001, os.environ) == 4


@pytest.mark.parametrize(
    "environ",
    [
        {"TELEMHQ_HOME": "/srv/telemhq"},
        {"HOME": "/home/ada"},
        {"HOME": "/home/ada", "XDG_DATA_HOME": "/data"},
        {"HOME": "/home/ada", "XDG_DATA_HOME": "relative"},
    ],
)
def test_the_file_is_where_the_house_keeps_it(environ: dict[str, str]) -> None:
    assert failing_file(environ) == str(locations.ours(environ).failing)


def test_a_bash_prompt_shows_it(machine: Machine) -> None:
    book(machine.ours / "ledger.sqlite3", [fact("a", at_ms=today_ms())])
    line = f"'{sys.executable}' -m telemhq_cli.main statusline --shell"
    script = f"PS1='[$({line})] \\$ '; echo \"${{PS1@P}}\""

    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("[<$0.0001] ")


HEAVY = {"typer", "rich", "httpx", "json", "pathlib", "dataclasses", "telemhq_agents.contract"}


def test_it_imports_next_to_nothing(machine: Machine) -> None:
    script = (
        "import sys; sys.argv = ['telemhq', 'statusline', '--shell']\n"
        "from telemhq_cli.main import main; main()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(done.stdout.split())
    assert not HEAVY & loaded
    assert "sqlite3" in loaded
