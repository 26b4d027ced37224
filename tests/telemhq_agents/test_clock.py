from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents import clock

USUAL = "2026-11-20T07:35:28.753Z"


def slowly(text: str) -> int:
    """Read a time with the standard library alone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // datetime.resolution
    ms = microseconds // 1000
    return ms if 946_684_800_000 <= ms < 7_258_118_400_000 else 0


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (USUAL, 1_795_160_128_753),
        ("2026-11-20T07:35:28Z", 1_795_160_128_000),
        ("2026-11-20T13:05:28.753+05:30", 1_795_160_128_753),
        ("1999-12-31T23:59:59.999Z", 0),
        ("2199-12-31T23:59:59.999Z", 7_258_118_399_999),
        ("2200-01-01T00:00:00.000Z", 0),
        ("2026-11-20T07:35:60.000Z", 0),
        ("2026-11-20T24:35:00.000Z", 0),
        ("2026-11-20T07:35:2٣.753Z", 0),
        ("20261120T0735+01:28.753Z", 0),
        ("xxxxxxxxxxxxxxxx:28.753Z", 0),
        ("", 0),
    ],
)
def test_a_time_is_read_where_it_is_one_and_plausible(text: str, ms: int) -> None:
    assert clock.told_ms(text) == ms


@given(
    st.lists(st.tuples(st.integers(0, 23), st.sampled_from("0123456789-+:.,TZWz ٣")), max_size=3)
)
def test_no_change_of_a_usual_time_is_read_otherwise_than_slowly(
    changes: list[tuple[int, str]],
) -> None:
    assert clock.told_ms(USUAL) == slowly(USUAL)
    text = [*USUAL]
    for place, letter in changes:
        text[place] = letter

    assert clock.told_ms("".join(text)) == slowly("".join(text))


def test_a_time_is_read_after_any_number_of_others() -> None:
    hours = [
        f"{year}-{month:02}-{day:02}T{hour:02}:59:59.999Z"
        for year in (2000, 2026, 2199)
        for month in (1, 12)
        for day in range(1, 32)
        for hour in range(24)
    ]

    for text in [*hours, *hours]:
        assert clock.told_ms(text) == slowly(text)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has such a clock")
def test_a_duration_holds_the_time_for_which_the_machine_slept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: 7}.__getitem__)

    assert clock.monotonic_ns() == 7
