"""Where the hook stands, on which events, and whether it can run there."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from claude_code_hooks import install
from claude_code_hooks.events import OF_TOOLS, events_for
from claude_code_hooks.install import Scope


@dataclass(frozen=True, slots=True)
class Standing:
    """One settings file. `missing` are events that this Claude Code knows and the hook is not on.

    `works` tells whether the program and the script that our command names are there.
    """

    scope: Scope
    path: Path
    installed: bool
    events: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    works: bool = False
    statusline: bool = False


def standing(scope: Scope, path: Path, version: str) -> Standing:
    """Return how the hook stands in a file, for a version of Claude Code ("" = unknown).

    Raises SettingsError when the file cannot be understood.
    """
    found = install.registered_in(path)
    events = tuple(found.commands)
    wanted = events_for(version, tools=any(event in OF_TOOLS for event in events))
    commands = {command for several in found.commands.values() for command in several}
    return Standing(
        scope,
        path,
        installed=bool(events),
        events=events,
        missing=tuple(event for event in wanted if event not in events) if events else (),
        works=bool(commands) and all(_can_run(command) for command in commands),
        statusline=bool(found.statusline),
    )


def _can_run(command: str) -> bool:
    """Tell whether what `install.command` wrote once can still be run."""
    try:
        words = shlex.split(command)
        isolated = words.index("-I")
        python, script = words[isolated - 1], words[isolated + 2]
    except (ValueError, IndexError):
        return False
    return os.access(python, os.X_OK) and os.access(script, os.R_OK)
