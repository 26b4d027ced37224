"""Which values stand out, and how figures read in mail."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.spread import outliers, spread
from server_stub.reports import words

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL = [*range(90, 110)]


def told(values: list[int]) -> list[tuple[int, int]]:
    return [(one.value, one.place) for one in outliers(values)]


def test_what_is_far_beyond_the_quartiles_stands_out_largest_first() -> None:
    assert told([*USUAL, 1000, 500, 2000, 300, 1000]) == [(2000, 22), (1000, 20), (1000, 24)]


@pytest.mark.parametrize(
    "values",
    [
        [],
        [*range(90, 108), 5000],  # 19 values: too few to tell
        [*USUAL, 150],  # within three times the quartiles' distance
        [100] * 30 + [190],  # not twice the median, though all others are the same
        [0] * 30,
    ],
)
def test_nothing_stands_out_where_nothing_does(values: list[int]) -> None:
    assert told(values) == []


def test_of_values_that_are_all_the_same_one_that_is_more_than_double_stands_out() -> None:
    (one,) = outliers([100] * 30 + [201])

    assert (one.value, one.usual) == (201, 200)


def test_average_median_and_the_95th_percentile() -> None:
    found = spread([*range(1, 101)])

    assert found is not None
    assert (found.count, found.average, found.median) == (100, 50.5, 50.5)
    assert found.p95 == pytest.approx(95.05)
    assert spread([]) is None
    alone = spread([7])
    assert alone is not None
    assert (alone.median, alone.p95) == (7, 7)


@given(st.lists(st.integers(0, 10**15), max_size=60))
def test_order_does_not_change_what_stands_out(values: list[int]) -> None:
    assert sorted(one.value for one in outliers(values)) == sorted(
        one.value for one in outliers(values[::-1])
    )


READS: list[tuple[Callable[..., str], tuple[object, ...], str]] = [
    (words.money, (0,), "$0.00"),
    (words.money, (1,), "<$0.0001"),
    (words.money, (123_456_789,), "$0.1235"),
    (words.money, (1_234_567_890_000,), "$1,234.57"),
    (words.money, (-5_000_000_000,), "-$5.00"),
    (words.length, (999,), "999 ms"),
    (words.length, (1500,), "1.5 s"),
    (words.length, (90_000,), "1 min 30 s"),
    (words.length, (3_600_000,), "1 h 0 min"),
    (words.length, (360_000_000,), "100 h 0 min"),
    (words.share, (1, 3), "33.3 %"),
    (words.share, (1, 0), ""),
    (words.change, (120, 100), "+20 %"),
    (words.change, (80, 100), "-20 %"),
    (words.change, (100.4, 100), "as before"),
    (words.change, (5, 0), "none before"),
    (words.change, (0, 0), ""),
    (words.change, (0, 5), "-100 %"),
    (words.change, (5000, 100), "50 times as before"),
    (words.number, (1234.5,), "1,234.5"),
    (words.number, (0.000001,), "0"),
    (words.number, (-0.00001,), "0"),
    (words.number, (3,), "3"),
    (words.number, (1000,), "1,000"),
    (words.number, (2.5e15,), "2.5e+15"),
    (words.counted, (1, "run"), "1 run"),
    (words.counted, (1200, "run"), "1,200 runs"),
    (words.written_day, (date(2026, 11, 20),), "Friday, 20 November 2026"),
]


@pytest.mark.parametrize(("write", "values", "text"), READS)
def test_figures_read_as_a_person_would_write_them(
    write: Callable[..., str], values: tuple[object, ...], text: str
) -> None:
    assert write(*values) == text
