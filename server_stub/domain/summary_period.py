"""Which day or week a summary is about, and when it is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from server_stub.domain.usage_window import find_zone
from telemhq_agents.contract.rules import Every, Summary

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DAYS = {Every.DAY: 1, Every.WEEK: 7}


@dataclass(frozen=True, slots=True)
class Period:
    """A whole day or week (Monday to Sunday) on the clock of a time zone.

    `key` names it, such as 2026-11-20 or 2026-W47; `first` is its first day. From `start_ms` up to,
    not including, `end_ms`; its summary is due at `due_ms`.
    """

    key: str
    every: Every
    first: date
    start_ms: int
    end_ms: int
    due_ms: int


def latest_period(summary: Summary, now_ms: int) -> Period:
    """Return the latest period whose summary is due; daily ones where `every` says never.

    A moment that the clocks skip is due when they have; one that they show twice, the first time.
    """
    zone = find_zone(summary.timezone)
    every = Every.WEEK if summary.every is Every.WEEK else Every.DAY
    day = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone).date()
    if every is Every.WEEK:
        day -= timedelta(days=day.weekday())
    if now_ms < _moment(day, summary.hour, zone):
        day -= timedelta(days=_DAYS[every])
    return _period(every, day - timedelta(days=_DAYS[every]), summary.hour, zone)


def period_before(period: Period, summary: Summary) -> Period:
    """Return the day or week before one."""
    first = period.first - timedelta(days=_DAYS[period.every])
    return _period(period.every, first, summary.hour, find_zone(summary.timezone))


def _period(every: Every, first: date, hour: int, zone: ZoneInfo) -> Period:
    after = first + timedelta(days=_DAYS[every])
    year, week, _ = first.isocalendar()
    return Period(
        key=f"{year}-W{week:02d}" if every is Every.WEEK else first.isoformat(),
        every=every,
        first=first,
        start_ms=_moment(first, 0, zone),
        end_ms=_moment(after, 0, zone),
        due_ms=_moment(after, hour, zone),
    )


def _moment(day: date, hour: int, zone: ZoneInfo) -> int:
    # The first reading: in a gap that is the moment after it, in an overlap the earlier one.
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return int(local.astimezone(UTC).timestamp()) * 1000
