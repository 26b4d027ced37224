"""How much of what Claude Code did its hook told us of. What it did not tell, the transcripts did."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_MS = 7 * 24 * 3600 * 1000
"""How far back it is looked: what was lost longer ago helps nobody."""


def unannounced(ended: int, announced: int) -> str:
    """Say how many of the turns that ended no hook told of; "" where it told of all. Pure."""
    lost = ended - announced
    if lost <= 0:
        return ""
    return (
        f"{lost:,} of {ended:,} turns were not announced by the hook; "
        "their usage was read from the transcripts."
    )


def since_ms(settings: Path, backup: Path, now_ms: int) -> int:
    """Return from when on the hook should have told of every turn.

    It was installed when the backup was made, or, where there was no file to keep, when the
    settings were written last; before that nobody could tell.
    """
    for path in (backup, settings):
        try:
            installed_ms = path.stat().st_mtime_ns // 1_000_000
        except OSError:
            continue
        return max(installed_ms, now_ms - LONGEST_MS)
    return now_ms
