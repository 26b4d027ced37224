"""Windows and local time. The expected moments come from published transition dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.usage_window import (
    DAY_MS,
    HOUR_MS,
    OffsetSpan,
    Window,
    day_label,
    find_zone,
    hour_label,
    offset_spans,
    read_window,
)
from telemhq_agents.clock import QUARTER_MS, from_iso, quarter
from telemhq_agents.errors import UsageError

HALF_HOUR_MS = HOUR_MS // 2
ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def moments(window: Window) -> tuple[str | None, str | None]:
    ends = (window.since_ms, window.until_ms)
    shown = [
        None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in ends
    ]
    return shown[0], shown[1]


@pytest.mark.parametrize(
    ("zone", "since", "until", "first", "after_last"),
    [
        ("UTC", "2026-03-01", "2026-03-01", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("Asia/Kolkata", "2026-03-01", "2026-03-02", "2026-02-28T18:30", "2026-03-02T18:30"),
        ("America/New_York", "2026-03-08", "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("America/New_York", "2026-11-01", "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("Australia/Adelaide", "2026-04-05", "2026-04-05", "2026-04-04T13:30", "2026-04-05T14:30"),
        ("Australia/Adelaide", "2026-10-04", "2026-10-04", "2026-10-03T14:30", "2026-10-04T13:30"),
        ("Pacific/Chatham", "2026-07-01", "2026-07-01", "2026-06-30T11:15", "2026-07-01T11:15"),
        ("America/St_Johns", "2026-01-10", "2026-01-10", "2026-01-10T03:30", "2026-01-11T03:30"),
        # Clocks went from 00:00 to 01:00: the day began at its 01:00.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04", "2018-11-04T03:00", "2018-11-05T02:00"),
        # The clock showed 00:30 twice: the day began at the first.
        ("America/Havana", "2026-11-01", "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
        # Samoa left 30 December 2011 out when it crossed the date line.
        ("Pacific/Apia", "2011-12-29", "2011-12-30", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-31", "2011-12-30T10:00", "2011-12-31T10:00"),
    ],
)
def test_a_date_covers_exactly_its_local_day(
    zone: str, since: str, until: str, first: str, after_last: str
) -> None:
    window = read_window(since, until, ZoneInfo(zone))

    assert moments(window) == (f"{first}:00+00:00", f"{after_last}:00+00:00")


@pytest.mark.parametrize(
    ("since", "until", "first", "after_last"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "10:00", "11:00"),
        ("2026-03-01T10:07:31.5Z", "2026-03-01T10:07:32Z", "10:00", "10:15"),
        ("2026-03-01T10:14:59Z", "2026-03-01T10:15:00.001Z", "10:00", "10:30"),
        ("2026-03-01T15:30:00+05:30", "2026-03-01T16:30+05:30", "10:00", "11:00"),
        ("2026-03-01t05:00:00-05:00", "2026-03-01T06:00:00-05:00", "10:00", "11:00"),
        ("2026-03-01T15:30:00 05:30", "2026-03-01T11:00:00z", "10:00", "11:00"),
    ],
)
def test_an_instant_is_widened_to_the_quarter_hours_that_hold_it(
    since: str, until: str, first: str, after_last: str
) -> None:
    window = read_window(since, until, ZoneInfo("Asia/Tokyo"))

    assert moments(window) == (f"2026-03-01T{first}:00+00:00", f"2026-03-01T{after_last}:00+00:00")


def test_ends_that_are_not_given_stay_open() -> None:
    assert read_window(None, None, ZoneInfo("UTC")) == Window(None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "20260301",
        "2026-W09-1",
        "1969-12-31",
        "9999-12-31",
        "2026-03-01T10:00:00",
        "2026-03-01T25:00:00Z",
        "2026-03-01T10:00:00+24:00",
        "2026-02-30T10:00:00Z",
        "1772359200",
    ],
)
def test_anything_else_is_refused_with_the_two_forms_that_work(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_window(text, None, ZoneInfo("UTC"))

    assert "2026-03-01T09:00:00Z" in caught.value.next_step or "1970" in caught.value.message


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-03-02", "2026-03-01"),
        ("2026-03-02", "2026-02-01"),
        ("2026-03-01T10:00Z", "2026-03-01T10:00Z"),
        ("2026-03-01T10:00Z", "2026-03-01T15:00+05:30"),
    ],
)
def test_a_window_without_any_time_in_it_is_refused(since: str, until: str) -> None:
    with pytest.raises(UsageError, match="no time lies between"):
        read_window(since, until, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "America", "/etc", "a\0b"]
)
def test_an_unknown_time_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        find_zone(name)


@pytest.mark.parametrize(
    ("zone", "moment", "day", "hour"),
    [
        ("Asia/Kolkata", "2026-03-01T18:15Z", "2026-03-01", "2026-03-01T23:00+05:30"),
        ("Asia/Kolkata", "2026-03-01T18:30Z", "2026-03-02", "2026-03-02T00:00+05:30"),
        ("Australia/Adelaide", "2026-04-04T15:45Z", "2026-04-05", "2026-04-05T02:00+10:30"),
        ("Australia/Adelaide", "2026-04-04T16:30Z", "2026-04-05", "2026-04-05T02:00+09:30"),
        ("America/New_York", "2026-11-01T05:30Z", "2026-11-01", "2026-11-01T01:00-04:00"),
        ("America/New_York", "2026-11-01T06:30Z", "2026-11-01", "2026-11-01T01:00-05:00"),
        ("America/St_Johns", "2026-01-01T03:15Z", "2025-12-31", "2025-12-31T23:00-03:30"),
        ("Pacific/Chatham", "2026-07-01T11:15Z", "2026-07-02", "2026-07-02T00:00+12:45"),
        ("Pacific/Kiritimati", "2026-01-01T10:00Z", "2026-01-02", "2026-01-02T00:00+14:00"),
        # Lord Howe moves by half an hour: its 01:30 to 02:00 comes twice, within one hour of 90.
        ("Australia/Lord_Howe", "2026-04-04T14:45Z", "2026-04-05", "2026-04-05T01:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z", "2026-04-05", "2026-04-05T01:00+10:30"),
        ("UTC", "2026-03-01T23:45Z", "2026-03-01", "2026-03-01T23:00+00:00"),
    ],
)
def test_a_quarter_hour_belongs_to_its_local_day_and_hour(
    zone: str, moment: str, day: str, hour: str
) -> None:
    ms = from_iso(moment)

    spans = offset_spans(ZoneInfo(zone), ms - 3 * DAY_MS, ms + 3 * DAY_MS)
    offset = offset_at(spans, ms)

    assert day_label((ms + offset) // DAY_MS) == day
    assert hour_label((ms + offset) // HOUR_MS, offset) == hour


def offset_at(spans: tuple[OffsetSpan, ...], ms: int) -> int:
    return next(span.offset_ms for span in reversed(spans) if span.start_ms <= ms)


def test_a_year_in_adelaide_has_the_two_changes_that_its_government_publishes() -> None:
    year = (from_iso("2026-01-01T00:00Z"), from_iso("2026-12-31T23:45Z"))

    spans = offset_spans(ZoneInfo("Australia/Adelaide"), *year)

    assert spans == (
        OffsetSpan(year[0], 21 * HALF_HOUR_MS),
        OffsetSpan(from_iso("2026-04-04T16:30Z"), 19 * HALF_HOUR_MS),
        OffsetSpan(from_iso("2026-10-03T16:30Z"), 21 * HALF_HOUR_MS),
    )


def test_a_single_quarter_hour_has_one_span() -> None:
    assert offset_spans(ZoneInfo("UTC"), 0, 0) == (OffsetSpan(0, 0),)


@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(1990, 1, 1), datetime(2036, 12, 31)),  # noqa: DTZ001 - hypothesis wants naive bounds
    days=st.integers(0, 500),
    asked=st.floats(0, 1),
)
def test_spans_agree_with_the_time_zone_database_everywhere(
    zone: str, start: datetime, days: int, asked: float
) -> None:
    first = quarter(int(start.replace(tzinfo=UTC).timestamp()) * 1000)
    last = first + days * DAY_MS
    ms = first + quarter(int(asked * (last - first)))

    spans = offset_spans(ZoneInfo(zone), first, last)

    local = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    assert timedelta(milliseconds=offset_at(spans, ms)) == local.utcoffset()
    assert day_label((ms + offset_at(spans, ms)) // DAY_MS) == local.date().isoformat()
    assert all(span.start_ms % QUARTER_MS == 0 for span in spans)
