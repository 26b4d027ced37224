"""The main views in a real terminal, as somebody last looked at them: `make test-terminal`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.terminal.golden import bare, colours, faults, same_as_kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.terminal.conftest import Seat


@dataclass(frozen=True, slots=True)
class View:
    """A command, whose it is, and how it ends.

    What stands below the headings in `without`, and a last line that counts it too, is another on
    each machine: it is looked at, not kept.
    """

    name: str
    command: str
    who: str = "month"
    code: int = 0
    without: tuple[str, ...] = ()


VIEWS = (
    View("first-run", "telemhq", "new"),
    View("bare", "telemhq"),
    View("help", "telemhq --help"),
    View("help-usage", "telemhq usage --help"),
    View("usage", "telemhq usage"),
    View("usage-narrow", "telemhq usage --width 60"),
    View("usage-project", "telemhq usage --by project"),
    View("usage-day", "telemhq usage --by day"),
    View("usage-compare", "telemhq usage --by model --since 2026-11-11 --compare"),
    View("usage-top", "telemhq usage --by project --by model --sort tokens --top 3"),
    View("usage-team", "telemhq usage --team", "ada"),
    View("usage-nothing", "telemhq usage", "nobody"),
    View("heatmap", "telemhq usage heatmap"),
    View("sessions", "telemhq usage sessions"),
    View("session", "telemhq usage session 01a1db98 --local"),
    View("trend", "telemhq usage trend --since 14d"),
    View("trend-cost", "telemhq usage trend --since 14d --of cost"),
    View("team-usage", "telemhq team usage", "ada"),
    View("team-project", "telemhq team project billing-api", "ada"),
    View("tracker-list", "telemhq tracker list", "ada"),
    View("tracker-show", "telemhq tracker show 'billing sync'", "ada"),
    View("tracker-runs", "telemhq tracker runs 'nightly evaluation' --limit 8", "ada"),
    View("tracker-chart", "telemhq tracker chart 'nightly evaluation' -f eval_score", "ada"),
    View(
        "tracker-chart-two",
        "telemhq tracker chart 'nightly evaluation' -f eval_score -f duration_ms",
        "ada",
    ),
    View("statusline", "telemhq statusline < /dev/null"),
    View("statusline-shell", "telemhq statusline --shell", "ada"),
    View("usage-session", "telemhq usage --by session --by week"),
    View("tracker-breakdown", "telemhq tracker breakdown 'nightly evaluation' --by model", "ada"),
    View("top-once", "telemhq top --once", "ada"),
    View("top-alone", "telemhq top --once"),
    View("doctor", "telemhq doctor", without=("This program", "The background agent", "On disk")),
    View("config", "telemhq config list"),
    View("error-tracker", "telemhq tracker show 'biling sync'", "ada", code=2),
    View("error-option", "telemhq usage --sort cots", code=2),
    View("error-login", "telemhq team usage", "nobody", code=4),
)
COLOURED = {"usage", "heatmap", "trend", "tracker-chart", "tracker-show", "doctor", "top-once"}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_looks_as_it_did(seat: Seat, view: View) -> None:
    terminal = seat.sits(view.who)

    lines = terminal.runs(view.command)

    assert terminal.ended() == view.code
    assert faults(lines, terminal.size.columns, is_ascii=seat.is_ascii) == []
    kept = [f"$ {view.command}", *without_sections(lines, view.without)]
    same_as_kept(f"{view.name}-{seat.kind}", kept)


@pytest.mark.parametrize(
    "view", [view for view in VIEWS if view.name in COLOURED], ids=lambda view: view.name
)
def test_colours_are_those_of_before_and_none_where_none_are_wanted(seat: Seat, view: View) -> None:
    terminal = seat.sits(view.who)
    plain = terminal.runs(f"NO_COLOR=1 {view.command}")
    assert colours(terminal.painted()) == set()
    terminal = seat.sits(view.who)
    lines = terminal.runs(view.command)

    painted = terminal.painted()[1:-1]

    assert bare(painted) == lines
    assert faults(plain, terminal.size.columns, is_ascii=seat.is_ascii) == []
    same_as_kept(
        f"{view.name}-{seat.kind}-plain",
        [f"$ NO_COLOR=1 {view.command}", *without_sections(plain, view.without)],
    )
    same_as_kept(
        f"{view.name}-{seat.kind}-colour",
        [f"$ {view.command}", *without_sections(painted, view.without)],
    )


def without_sections(lines: Sequence[str], headings: Sequence[str]) -> list[str]:
    """Return the lines without what stands below some headings, each up to an empty line."""
    kept, is_left_out = [], False
    for line in lines:
        is_heading = bare([line])[0] in headings
        is_left_out = is_heading or (is_left_out and line != "")
        kept += [] if is_left_out and not is_heading else [line]
    return kept[:-1] if headings else kept
