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


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T10:00:00.000+00:00",
        "2026-11-01T10:00:00.000",
        "20261101T100000.000Z",
        "2026-W44-7T10:00:00.000Z",
        "2026-11-01T10:00:00.000000Z",
        "2026-11-01 10:00:00.000Z",
        "2026-11-01T10:00:00.00\u0661Z",
        "2026-11-01",
        "2026-02-30T10:00:00.000Z",
        "now",
    ],
)
def test_an_odd_time_is_read_as_slowly(text: str) -> None:
    assert clock.told_ms(text) == slowly(text)


@given(st.datetimes(min_value=datetime(1999, 1, 1), max_value=datetime(2201, 1, 1)))  # noqa: DTZ001 - hypothesis wants them naive
def test_any_usual_time_is_read_to_the_millisecond(moment: datetime) -> None:
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    seconds = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()

    expected = int(seconds) * 1000 + moment.microsecond // 1000
    assert clock.told_ms(text) == (expected if 2000 <= moment.year < 2200 else 0)


def test_no_time_is_none() -> None:
    assert clock.told_ms(None) == 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has such a clock")
def test_a_duration_holds_the_time_for_which_the_machine_slept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: 7}.__getitem__)

    assert clock.monotonic_ns() == 7
