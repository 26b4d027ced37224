from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemhq_cli.render import screen
from telemhq_cli.render.cells import columns
from telemhq_cli.render.chart import NOTHING, Line, drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_763_636_400  # 2025-11-20 12:00 in Berlin
PAINT = re.compile(r"\x1b\[[0-9;]*m")
BRAILLE = re.compile("[\u2801-\u28ff]")


@pytest.fixture(autouse=True)
def _a_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(screen, "has_colour", lambda: False)
    monkeypatch.setattr(screen, "is_ascii", lambda: False)
    yield
    screen.forget()


def chart(
    *lines: Line, unit: str = "", width: int = 60, height: int = 10, stacked: bool = False
) -> list[str]:
    return drawn(lines, zone=BERLIN, unit=unit, width=width, height=height, stacked=stacked)


def hourly(name: str, *values: float | None) -> Line:
    return Line(name, [(NOON + 3600 * hour, value) for hour, value in enumerate(values)])


def canvas(rows: list[str]) -> list[str]:
    """Return what stands right of the axis, above the times."""
    return [re.split("[│┤|+]", row, maxsplit=1)[1] for row in rows[:-2]]


def test_a_line_rises_from_its_least_figure_to_its_greatest_between_times_of_the_zone() -> None:
    rows = chart(hourly("cost", 0, 1, 2, 4), unit="USD", width=40, height=8)

    assert rows[:-2] == [
        "$4┤                                 ⢀⡠⠔⠊",
        "  │                             ⣀⠤⠔⠊⠁",
        "$2┤                        ⢀⣀⠤⠒⠉",
        "  │                ⢀⣀⡠⠤⠔⠒⠊⠉⠁",
        "  │        ⣀⣀⠤⠤⠒⠒⠊⠉⠁",
        "$0┤⣀⣀⠤⠤⠒⠒⠉⠉",
    ]
    assert rows[-1].split() == ["12:00", "14:00"]


def test_a_gap_is_drawn_as_nothing_never_as_zero_nor_bridged() -> None:
    with_gap = canvas(chart(hourly("x", 5, 5, None, None, None, 5, 5, 0)))
    without = canvas(chart(hourly("x", 5, 5, 5, 5, 5, 5, 5, 0)))

    middle = slice(14, 34)
    assert not any(BRAILLE.search(row[middle]) for row in with_gap)
    assert any(BRAILLE.search(row[middle]) for row in without)


def test_a_point_between_two_gaps_is_seen() -> None:
    rows = canvas(chart(hourly("x", 0, 1, None, 8, None, 1, 0)))

    assert sum(row.count("•") for row in rows) == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_what_is_no_finite_number_is_a_gap(bad: float) -> None:
    assert chart(hourly("x", 1, bad, 3)) == chart(hourly("x", 1, None, 3))


@pytest.mark.parametrize("points", [[], [(NOON, None)], [(NOON, float("nan"))]])
def test_without_values_it_says_so(points: list[tuple[float, float | None]]) -> None:
    assert chart(Line("x", points)) == [NOTHING]


def test_one_run_is_a_dot_with_its_figure_and_its_moment() -> None:
    rows = chart(hourly("x", 42))

    assert sum(row.count("•") for row in rows) == 1
    assert next(row for row in rows if "•" in row).startswith("42┤")
    assert rows[-1].strip() == "2025-11-20 12:00"


def test_equal_values_are_a_level_line() -> None:
    rows = canvas(chart(hourly("x", 7, 7, 7)))

    assert sum(bool(BRAILLE.search(row)) for row in rows) == 1


def test_several_lines_are_told_apart_and_named_without_colour() -> None:
    rows = chart(hourly("input", 1, 2, 3), hourly("output", 3, 2, 1), unit="tokens")

    assert rows[0] == "tokens   ⠤⠤ input   •• output"
    assert any("•" in row for row in rows[1:])
    assert any(BRAILLE.search(row) for row in rows[1:])


