"""Registering the hook in Claude Code's settings, and taking it out again.

What was in the file before us is kept beside it until we are gone.
"""

from __future__ import annotations

import difflib
import json
import shlex
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from claude_code_hooks import registering, settings_file
from claude_code_hooks.events import EVENTS
from claude_code_hooks.registering import MARK, Registered, plan, without_ours
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemhq_agents.locations import Locations

BACKUP_SUFFIX = ".telemhq-backup"
PLUGIN_LINK = "telemhq-hook"


class Scope(StrEnum):
    """Whose settings: this user's, or this project's on this machine (not shared with others)."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a settings file; None stands for a file that is not there.

    `was_there` tells that something of ours stood in it before, `statusline_kept` that our status
    line was asked for and the owner's own was left.
    """

    changed: bool
    before: str | None
    after: str | None
    backup: Path | None = None
    was_there: bool = False
    statusline_kept: bool = False


def target(scope: Scope, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the settings file of a scope."""
    match scope:
        case Scope.USER:
            return _config_directory(environ) / "settings.json"
        case Scope.PROJECT:
            return cwd / ".claude" / "settings.local.json"
        case _:
            assert_never(scope)


def settings_that_hold(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """Return the settings files that hold in a directory, the weakest first."""
    shared = cwd / ".claude" / "settings.json"
    return [target(Scope.USER, environ, cwd), shared, target(Scope.PROJECT, environ, cwd)]


def plugin_link(environ: Mapping[str, str]) -> Path:
    """Return the file in which the plugin finds out whom to tell."""
    return _config_directory(environ) / PLUGIN_LINK


def _config_directory(environ: Mapping[str, str]) -> Path:
    named = environ.get("CLAUDE_CONFIG_DIR")
    return Path(named) if named else Path.home() / ".claude"


def command(locations: Locations, python: str = sys.executable) -> str:
    """Return the shell line that Claude Code runs: silent and successful whatever happens.

    The same for every event, as Claude Code runs byte-identical commands once. SIGTERM does not end
    it: at the end of `claude -p` what still runs is sent one, and a StopFailure always still runs.
    """
    wake = _ours(locations, [python, "-P", "-m", "telemhq_cli.main", "agent", "once", "--wake"])
    hook = Path(__file__).with_name("hook.py")
    words = [python, "-I", "-S", str(hook), str(locations.spool), *wake]
    return f"{{ trap '' TERM HUP; {shlex.join(words)}; }} >/dev/null 2>&1 {MARK}"


def statusline_command(locations: Locations, python: str = sys.executable) -> str:
    """Return the shell line for Claude Code's status line: one line of text, or none."""
    script = Path(python).with_name("telemhq")
    program = [str(script)] if script.exists() else [python, "-P", "-m", "telemhq_cli.main"]
    return f"{shlex.join(_ours(locations, [*program, 'statusline']))} 2>/dev/null {MARK}"


def _ours(locations: Locations, words: list[str]) -> list[str]:
    if locations.config == locations.data:
        # One directory for all: TELEMHQ_HOME, which Claude Code's environment may not have.
        return ["/usr/bin/env", f"TELEMHQ_HOME={locations.data}", *words]
    return words


def preview(path: Path, command: str, events: Sequence[str] = EVENTS, statusline: str = "") -> str:
    """Return what `install` would change, as a unified diff; "" when nothing.

    Raises SettingsError when the file cannot be understood.
    """
    before = settings_file.read(path)
    after = _planned(path, before, command, events, statusline)
    old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, fromfile=str(path), tofile=f"{path} (new)"))


def install(
    path: Path, command: str, events: Sequence[str] = EVENTS, statusline: str = ""
) -> Outcome:
    """Register the hook; what was in the file before the first time is kept in a backup.

    Doing so twice changes nothing. A status line is set where it is asked for and none is there;
    one of ours stays. Raises SettingsError when the file cannot be understood or written; it is as
    it was then.
    """
    before = settings_file.read(path)
    after = _planned(path, before, command, events, statusline)
    was_there = bool(registering.registered(before or ""))
    backup = backup_of(path)
    if before is not None and before != after and not was_there:
        settings_file.replace(backup, settings_file.read(backup), before, like=path)
    if before != after:
        settings_file.replace(path, before, after, like=path)
    return Outcome(
        before != after,
        before,
        after,
        backup if backup.exists() else None,
        was_there,
        statusline_kept=bool(statusline) and registering.has_own_statusline(after),
    )


def uninstall(path: Path) -> Outcome:
    """Take our hook out: the file as it was when nothing else changed, else all but our entries.

    Raises SettingsError when the file cannot be understood or written.
    """
    before = settings_file.read(path)
    if before is None:
        return Outcome(changed=False, before=None, after=None)
    backup = backup_of(path)
    try:
        found = registering.registered(before)
        after = _original(before, settings_file.read(backup), found) if found else before
    except ValueError as error:
        raise _not_understood(path, error) from error
    if after is None:
        settings_file.remove(path)
    elif after != before:
        settings_file.replace(path, before, after, like=path)
    if found:
        settings_file.remove(backup)
    return Outcome(after != before, before, after)


def registered_in(path: Path) -> Registered:
    """Return what of ours stands in a file, nothing where there is none.

    Raises SettingsError when the file cannot be understood.
    """
    text = settings_file.read(path)
    try:
        return registering.registered(text or "")
    except ValueError as error:
        raise _not_understood(path, error) from error


def link_plugin(environ: Mapping[str, str], command: str) -> bool:
    """Tell the plugin whom to tell; whether that was new. Raises SettingsError as `install` does."""
    path = plugin_link(environ)
    before, text = settings_file.read(path), command + "\n"
    if before != text:
        settings_file.replace(path, before, text, like=path)
    return before != text


def unlink_plugin(environ: Mapping[str, str]) -> bool:
    """Let the plugin do nothing from now on; tell whether it did anything before."""
    path = plugin_link(environ)
    was_there = path.exists()
    settings_file.remove(path)
    return was_there


def _original(text: str, kept: str | None, found: Registered) -> str | None:
    """Return what to go back to: what was kept if we alone changed it, None for no file."""
    commands = next(iter(found.commands.values()), [""])
    if plan(kept, commands[0], tuple(found.commands), found.statusline) == text:
        return kept
    return without_ours(text)


def _planned(
    path: Path, before: str | None, command: str, events: Sequence[str], statusline: str
) -> str:
    """Plan from what was there before us, so that our coming and going leaves no traces in it."""
    try:
        found = registering.registered(before or "")
        if before is None or not found:
            return plan(before, command, events, statusline)
        wanted = statusline or found.statusline
        if plan(before, command, events, wanted) == before:
            return before
        original = _original(before, settings_file.read(backup_of(path)), found)
        return plan(original, command, events, wanted)
    except ValueError as error:
        raise _not_understood(path, error) from error


def _not_understood(path: Path, error: ValueError) -> SettingsError:
    place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return SettingsError(
        f"{path}{place}: {reason}. Nothing was changed.",
        "Correct the file (Claude Code cannot read it either) and run the command again.",
    )


def backup_of(path: Path) -> Path:
    """Return where the file is kept as it was before us."""
    return path.with_name(path.name + BACKUP_SUFFIX)
