"""From when to when, in whose days: what `--since`, `--until` and `--timezone` mean here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from telemhq_agents import locations, settings
from telemhq_agents.clock import QUARTER_MS, from_iso, quarter
from telemhq_agents.errors import UsageError
from telemhq_agents.ledger.report import zone_of
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UTC_NAME = "UTC"
DAY_MS = 24 * 3600 * 1000
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)")
_ZONES = "/zoneinfo/"


@dataclass(frozen=True, slots=True)
class During:
    """Of what time a report of this machine is, in whose days, and of which agent (None: all)."""

    since_ms: int | None
    until_ms: int | None
    timezone: str
    source: Source | None


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


def since_ms(text: str | None, zone: ZoneInfo) -> int | None:
    """Return where a report begins: a date's first moment, or a time moved back to the quarter."""
    if text is None:
        return None
    day = _day(text)
    return quarter(_instant(text) if day is None else _midnight(day, zone))


def until_ms(text: str | None, zone: ZoneInfo) -> int | None:
    """Return where a report ends, exclusive: after a date's last moment, or a time moved forward."""
    if text is None:
        return None
    day = _day(text)
    end = _instant(text) if day is None else _end(day, zone)
    return quarter(end + QUARTER_MS - 1)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _midnight(day: date, zone: ZoneInfo) -> int:
    moment = datetime.combine(day, time(), tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _end(day: date, zone: ZoneInfo) -> int:
    if day == date.max:  # the last one that a calendar holds has no next day to begin
        return _midnight(day, zone) + DAY_MS
    return _midnight(day + timedelta(days=1), zone)


def _instant(text: str) -> int:
    try:
        if _INSTANT.fullmatch(text):
            return from_iso(text)
    except ValueError:
        pass
    raise UsageError(
        f"{text!r} is neither a date nor a time.",
        "Give a date (2026-03-01) or a time with its offset (2026-03-01T09:00:00+05:30).",
    )
