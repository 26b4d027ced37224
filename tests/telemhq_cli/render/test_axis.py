from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_cli.render.axis import time_axis, value_axis

BERLIN = ZoneInfo("Europe/Berlin")


def labels(values: list[float], unit: str = "", *, ticks: int = 4, zero: bool = False) -> list[str]:
    axis = value_axis(values, unit, ticks=ticks, zero=zero, ascii_only=False)
    return [label for _, label in axis.ticks]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def times(since: str, until: str, ticks: int = 5) -> list[str]:
    axis = time_axis([seconds(since), seconds(until)], BERLIN, ticks=ticks)
    return [label for _, label in axis.ticks]


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([0, 100_000], "tokens", ["0", "50k", "100k"]),
        ([0, 0.1], "USD", ["$0", "$0.05", "$0.10"]),
        ([0, 3000], "ms", ["0", "1 s", "2 s", "3 s"]),
        ([0, 7_200_000], "ms", ["0", "1 h", "2 h"]),
        ([0, 40], "%", ["0", "20%", "40%"]),
        ([-20, 20], "", ["-20", "0", "20"]),
        ([1_000_000, 1_000_002], "", ["1,000,000", "1,000,001", "1,000,002"]),
        ([0, 3e20], "", ["0", "1e+20", "2e+20", "3e+20"]),
        ([0, 3e-300], "", ["0", "1e-300", "2e-300", "3e-300"]),
    ],
)
def test_figures_stand_at_round_values_in_a_unit_of_their_size(
    values: list[float], unit: str, expected: list[str]
) -> None:
    assert labels(values, unit) == expected


def test_equal_values_have_one_figure_in_the_middle() -> None:
    axis = value_axis([5.25, 5.25], "USD", ticks=4, zero=False, ascii_only=False)

    assert axis.ticks == ((0.5, "$5.25"),)
    assert axis.place(5.25) == 0.5


def test_an_axis_begins_at_zero_where_that_costs_little_room() -> None:
    assert labels([10, 100])[0] == "0"
    assert labels([90, 100])[0] != "0"
    assert labels([90, 100], zero=True)[0] == "0"


def test_microseconds_are_written_in_ascii_where_that_is_all() -> None:
    axis = value_axis([0, 2], "µs", ticks=3, zero=True, ascii_only=True)

    assert all(label.isascii() for _, label in axis.ticks)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
    st.sampled_from(["", "USD", "ms", "ns", "B", "GB", "%", "tokens", "h"]),
    st.integers(2, 8),
    st.booleans(),
)
def test_every_finite_value_has_a_place_and_no_figure_is_long(
    values: list[float], unit: str, ticks: int, zero: bool
) -> None:
    axis = value_axis(values, unit, ticks=ticks, zero=zero, ascii_only=False)

    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    assert all(0 <= place <= 1 and len(label) <= 24 for place, label in axis.ticks)
    assert 1 <= len(axis.ticks) <= 2 * ticks + 2


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-11-20T08:10Z", "2026-11-20T12:20Z", ["10:00", "11:00", "12:00", "13:00"]),
        ("2026-11-20T08:00:00Z", "2026-11-20T08:00:04Z", [f"09:00:0{n}" for n in range(5)]),
        ("2026-11-19T11:00Z", "2026-11-21T11:00Z", ["12:00", "11-20", "12:00", "11-21", "12:00"]),
        ("2026-11-18T00:00Z", "2026-11-21T00:00Z", ["11-19", "11-20", "11-21"]),
        ("2026-01-15T00:00Z", "2026-05-15T00:00Z", ["2026-02", "2026-03", "2026-04", "2026-05"]),
        ("2023-06-01T00:00Z", "2026-06-01T00:00Z", ["2024", "2025", "2026"]),
    ],
)
def test_times_are_round_ones_of_the_zone(since: str, until: str, expected: list[str]) -> None:
    assert times(since, until) == expected


def test_a_time_that_the_clocks_skip_is_left_out_and_none_stands_twice() -> None:
    spring = times("2026-03-28T23:30Z", "2026-03-29T03:30Z", ticks=6)
    autumn = times("2026-10-24T22:30Z", "2026-10-25T03:30Z", ticks=6)

    assert spring == ["01:00", "03:00", "04:00", "05:00"]
    assert autumn == ["01:00", "02:00", "03:00", "04:00"]


def test_a_narrow_axis_has_two_times_at_least() -> None:
    assert times("2026-11-15T18:48Z", "2026-11-20T18:51Z", ticks=2) == ["11-16", "11-18", "11-20"]


def test_the_ends_of_a_span_within_a_second_read_differently() -> None:
    assert times("2026-11-20T12:00:00.250Z", "2026-11-20T12:00:00.750Z") == [
        *("13:00:00.250", "13:00:00.750")
    ]


def test_one_moment_is_named_in_full() -> None:
    at = seconds("2026-11-20T12:00Z")

    assert time_axis([at, at], BERLIN, ticks=4).ticks == ((0.5, "2026-11-20 13:00"),)


@given(st.floats(0, 1e10), st.floats(0, 1e10), st.integers(2, 12))
def test_every_span_of_time_has_ticks_in_order(one: float, other: float, ticks: int) -> None:
    axis = time_axis([one, other], BERLIN, ticks=ticks)

    places = [place for place, _ in axis.ticks]
    assert places == sorted(set(places))
    assert 1 <= len(places) <= 2 * ticks + 2


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_time_is_too_far_off(moment: float) -> None:
    axis = time_axis([moment, 0.0], BERLIN, ticks=4)

    assert 0 <= axis.place(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) <= 1
    assert all(0 <= place <= 1 for place, _ in axis.ticks)
