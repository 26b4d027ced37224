"""The one home of the clock. Times are UTC; integers are milliseconds since the Unix epoch."""

from __future__ import annotations

import time
from datetime import UTC, datetime

QUARTER_MS = 15 * 60 * 1000
"""Length of a bucket. Every IANA offset is a multiple of a quarter-hour, since 2012 at least."""

EARLIEST_MS = 946_684_800_000
LATEST_MS = 7_258_118_400_000
"""From 2000-01-01 to before 2200-01-01: no log that we read tells a true time outside of that."""

_USUAL_LENGTH = len("2026-11-20T07:35:28.753Z")
_MINUTES_REMEMBERED = 1024
_minutes: dict[str, int] = {}  # no lru_cache: a job waits for this file, and functools is 2 ms


def now_ms() -> int:
    """Return the present moment."""
    return time.time_ns() // 1_000_000


def quarter(ms: int) -> int:
    """Return the start of the UTC quarter-hour that holds `ms`."""
    return ms - ms % QUARTER_MS


def monotonic_ns() -> int:
    """Return nanoseconds on a clock that nobody sets, for durations.

    On Linux it goes on while the machine is suspended: a job that slept ends when it ends.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


def to_iso(ms: int) -> str:
    """Write `ms` as RFC 3339 with milliseconds and a `Z`."""
    moment = datetime.fromtimestamp(ms // 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Read an RFC 3339 time (UTC when no offset is given) into milliseconds.

    Raises ValueError when the text is no such time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000


def is_plausible(ms: int) -> bool:
    """Tell whether a log may have been written at `ms`."""
    return EARLIEST_MS <= ms < LATEST_MS


def told_ms(text: str) -> int:
    """Return the time that a log tells in milliseconds, 0 where it tells none that is plausible."""
    # Both agents write 2026-11-20T07:35:28.753Z, and many lines in a minute.
    if len(text) == _USUAL_LENGTH and text[16] == ":" and text[19] == "." and text[23] == "Z":
        within = text[17:19] + text[20:23]
        minute = _minute_ms(text[:16])
        if minute and within < "60" and within.isdigit() and within.isascii():
            return minute + int(within)
    return _told_ms(text)


def _minute_ms(text: str) -> int:
    """Return when a minute began, 0 where it is not written in full or not plausible."""
    known = _minutes.get(text)
    if known is None:
        if len(_minutes) >= _MINUTES_REMEMBERED:
            _minutes.clear()
        marks = text[4] + text[7] + text[10] + text[13]
        known = _told_ms(text) if marks == "--T:" and "+" not in text else 0
        _minutes[text] = known
    return known


def _told_ms(text: str) -> int:
    try:
        ms = from_iso(text)
    except ValueError:
        return 0
    return ms if is_plausible(ms) else 0
