"""Which of Claude Code's events the hook is registered for, version by version. Pure."""

from __future__ import annotations

import re

OF_TURNS = {
    "SessionStart": (1, 0, 62),
    "UserPromptSubmit": (1, 0, 54),
    "Stop": (1, 0, 38),
    "StopFailure": (2, 1, 78),
    "SubagentStop": (1, 0, 41),
    "PostCompact": (2, 1, 76),
    "SessionEnd": (1, 0, 85),
}
"""What begins and ends, and the first version that knows it (the vendor's changelog)."""

OF_TOOLS = {
    "PostToolUse": (1, 0, 38),
    "PostToolUseFailure": (2, 1, 101),
    "PermissionRequest": (2, 0, 45),
}
"""What tools do. PostToolUseFailure came somewhere before 2.1.50; since 2.1.101 it cannot hurt."""

EVENTS = (*OF_TURNS, *OF_TOOLS)
"""All that the hook is ever registered for, in order."""

FIRST_THAT_IGNORES_UNKNOWN_EVENTS = (2, 1, 101)
OLDEST_WITH_HOOKS = (1, 0, 38)


def events_for(version: str, *, tools: bool = True) -> tuple[str, ...]:
    """Return the events to register for a version of Claude Code.

    Before 2.1.101 one name that the program does not know voids the whole settings file, so those
    versions get what they know; an unknown version ("") gets what every version with hooks knows.
    """
    known = parsed(version) or OLDEST_WITH_HOOKS
    wanted = {**OF_TURNS, **OF_TOOLS} if tools else OF_TURNS
    if known >= FIRST_THAT_IGNORES_UNKNOWN_EVENTS:
        return tuple(wanted)
    return tuple(name for name, since in wanted.items() if since <= known)


def parsed(version: str) -> tuple[int, ...]:
    """Return a version's three numbers, () where the text begins with none."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", version)
    return tuple(int(part) for part in found.groups()) if found else ()