def test_in_colour_each_line_has_its_own_and_every_row_ends_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "has_colour", lambda: True)

    rows = chart(hourly("input", 1, 2, 3), hourly("output", 3, 2, 1))

    assert {"\x1b[38;5;6m", "\x1b[38;5;3m"} <= set(PAINT.findall("\n".join(rows[1:])))
    assert all((PAINT.findall(row) or ["\x1b[0m"])[-1] == "\x1b[0m" for row in rows)


def test_in_ascii_every_letter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "is_ascii", lambda: True)

    rows = chart(hourly("größe", 1, None, 3, 4), hourly("output", 3, 2, 1, 0), unit="µs")

    assert "\n".join(rows).isascii()
    assert any("*" in row for row in rows[1:])


def test_stacked_lines_stand_on_each_other() -> None:
    rows = canvas(chart(hourly("a", 4, 4), hourly("b", 2, 2), stacked=True, height=12)[1:])

    column = [row[10] for row in rows]
    assert column == ["▓"] * 3 + ["█"] * 6


def test_stacked_a_gap_of_one_line_takes_nothing_from_the_other() -> None:
    both = chart(hourly("a", 4, 4, 4), hourly("b", 2, None, 2), stacked=True)
    all_gaps = canvas(chart(hourly("a", 4, None, 4), hourly("b", 2, None, 2), stacked=True)[1:])

    assert any("█" in row[20:30] for row in canvas(both[1:]))
    assert not any(row[20:30].strip() for row in all_gaps)


def test_stacked_a_line_is_on_the_axis_only_around_where_it_adds_something() -> None:
    a, b = hourly("a", 4, 4, 0, 0, 0, 0), hourly("b", 0, 0, 0, 0, 2, 2)

    axis = canvas(chart(a, b, stacked=True)[1:])[-1]

    assert set(axis[:20]) == {"█"}
    assert set(axis[24:30]) == {" "}
    assert set(axis[36:56]) == {"▓"}


def test_stacked_lines_that_never_add_anything_lie_on_the_axis() -> None:
    rows = canvas(chart(hourly("a", 0, 0), hourly("b", 0, 0), stacked=True)[1:])

    assert [set(row) for row in rows if row.strip()] == [{"█"}]


def test_the_same_chart_twice_is_the_same_text() -> None:
    lines = (hourly("a", 1, 5, 2, None, 9), hourly("b", 2, 2, 2, 2, 2))

    assert chart(*lines) == chart(*lines)


def test_a_hundred_thousand_points_keep_their_one_extreme() -> None:
    values: list[float | None] = [1.0] * 100_000
    values[54_321] = 900.0

    rows = chart(Line("x", [(NOON + at, value) for at, value in enumerate(values)]), height=12)

    peak = canvas(rows)[0]
    assert round(len(peak.rstrip()) / 56 * 100) in {53, 54, 55}
    assert sum(bool(BRAILLE.search(letter)) for letter in peak) == 1


def test_a_name_can_neither_steer_the_terminal_nor_widen_the_chart() -> None:
    rows = chart(hourly("\x1b[2J" + "x" * 300, 1, 2), hourly("日本" * 40, 1, 3), width=50)

    assert "\x1b" not in "\n".join(rows)
    assert max(map(columns, rows)) <= 50


VALUES = st.one_of(st.none(), st.floats(), st.integers(-(10**20), 10**20))
POINTS = st.lists(st.tuples(st.floats(-1e11, 1e13), VALUES), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Line, st.text(max_size=8), POINTS), max_size=4),
    st.integers(1, 120),
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from(["", "USD", "ms", "tokens"]),
)
def test_whatever_is_drawn_is_as_large_as_was_asked_for(
    lines: list[Line], width: int, height: int, stacked: bool, unit: str
) -> None:
    rows = chart(*lines, unit=unit, width=width, height=height, stacked=stacked)

    assert max(map(columns, rows)) <= max(width, 20)
    assert len(rows) <= max(height, 5) + len(lines) + 1
