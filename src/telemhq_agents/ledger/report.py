"""The local usage report, out of the buckets."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.usage_report import UsageReport, UsageRow, sum_rows
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import missed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from telemhq_agents.usage import Source

_COLUMNS = {
    "day": "local_day(quarter_ms)",
    "week": "local_week(quarter_ms)",
    "month": "local_month(quarter_ms)",
    "hour": "local_hour(quarter_ms)",
    "model": "model",
    "project": "project",
    "session": "session_id",
    "thread": "thread_id",
    "source": "source",
    "member": "?",
}
FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, tzinfo=UTC)
"""What any calendar holds; logs may claim other times."""

_SUMS = ", ".join(f"sum({name})" for name in AMOUNT_FIELDS)


def usage(
    connection: sqlite3.Connection,
    group_by: Sequence[str],
    *,
    since_ms: int | None,
    until_ms: int | None,
    timezone: str,
    source: Source | None,
    member: str,
    projects: Collection[str] = (),
    models: Collection[str] = (),
) -> UsageReport:
    """Sum the buckets from `since_ms` (its quarter-hour) to before `until_ms` by the groups named.

    Of these projects and models alone, where any are named.

    Raises UsageError for a group the ledger does not know, and for an unknown time zone.
    """
    columns = columns_of(connection, group_by, timezone)
    where, values = limits(since_ms, until_ms, source, projects, models)
    keys = "".join(f"{column}, " for column in columns)
    names = [member for name in group_by if name == "member"]
    groups = f" GROUP BY {', '.join(str(i + 1) for i in range(len(columns)))}" if columns else ""
    found = connection.execute(
        f"SELECT {keys}{_SUMS} FROM buckets WHERE {where}{groups}", (*names, *values)
    )
    width = len(columns)
    rows = [
        UsageRow(tuple(row[:width]), Amounts(*(figure or 0 for figure in row[width:])))
        for row in found
    ]
    return sum_rows(group_by, [row for row in rows if row.amounts])


def columns_of(connection: sqlite3.Connection, group_by: Sequence[str], timezone: str) -> list[str]:
    """Return what the groups are in SQL, and teach the connection the local times among them.

    A member is a parameter. Raises UsageError for a group the ledger does not know, and for an
    unknown time zone.
    """
    columns = [_COLUMNS[name] for name in checked_groups(group_by)]
    _install(connection, zone_of(timezone))
    return columns


def checked_groups(group_by: Sequence[str]) -> tuple[str, ...]:
    """Return the groups. Raises UsageError for one that the ledger does not know."""
    for name in group_by:
        if name not in _COLUMNS:
            raise UsageError(
                f"Usage of this machine cannot be grouped by {name!r}.",
                f"Use one or more of: {', '.join(_COLUMNS)}.",
            )
    return tuple(group_by)


def limits(
    since_ms: int | None,
    until_ms: int | None,
    source: Source | None,
    projects: Collection[str],
    models: Collection[str],
) -> tuple[str, list[object]]:
    """Return a condition on buckets, or on what has their columns, and its values."""
    terms: list[str] = ["true"]
    values: list[object] = []
    if since_ms is not None:
        terms.append("quarter_ms >= ?")
        values.append(quarter(since_ms))
    if until_ms is not None:
        terms.append("quarter_ms < ?")
        values.append(until_ms)
    if source is not None:
        terms.append("source = ?")
        values.append(source.value)
    for column, names in (("project", projects), ("model", models)):
        if names:
            terms.append(f"{column} IN ({', '.join('?' * len(names))})")
            values.extend(names)
    return " AND ".join(terms), values


def zone_of(name: str) -> ZoneInfo:
    """Return an IANA time zone. Raises UsageError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        said = missed(f"There is no time zone {name!r}", name, available_timezones())
        raise UsageError(said, "Give an IANA name such as Asia/Kolkata or UTC.") from error


def _install(connection: sqlite3.Connection, zone: ZoneInfo) -> None:
    """Teach the connection what a quarter-hour is called in `zone`."""
    for name, named in NAMED.items():
        connection.create_function(f"local_{name}", 1, _namer(zone, named), deterministic=True)


def _namer(zone: ZoneInfo, name: Callable[[datetime], str]) -> Callable[[int], str]:
    @cache
    def named(quarter_ms: int) -> str:
        return name(moment_of(quarter_ms, zone))

    return named


def moment_of(ms: int, zone: ZoneInfo) -> datetime:
    """Return a moment in a zone; what no calendar holds is the calendar's first or last one."""
    try:
        return datetime.fromtimestamp(ms // 1000, tz=zone)
    except (OverflowError, ValueError, OSError):
        return FIRST_MOMENT if ms < 0 else LAST_MOMENT


def local_day(moment: datetime) -> str:
    """Return the day of a moment, as its own clock shows it: 2026-11-20."""
    return moment.date().isoformat()


def local_week(moment: datetime) -> str:
    """Return the ISO week of a moment, which begins on a Monday: 2026-W47."""
    year, week, _ = moment.isocalendar()
    return f"{year:04d}-W{week:02d}"


def local_month(moment: datetime) -> str:
    """Return the month of a moment: 2026-11."""
    return moment.date().isoformat()[:7]


def local_hour(moment: datetime) -> str:
    """Return the hour of a moment with its offset from UTC: 2026-11-20T09:00+05:30."""
    start = moment.replace(minute=0, second=0, microsecond=0)
    offset = moment.utcoffset() or timedelta()
    return start.replace(tzinfo=timezone(offset)).isoformat(timespec="minutes")


NAMED: dict[str, Callable[[datetime], str]] = {
    "day": local_day,
    "week": local_week,
    "month": local_month,
    "hour": local_hour,
}
"""What each group of time calls a local moment."""
