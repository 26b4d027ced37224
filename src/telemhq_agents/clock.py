"""The one home of the clock. Times are UTC; integers are milliseconds since the Unix epoch."""

from __future__ import annotations

import time
from datetime import UTC, datetime

QUARTER_MS = 15 * 60 * 1000
"""Length of a bucket. Every IANA offset is a multiple of a quarter-hour, since 2012 at least."""

EARLIEST_MS = 946_684_800_000
LATEST_MS = 7_258_118_400_000
"""From 2000-01-01 to before 2200-01-01: no log that we read tells a true time outside of that."""

_DAY_MS = 24 * 60 * 60 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_read = datetime.fromisoformat


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
    return f"{moment.isoformat()[:19]}.{ms % 1000:03d}Z"


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


def told_ms(text: str | None) -> int:
    """Return the time that a log tells in milliseconds, 0 where it tells none that is plausible."""
    if text is None:
        return 0
    # Both agents write 2026-11-20T07:35:28.753Z, a time on nearly each line: `timestamp` is slow.
    try:
        moment = _read(text)
    except ValueError:
        return 0
    if moment.tzinfo is not UTC:
        return _told_ms(text)
    since = moment - _EPOCH
    ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    return ms if is_plausible(ms) else 0


def _told_ms(text: str) -> int:
    try:
        ms = from_iso(text)
    except ValueError:
        return 0
    return ms if is_plausible(ms) else 0
