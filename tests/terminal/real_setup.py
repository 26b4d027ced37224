"""A newcomer's first minutes, typed: what is there, a setup that asks, and a second one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.terminal.golden import faults, same_as_kept
from tools import demo

if TYPE_CHECKING:
    from tests.terminal.conftest import Seat

SETUP = "telemhq setup --no-service"
"""A service would be one of this very machine."""


def test_a_setup_asks_and_tells_what_it_did(seat: Seat) -> None:
    home = seat.stage.homes["new"]
    shutil.rmtree(home)
    demo.settle(home.parent, home.name, "owner")
    terminal = seat.sits("new")
    terminal.types(SETUP)

    terminal.waits_for("Server:")
    terminal.types(seat.stage.url)
    terminal.waits_for("API key")
    terminal.types(seat.stage.api_key)
    terminal.waits_for("add the hook")
    terminal.types("y")
    terminal.waits_for("report its usage too")
    terminal.presses("Enter")
    terminal.waits_for("status line?")
    terminal.types("n")
    terminal.waits(lambda: terminal.ended() is not None)

    lines = terminal.lines()
    assert terminal.ended() == 0
    assert not any(seat.stage.api_key in line for line in lines)
    assert faults(lines, terminal.size.columns, is_ascii=seat.is_ascii) == []
    same_as_kept(f"setup-{seat.kind}", lines[:-1])
    same_as_kept(f"setup-again-{seat.kind}", terminal.runs(f"{SETUP} --yes"))


def test_a_setup_that_is_left_changes_nothing(seat: Seat) -> None:
    home = seat.stage.homes["nobody"]
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    terminal = seat.sits("nobody")
    terminal.types("telemhq setup")
    terminal.waits_for("Server:")

    terminal.presses("C-c")
    terminal.waits(lambda: terminal.ended() == 130)

    lines = terminal.lines()[1:-1]
    assert faults(lines, terminal.size.columns, is_ascii=seat.is_ascii) == []
    assert lines[-1] == "telemhq: nothing was changed."
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
