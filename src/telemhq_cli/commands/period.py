"""From when to when, in whose days: what `--since`, `--until` and `--timezone` mean here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from telemhq_agents import locations, settings
from telemhq_agents.clock import QUARTER_MS, from_iso, now_ms, quarter
from telemhq_agents.errors import UsageError
from telemhq_agents.ledger.report import moment_of, zone_of
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UTC_NAME = "UTC"
DAY_MS = 24 * 3600 * 1000
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)")
_SPAN = re.compile(r"(?P<count>[1-9]\d{0,3})(?P<unit>[dwh])")
_ZONES = "/zoneinfo/"
_HOUR_MS = 3600 * 1000
_WEEK = 7
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class During:
    """What a report of this machine is about: a time, in whose days, and what of it.

    None is no bound and every agent; no projects and models named are all of them.
    """

    since_ms: int | None
    until_ms: int | None
    timezone: str
    source: Source | None
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def zone_in_use(named: str | None) -> ZoneInfo:
    """Return the zone that a command is about: the option, the setting, or this machine's own."""
    setting = settings.load(locations.ours().settings).timezone.value
    return zone_of(named or setting or local_zone(os.environ, os.readlink))


def local_zone(environ: Mapping[str, str], read_link: Callable[[str], str]) -> str:
    """Return the name of this machine's time zone: `TZ`, else what /etc/localtime links to.

    UTC where neither names a zone of the IANA's.
    """
    named = environ.get("TZ", "").lstrip(":")
    if not named:
        try:
            named = read_link("/etc/localtime")
        except OSError:
            return UTC_NAME
    name = named.partition(_ZONES)[2] if _ZONES in named else named
    try:
        return ZoneInfo(name).key if name else UTC_NAME
    except (KeyError, ValueError, OSError):
        return UTC_NAME


def since_ms(text: str | None, zone: ZoneInfo, now: int | None = None) -> int | None:
    """Return where a report begins, never within a quarter-hour.

    A day's first moment, a time moved back to the quarter, or the beginning of a span that ends
    now: `7d` and `2w` are whole days, today the last of them, `24h` is exact to the quarter.
    """
    if text is None:
        return None
    moment = _read(text, zone, now_ms() if now is None else now)
    return quarter(midnight(moment, zone) if isinstance(moment, date) else moment)


def until_ms(text: str | None, zone: ZoneInfo, now: int | None = None) -> int | None:
    """Return where a report ends, exclusive: after a day's last moment, or a time moved forward.

    A span ends a report where it would begin another one: 14d to 7d is the week before the last.
    """
    if text is None:
        return None
    moment = _read(text, zone, now_ms() if now is None else now)
    if isinstance(moment, date):
        is_span = _SPAN.fullmatch(text.strip().lower())
        return quarter_up(midnight(moment, zone) if is_span else _end(moment, zone))
    return quarter_up(moment)


def window_before(since: int, end: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the window of the same length before one that is over at `end`.

    One that begins with a local day is moved back by whole local days, whatever the clocks did
    meanwhile: a day that is not over is compared up to the same time of day. Any other one ends
    where this one begins.
    """
    days = whole_days(since, end, zone)
    if days is None:
        return since - (end - since), since
    first = day_of(since, zone) - timedelta(days=days)
    return quarter(midnight(first, zone)), _days_back(end, days, zone)


def whole_days(since: int, end: int, zone: ZoneInfo) -> int | None:
    """Return how many local days a window touches; None for one that begins within a day."""
    first = day_of(since, zone)
    if since != quarter(midnight(first, zone)):
        return None
    return (day_of(end - 1, zone) - first).days + 1


def end_so_far(since: int, until: int | None, now: int) -> int:
    """Return where a window ends: what is to come is not compared."""
    so_far = quarter_up(max(now, since + 1))
    return so_far if until is None else min(until, so_far)


def _days_back(ms: int, days: int, zone: ZoneInfo) -> int:
    """Return the moment that local clocks showed the same time so many days earlier."""
    there = moment_of(ms, zone)
    back = datetime.combine(there.date() - timedelta(days=days), there.time(), tzinfo=zone)
    return quarter_up(round(back.timestamp() * 1000))


def in_words(since: int, until: int, zone: ZoneInfo) -> str:
    """Say when a window is: in days where it is whole ones, else with the times."""
    first, end = moment_of(since, zone), moment_of(until, zone)
    last = day_of(until - 1, zone)
    if since == midnight(first.date(), zone) and until == _end(last, zone):
        return f"{first.date()}" if first.date() == last else f"{first.date()} to {last}"
    begin = f"{first:%Y-%m-%d %H:%M}" if since != midnight(first.date(), zone) else first.date()
    return f"{begin} to {end:%Y-%m-%d %H:%M}"


def written_out(text: str) -> str | None:
    """Return a date or a time as a server reads it; None for what depends on when it is read."""
    day = _date(text)
    if day is not None:
        return day.isoformat()
    return text if _INSTANT.fullmatch(text) else None


def quarter_up(ms: int) -> int:
    """Return the first quarter-hour that begins at `ms` or after it."""
    return quarter(ms + QUARTER_MS - 1)


def day_of(ms: int, zone: ZoneInfo) -> date:
    """Return the local day that a moment lies in."""
    return moment_of(ms, zone).date()


def _read(text: str, zone: ZoneInfo, now: int) -> date | int:
    """Return the day that a text means, or the moment in milliseconds. Raises UsageError."""
    day = _date(text)
    return day or _word(text.strip().lower(), zone, now) or _instant(text)


def _word(word: str, zone: ZoneInfo, now: int) -> date | int | None:
    today = day_of(now, zone)
    if word in {"today", "yesterday"}:
        return today - timedelta(days=int(word == "yesterday"))
    if word in WEEKDAYS:
        return today - timedelta(days=(today.weekday() - WEEKDAYS.index(word)) % _WEEK)
    span = _SPAN.fullmatch(word)
    if span is None:
        return None
    count = int(span["count"])
    if span["unit"] == "h":
        return now - count * _HOUR_MS
    return today - timedelta(days=count * (_WEEK if span["unit"] == "w" else 1) - 1)


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the first moment of a local day in milliseconds."""
    moment = datetime.combine(day, time(), tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _end(day: date, zone: ZoneInfo) -> int:
    if day == date.max:  # the last one that a calendar holds has no next day to begin
        return midnight(day, zone) + DAY_MS
    return midnight(day + timedelta(days=1), zone)


def _instant(text: str) -> int:
    try:
        if _INSTANT.fullmatch(text):
            return from_iso(text)
    except ValueError:
        pass
    raise UsageError(
        f"{text!r} is neither a date nor a time.",
        "Give 7d, 24h, today, yesterday, monday, a date (2026-03-01) or a time with its offset "
        "(2026-03-01T09:00:00+05:30).",
    )
