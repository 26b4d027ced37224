"""Times of lines, of which a log has one on nearly each. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from telemhq_agents import clock

_read = datetime.fromisoformat
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 24 * 60 * 60 * 1000


def told_ms(text: str | None) -> int:
    """Return what `clock.told_ms` does: milliseconds, 0 where no plausible time is told.

    A log's times hardly ever come twice: tables of their parts are larger than what a processor
    keeps at hand beside the log itself, and take longer than reading a time anew.
    """
    if text is None:
        return 0
    try:
        moment = _read(text)
    except ValueError:
        return clock.told_ms(text)
    if moment.tzinfo is not UTC:
        return clock.told_ms(text)
    since = moment - _EPOCH
    ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    return ms if clock.EARLIEST_MS <= ms < clock.LATEST_MS else 0
