"""`telemhq statusline`: one short line, whatever is there or missing, and never an error."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from telemhq_agents import clock, locations
from telemhq_agents.ledger.glance import glance
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.ledger_file import ledger_file
from telemhq_cli.render.statusline import line
from telemhq_cli.statusline import midnight_ms
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, fact

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.pricing import Prices
    from tests.telemhq_cli.conftest import Machine

FLAT = cast("Prices", FlatPrices())
TOLD = {"session_id": "s1", "model": {"id": "claude-opus-4-8", "display_name": "Opus 4.8"}}
NOTHING = "telemhq: no usage read yet"


def book(path: Path, *facts: Any) -> None:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        ledger.book(Batch(list(facts)))


def today_ms() -> int:
    """A moment of today that the test does not outlive: its first one."""
    return midnight_ms(clock.now_ms())


def said(machine: Machine, told: object = TOLD, *arguments: str) -> str:
    given = told if isinstance(told, str) else json.dumps(told)
    done = machine.run("statusline", *arguments, given=given)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    return done.stdout.removesuffix("\n")


def test_it_tells_of_this_session_and_of_today(machine: Machine) -> None:
    at_ms = today_ms()
    book(
        machine.ours / "ledger.sqlite3",
        fact("a", at_ms=at_ms, input_tokens=1_200_000, output_tokens=34_000),
        fact("b", turn="t2", at_ms=at_ms, session_id="s2", input_tokens=5, output_tokens=0),
        fact("c", turn="t3", at_ms=at_ms - QUARTER, input_tokens=66_000, output_tokens=0),
    )

    # The session's 1.3 million tokens and today's 1,234,005, at two nano-USD each.
    assert said(machine) == "Opus 4.8 · session 1.3M $0.0026 · today 1.2M $0.0025"


def test_tokens_without_a_price_are_marked(machine: Machine) -> None:
    book(machine.ours / "ledger.sqlite3", fact("a", at_ms=today_ms(), model="unknown"))

    assert said(machine) == "Opus 4.8 · session 110 unpriced* · today 110 unpriced*"


def test_a_session_that_used_nothing_yet_shows_zero(machine: Machine) -> None:
    book(machine.ours / "ledger.sqlite3", fact("a", at_ms=today_ms()))

    told = {**TOLD, "session_id": "new"}
    assert said(machine, told) == "Opus 4.8 · session 0 $0.00 · today 110 <$0.0001"


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("", "today 110 <$0.0001"),
        ("no json", "today 110 <$0.0001"),
        ("[1]", "today 110 <$0.0001"),
        ({"session_id": 5, "model": "x"}, "today 110 <$0.0001"),
        ({"model": {"id": "claude-opus-4-8"}}, "claude-opus-4-8 · today 110 <$0.0001"),
        ({"model": {"display_name": "a\nb\x1b[31m" + "x" * 99}}, "a�b�[31m" + "x" * 16),
    ],
)
def test_what_claude_code_leaves_out_is_left_out(
    machine: Machine, told: object, wanted: str
) -> None:
    book(machine.ours / "ledger.sqlite3", fact("a", at_ms=today_ms()))

    assert said(machine, told).startswith(wanted)


def test_without_a_ledger_it_says_so_and_makes_none(machine: Machine) -> None:
    assert said(machine) == f"Opus 4.8 · {NOTHING}"
    assert not machine.ours.exists()


def test_a_damaged_ledger_is_no_error(machine: Machine) -> None:
    machine.ours.mkdir()
    (machine.ours / "ledger.sqlite3").write_text("this is no ledger " * 500)

    assert said(machine) == f"Opus 4.8 · {NOTHING}"


def test_a_newer_ledger_that_keeps_its_sums_elsewhere_is_no_error(machine: Machine) -> None:
    path = machine.ours / "ledger.sqlite3"
    book(path, fact("a"))
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE buckets")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    assert said(machine) == f"Opus 4.8 · {NOTHING}"


def test_a_ledger_that_somebody_writes_to_is_read_beside_it(machine: Machine) -> None:
    path = machine.ours / "ledger.sqlite3"
    book(path, fact("a", at_ms=today_ms()))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM buckets")
    try:
        assert said(machine).endswith("today 110 <$0.0001")
    finally:
        connection.close()


def test_a_ledger_that_is_locked_whole_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE buckets (session_id, quarter_ms, total_tokens)")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        assert glance(str(path), "s1", 0) is None
    finally:
        connection.close()


def test_a_pipe_that_nobody_closes_keeps_nobody_waiting(machine: Machine) -> None:
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "telemhq_cli.main", "statusline"],
            env=machine.environ,
            stdin=reader,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    finally:
        os.close(reader)
        os.close(writer)

    assert done.stdout == f"{NOTHING}\n"


def test_a_reader_that_has_gone_is_no_error(machine: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "telemhq_cli.main", "statusline"],
        env=machine.environ,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_colour_comes_only_when_asked_for(machine: Machine) -> None:
    assert "\x1b" not in said(machine)
    assert said(machine, TOLD, "--color") == f"\x1b[2mOpus 4.8 · {NOTHING}\x1b[0m"


def test_an_odd_path_is_opened_as_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "50% of ? #1" / "ledger.sqlite3"
    book(path, fact("a"))

    assert glance(str(path), "s1", BORN) == ((110, 220, 0), (110, 220, 0))
    assert glance(str(path), "s1", BORN + QUARTER) == ((110, 220, 0), (0, 0, 0))


ENVIRONMENTS: list[dict[str, str]] = [
    {"TELEMHQ_HOME": "/srv/t", "HOME": "/home/ada"},
    {"TELEMHQ_HOME": "relative/t"},
    {"HOME": "/home/ada"},
    {"HOME": "/home/ada", "XDG_DATA_HOME": "/data"},
    {"HOME": "/home/ada", "XDG_DATA_HOME": "relative"},
    {"HOME": "/home/ada", "XDG_DATA_HOME": ""},
    {"HOME": "relative"},
]


@pytest.mark.parametrize("environ", ENVIRONMENTS)
def test_the_ledger_is_where_everybody_else_looks_for_it(environ: dict[str, str]) -> None:
    assert ledger_file(environ) == str(locations.ours(environ).ledger)


@pytest.mark.parametrize(
    ("zone", "now", "wanted"),
    [
        ("UTC", "2026-11-20T08:30:00Z", "2026-11-20T00:00:00Z"),
        ("Asia/Kolkata", "2026-11-20T20:00:00Z", "2026-11-20T18:30:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z"),
    ],
)
def test_today_begins_at_this_machines_midnight(
    monkeypatch: pytest.MonkeyPatch, zone: str, now: str, wanted: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert midnight_ms(clock.from_iso(now)) == clock.from_iso(wanted)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_line_without_anything_is_still_a_line() -> None:
    assert line("", None, None) == NOTHING
    assert line("", None, (0, 0, 0)) == "today 0 $0.00"


def test_it_loads_no_heavy_module(machine: Machine) -> None:
    code = (
        "import sys; from telemhq_cli.main import main; sys.argv = ['telemhq', 'statusline']; "
        "main(); print(sorted(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=machine.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    heavy = (
        "dataclasses",
        "inspect",
        "typer",
        "rich",
        "msgspec",
        "asyncio",
        "tomllib",
        "platformdirs",
    )
    assert [name for name in heavy if f"'{name}'" in done.stderr] == []
    assert "'sqlite3'" in done.stderr
