"""What of coding agents there is on this machine, at a glance: names are counted, nothing is read."""

from __future__ import annotations

import os

from telemhq_agents import locations

TYPE_CHECKING = False  # typing itself costs 5 ms, and this is what a first run shows
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = (".jsonl", ".jsonl.zst")
SUBAGENTS = "subagents"


def claude_sessions() -> int:
    """Return how many sessions Claude Code's transcripts hold."""
    return _logs_below([home / "projects" for home in locations.claude_homes()])


def codex_sessions() -> int:
    """Return how many sessions Codex's logs hold."""
    home = locations.codex_home()
    return _logs_below([home / "sessions", home / "archived_sessions"])


def in_words() -> list[str]:
    """Say what was found, one agent a text."""
    counts = {"Claude Code": claude_sessions(), "Codex": codex_sessions()}
    return [
        f"{name} logs ({count:,} session{'' if count == 1 else 's'})"
        for name, count in counts.items()
        if count
    ]


def _logs_below(folders: Sequence[Path]) -> int:
    count = 0
    for folder in folders:
        for parent, below, names in os.walk(folder):
            if SUBAGENTS in below:
                below.remove(SUBAGENTS)  # a part of its parent's session
            count += sum(name.endswith(SUFFIXES) for name in names)
            del parent
    return count
