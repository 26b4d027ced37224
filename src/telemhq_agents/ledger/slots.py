"""Coalescing windows: which moments of which source are told by the window, not by the turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telemhq_agents.clock import QUARTER_MS, quarter
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_SLOT = -1
MINUTE_MS = 60_000
WINDOWS_MS = frozenset(minutes * MINUTE_MS for minutes in (0, 1, 3, 5, 15))
"""Windows divide a quarter-hour, so each of them lies in one bucket."""

Windows = tuple[tuple[int, int], ...]
"""(from when, window in milliseconds or 0 for none), oldest first, each from a quarter's start."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The windows in force, by source."""

    histories: Mapping[str, Windows] = field(default_factory=dict)

    def slot(self, source: str, at_ms: int) -> int:
        """Return the start of the window that holds `at_ms`, NO_SLOT where there is none."""
        history = self.histories.get(source)
        if history is None:
            return NO_SLOT
        window = window_at(history, at_ms)
        return at_ms - at_ms % window if window else NO_SLOT


def window_at(history: Windows, at_ms: int) -> int:
    """Return the window in force in the quarter-hour of `at_ms`, 0 for none."""
    at = quarter(at_ms)
    return next((window for since, window in reversed(history) if since <= at), 0)


def checked(history: Sequence[tuple[int, int]]) -> Windows:
    """Return the history in order. Raises SettingsError for windows that cross a bucket."""
    for since, window in history:
        if window not in WINDOWS_MS or since % QUARTER_MS:
            raise SettingsError(
                f"A coalescing window of {window} ms from {since} does not fit quarter-hours.",
                "Use 1m, 3m, 5m or 15m.",
            )
    return tuple(sorted(history))
