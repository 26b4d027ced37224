"""What stays on a terminal until somebody leaves it: drawn in place, and the terminal given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_cli.render.cells import columns
from tests.terminal.conftest import SMALL
from tests.terminal.golden import faults, same_as_kept
from tests.terminal.stage import evaluation, send

if TYPE_CHECKING:
    from tests.terminal.conftest import Seat
    from tests.terminal.tmux import Terminal

TOP = "telemhq top"
WATCHED = "telemhq usage --by model --watch"
FOLLOWED = "telemhq tracker runs '{}' --follow --every 1"


def begins(seat: Seat, who: str, command: str, last: str) -> Terminal:
    """Start a view, and wait until its last part is there."""
    terminal = seat.sits(who)
    terminal.runs("stty -g > before")
    terminal.types(command)
    terminal.waits(lambda: terminal.tells("alternate_on") == "1" and terminal.shows(last))
    return terminal


def is_given_back(terminal: Terminal) -> None:
    """The screen of before, with its cursor, and keys that are echoed as ever."""
    assert terminal.tells("alternate_on") == "0"
    assert terminal.tells("cursor_flag") == "1"
    assert terminal.runs("stty -g | diff before - && echo same") == ["same"]


def looked_at(seat: Seat, terminal: Terminal, name: str) -> None:
    """Compare what is on the whole screen, which has a last line that tells of keys."""
    shown = terminal.screen()
    width, height = (int(terminal.tells(name)) for name in ("window_width", "window_height"))
    assert len(shown) == height
    assert shown[-1].startswith("q quits")
    assert faults(shown, width, is_ascii=seat.is_ascii) == []
    assert max(columns(line) for line in shown) <= width
    assert terminal.tells("cursor_flag") == "0"
    same_as_kept(f"{name}-{seat.kind}", shown)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("C-c", 130)])
def test_top_fills_the_screen_and_gives_it_back(seat: Seat, key: str, code: int) -> None:
    terminal = begins(seat, "ada", TOP, " ago")

    looked_at(seat, terminal, "top")
    terminal.presses(key)
    terminal.waits(lambda: terminal.ended() == code)

    is_given_back(terminal)


def test_top_fits_a_window_that_becomes_smaller(seat: Seat) -> None:
    terminal = begins(seat, "ada", TOP, " ago")

    terminal.resizes(SMALL)
    terminal.waits(lambda: fits(terminal))

    looked_at(seat, terminal, "top-resized")
    terminal.presses("q")
    terminal.waits(lambda: terminal.ended() == 0)
    is_given_back(terminal)


def fits(terminal: Terminal) -> bool:
    """Tell whether a whole frame of the new size is there, not what is left of the old one."""
    shown = terminal.screen()
    is_whole = len(shown) == SMALL.lines and shown[-1].startswith("q quits")
    return is_whole and shown[0].startswith("telemhq top") and shown[0].endswith("16:40:00")


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("C-c", 130)])
def test_a_watched_report_is_drawn_in_place(seat: Seat, key: str, code: int) -> None:
    terminal = begins(seat, "month", WATCHED, "16:40:00")

    looked_at(seat, terminal, "usage-watch")
    terminal.presses(key)
    terminal.waits(lambda: terminal.ended() == code)

    is_given_back(terminal)


def test_new_runs_come_below_the_last_ones_until_ctrl_c(seat: Seat) -> None:
    name = f"import {seat.kind}"
    url = seat.stage.tracker(name)
    send(url, "first", evaluation(0))
    terminal = seat.sits("ada")
    terminal.types(FOLLOWED.format(name))
    terminal.waits_for("success")

    send(url, "second", evaluation(1) | {"status": "error"})
    terminal.waits_for("failed")
    terminal.presses("C-c")
    terminal.waits(lambda: terminal.ended() == 130)

    lines = terminal.lines()[:-1]
    assert faults(lines, terminal.size.columns, is_ascii=seat.is_ascii) == []
    same_as_kept(f"tracker-follow-{seat.kind}", lines)
