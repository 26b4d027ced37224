"""Times of lines, of which a log has many on each day."""

from __future__ import annotations

from telemhq_agents import clock

MOST_DAYS = 1024
_DAY = len("0000-00-00T")
_MINUTE = len("0000-00-00T00:00:")
_SECOND = len("0000-00-00T00:00:00.")
_MINUTES = {f"{n // 60:02}:{n % 60:02}:": n * 60_000 for n in range(24 * 60)}
_SECONDS = {f"{second:02}.": second * 1000 for second in range(60)}
_MILLISECONDS = {f"{ms:03}Z": ms for ms in range(1000)}


class Moments:
    """Reads the times that lines tell; each day's beginning is worked out once."""

    __slots__ = ("_days",)

    def __init__(self) -> None:
        self._days: dict[str, int] = {}

    def told_ms(self, text: str | None) -> int:
        """Return what `clock.told_ms` does: milliseconds, 0 where no plausible time is told."""
        if text is None:
            return 0
        try:
            return (
                self._days[text[:_DAY]]
                + _MINUTES[text[_DAY:_MINUTE]]
                + _SECONDS[text[_MINUTE:_SECOND]]
                + _MILLISECONDS[text[_SECOND:]]
            )
        except KeyError:
            return self._worked_out(text)

    def _worked_out(self, text: str) -> int:
        began_ms = clock.told_ms(text[:_DAY] + "00:00:00.000Z")
        if began_ms:
            if len(self._days) >= MOST_DAYS:
                self._days.clear()
            self._days[text[:_DAY]] = began_ms
        return clock.told_ms(text)
