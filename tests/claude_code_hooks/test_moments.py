from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_hooks.moments import Moments
from telemhq_agents import clock


@given(st.datetimes(min_value=datetime(1999, 1, 1), max_value=datetime(2201, 1, 1)))  # noqa: DTZ001 - hypothesis wants them naive
def test_a_time_is_what_the_clock_makes_of_it(moment: datetime) -> None:
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    whole_ms = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    expected = int(whole_ms) * 1000 + moment.microsecond // 1000
    moments = Moments()

    assert [moments.told_ms(text) for _ in range(2)] == [
        expected if 2000 <= moment.year < 2200 else 0
    ] * 2


ODD = [
    "2026-11-01T10:00:60.000Z",
    "2026-11-01T24:00:00.000Z",
    "2026-11-01T10:00:00Z",
    "2026-11-01T10:00:00.000+02:00",
    "2026-11-01T10:00:00.000000Z",
    "2026-11-01 10:00:00.000Z",
    "2026-11-01T10:00:00.00\u0661Z",
    "2026-11-01",
    "2026-02-30T10:00:00.000Z",
    "",
    "now",
]


@pytest.mark.parametrize("text", ODD)
def test_an_odd_time_is_what_the_clock_makes_of_it_too(text: str) -> None:
    moments = Moments()
    moments.told_ms("2026-11-01T10:00:00.000Z")

    assert moments.told_ms(text) == clock.told_ms(text)


def test_no_time_is_none() -> None:
    assert Moments().told_ms(None) == 0


def test_many_days_are_forgotten_and_read_anew() -> None:
    moments = Moments()
    days = [clock.to_iso(1_000_000_000_000 + day * 86_400_000) for day in range(3000)]

    assert [moments.told_ms(day) for day in days] == [clock.from_iso(day) for day in days]
