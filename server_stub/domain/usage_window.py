"""Which quarter-hours a usage report covers, and which local day or hour each belongs to. Pure.

Sums are kept by UTC quarter-hour. Since 2012 every offset is a whole number of quarter-hours and
local days begin on one, so that a local day is a whole number of buckets, in Asia/Kolkata as well
as in Pacific/Chatham (docs/decisions/0001: what this is worth before).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from telemhq_agents.clock import QUARTER_MS, from_iso, quarter
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_MS = 4 * QUARTER_MS
DAY_MS = 24 * HOUR_MS
_MINUTE_MS = 60 * 1000
_YEARS = range(1970, 9000)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# A `+` that nobody escaped reaches the server as a blank: both are read as the sign they were.
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)([Zz]|[+\- ]\d{2}:\d{2})"
)
_HOW = (
    "Give a date (2026-03-01) or an RFC 3339 time with its offset"
    " (2026-03-01T09:00:00Z, 2026-03-01T09:00:00+05:30)."
)


@dataclass(frozen=True, slots=True)
class Window:
    """Quarter-hours from `since_ms` up to, not including, `until_ms`; None is open."""

    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OffsetSpan:
    """From `start_ms` on, until the next span starts, local time is UTC plus `offset_ms`."""

    start_ms: int
    offset_ms: int


def find_zone(name: str) -> ZoneInfo:
    """Return an IANA time zone. Raises UsageError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        hint = did_you_mean(name, available_timezones())
        raise UsageError(
            f"there is no time zone {name!r}{hint}",
            "Give an IANA name such as Asia/Kolkata or UTC.",
        ) from error


def read_window(since: str | None, until: str | None, zone: ZoneInfo) -> Window:
    """Read the ends of a report.

    A date means the whole local day, as `since` and as `until` (that day is the last one counted).
    An instant is exact to the quarter-hour: `since` moves back and `until`, which is exclusive,
    forward to the next boundary, so that nothing asked for is missing. Raises UsageError.
    """
    start = None if since is None else quarter(_start(since, zone, whole_day=False))
    end = None if until is None else _quarter_up(_start(until, zone, whole_day=True))
    if start is not None and end is not None and end <= start:
        raise UsageError(f"no time lies between {since} and {until}", "Put since before until.")
    return Window(start, end)


def _start(text: str, zone: ZoneInfo, *, whole_day: bool) -> int:
    if _DATE.fullmatch(text):
        return _midnight(_read_date(text), zone, days=1 if whole_day else 0)
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is neither a date nor a time with an offset", _HOW)
    day, time, offset = match.groups()
    _read_date(day)
    try:
        return from_iso(f"{day}T{time}{offset.replace(' ', '+').upper()}")
    except ValueError as error:
        raise UsageError(f"{text!r} is no moment in time", _HOW) from error


def _read_date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not in the calendar", _HOW) from error
    if day.year not in _YEARS:
        raise UsageError(f"{text!r} is outside the years 1970 to 8999", _HOW)
    return day


def _midnight(day: date, zone: ZoneInfo, *, days: int) -> int:
    # Where the clocks skip midnight, the first reading of a gap is the moment the day begins.
    local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=days)
    return int(local.astimezone(UTC).timestamp()) * 1000


def _quarter_up(ms: int) -> int:
    return quarter(ms + QUARTER_MS - 1)


def offset_spans(zone: ZoneInfo, first_ms: int, last_ms: int) -> tuple[OffsetSpan, ...]:
    """Return the offsets in force at the quarter-hours from `first_ms` to `last_ms`, in order."""
    return tuple(_spans(zone, quarter(first_ms), quarter(last_ms)))


def _spans(zone: ZoneInfo, first: int, last: int) -> Iterator[OffsetSpan]:
    span = OffsetSpan(first, _offset(zone, first))
    yield span
    for start in range(first, last, DAY_MS):
        end = min(start + DAY_MS, last)
        if _offset(zone, end) != span.offset_ms:
            change = _change(zone, start, end)
            span = OffsetSpan(change, _offset(zone, change))
            yield span


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """Find the first quarter-hour of the new offset: no zone changes twice within a day."""
    old = _offset(zone, before)
    while after - before > QUARTER_MS:
        middle = quarter((before + after) // 2)
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: ZoneInfo, ms: int) -> int:
    offset = datetime.fromtimestamp(ms // 1000, zone).utcoffset() or timedelta()
    return int(offset.total_seconds()) * 1000


def day_label(day_index: int) -> str:
    """Name a local day, counted from 1970-01-01: `2026-03-01`."""
    return (date(1970, 1, 1) + timedelta(days=day_index)).isoformat()


def week_label(day_index: int) -> str:
    """Name the ISO week of a local day, counted from 1970-01-01: `2026-W47`."""
    year, week, _ = (date(1970, 1, 1) + timedelta(days=day_index)).isocalendar()
    return f"{year:04d}-W{week:02d}"


def month_label(day_index: int) -> str:
    """Name the month of a local day, counted from 1970-01-01: `2026-11`."""
    return day_label(day_index)[:7]


def hour_label(hour_index: int, offset_ms: int) -> str:
    """Name a local hour, counted from 1970-01-01T00: `2026-03-01T09:00+05:30`.

    The offset keeps the two hours apart that a clock shows twice in autumn.
    """
    day, hour = divmod(hour_index, 24)
    sign = "-" if offset_ms < 0 else "+"
    hours, minutes = divmod(abs(offset_ms) // _MINUTE_MS, 60)
    return f"{day_label(day)}T{hour:02d}:00{sign}{hours:02d}:{minutes:02d}"
