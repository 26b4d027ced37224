from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_hooks.moments import told_ms
from telemhq_agents import clock


@given(st.datetimes(min_value=datetime(1999, 1, 1), max_value=datetime(2201, 1, 1)))  # noqa: DTZ001 - hypothesis wants them naive
def test_a_time_is_what_the_clock_makes_of_it(moment: datetime) -> None:
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    whole_ms = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    expected = int(whole_ms) * 1000 + moment.microsecond // 1000

    assert told_ms(text) == (expected if 2000 <= moment.year < 2200 else 0)


ODD = [
    "2026-11-01T10:00:60.000Z",
    "2026-11-01T24:00:00.000Z",
    "2026-11-01T10:00:00Z",
    "2026-11-01T10:00:00.000+02:00",
    "2026-11-01T10:00:00.000+02:00:00.5",
    "2026-11-01T10:00:00.000+00:00",
    "2026-11-01T10:00:00.000",
    "20261101T100000.000Z",
    "2026-W44-7T10:00:00.000Z",
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
    assert told_ms(text) == clock.told_ms(text)


def test_no_time_is_none() -> None:
    assert told_ms(None) == 0
