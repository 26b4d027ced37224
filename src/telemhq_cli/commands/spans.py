"""Spans of time as people write them on a command line: 90s, 10m, 1h30m, 2d."""

from __future__ import annotations

import re

from telemhq_agents.errors import UsageError

MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_PART = re.compile(r"\s*(\d{1,12})\s*(ms|s|min|m|h|d|w)", re.IGNORECASE)
_NOTHING = {"0", "none", "never", "off"}


def milliseconds(text: str, option: str) -> int:
    """Read a span. Raises UsageError that names the option it came with."""
    wanted = text.strip()
    if wanted.lower() in _NOTHING:
        return 0
    total, at = 0, 0
    while at < len(wanted):
        part = _PART.match(wanted, at)
        if part is None:
            break
        total += int(part[1]) * MS[part[2].lower()]
        at = part.end()
    if not wanted or at < len(wanted):
        raise UsageError(
            f"{option}: {text!r} is no span of time.", "Write one such as 90s, 10m, 1h30m or 2d."
        )
    return total


def seconds(text: str, option: str) -> int:
    """Read a span of whole seconds. Raises UsageError."""
    ms = milliseconds(text, option)
    if ms % 1000:
        raise UsageError(f"{option}: {text!r} is no whole number of seconds.")
    return ms // 1000
