"""Shares as bars, for a column of a table. Pure, but for what the screen can show."""

from __future__ import annotations

from telemhq_cli.render import screen

EIGHTHS = " ▏▎▍▌▋▊▉█"
ASCII = "#"
_PARTS = 8


def bar(share: float, width: int) -> str:
    """Draw a share of 0 to 1 as a bar of at most `width` characters, in eighths of one.

    What is not nothing shows: its bar is one eighth at least. In ASCII it is made of whole `#`.
    """
    share = min(max(share, 0.0), 1.0)
    if screen.is_ascii():
        return ASCII * _shown(share, width)
    whole, rest = divmod(_shown(share, width * _PARTS), _PARTS)
    return EIGHTHS[-1] * whole + (EIGHTHS[rest] if rest else "")


def _shown(share: float, parts: int) -> int:
    return max(round(share * parts), 1) if share > 0 else 0
