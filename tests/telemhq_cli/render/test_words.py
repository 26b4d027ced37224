from __future__ import annotations

import pytest

from telemhq_cli.render import words
from telemhq_cli.render.voice import visible


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.0001"),
        (99_999, "<$0.0001"),
        (100_000, "$0.0001"),
        (12_345_678, "$0.0123"),
        (999_940_000, "$0.9999"),
        (1_000_000_000, "$1.00"),
        (1_234_567_890_000, "$1,234.57"),
        (-2_500_000_000, "-$2.50"),
    ],
)
def test_money_shows_cents_and_below_a_dollar_their_hundredths(nano: int, text: str) -> None:
    assert words.money(nano) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (12_345, "12.3k"),
        (999_499, "999k"),
        (1_234_567, "1.2M"),
        (74_000_000_000, "74.0B"),
        (-12_345, "-12.3k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_500, "1.0M"),
        (-999_999, "-1.0M"),
        (999_999_999, "1.0B"),
    ],
)
def test_the_short_form_of_a_number_keeps_three_digits(number: int, text: str) -> None:
    assert words.compact(number) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_500, "1.5 s"),
        (59_900, "59.9 s"),
        (61_000, "1 min 01 s"),
        (3_600_000, "1 h 00 min"),
        (7_384_000, "2 h 03 min"),
    ],
)
def test_a_duration_reads_as_a_person_says_it(ms: int | None, text: str) -> None:
    assert words.duration(ms) == text


def test_a_cost_with_unpriced_tokens_is_marked_and_never_shown_as_zero() -> None:
    assert words.cost(0, 0) == "$0.00"
    assert words.cost(0, 17) == "unpriced*"
    assert words.cost(2_000_000_000, 17) == "$2.00*"


def test_a_name_from_outside_cannot_steer_the_terminal() -> None:
    assert visible("evil\x1b[2Jname\r\u202etxt") == "evil\ufffd[2Jname\ufffd\ufffdtxt"
    assert visible("näme → 名前\tok") == "näme → 名前\tok"
