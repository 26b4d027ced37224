"""Registering the hook in Claude Code's settings, and taking it out again.

What stands in a settings file belongs to its owner: our entries are spliced into the text, nothing
else moves, and what was there before is kept beside it until we are gone.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from claude_code_hooks import splice
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemhq_agents.locations import Locations

EVENTS = (
    "SessionStart",
    "UserPromptSubmit",
    "Stop",
    "StopFailure",
    "SubagentStop",
    "PostCompact",
    "SessionEnd",
)
EVENTS_OF_OLD_VERSIONS = ("SessionStart", "UserPromptSubmit", "Stop", "SubagentStop", "SessionEnd")
"""What every version with hooks knows: before 2.1.101 an unknown event voids the whole file."""
FIRST_VERSION_THAT_IGNORES_UNKNOWN_EVENTS = (2, 1, 101)
TIMEOUT_S = 5
MARK = "|| : telemhq"
"""Ends our command. `:` does nothing, whatever its arguments."""
BACKUP_SUFFIX = ".telemhq-backup"


class Scope(StrEnum):
    """Whose settings: this user's, or this project's on this machine (not shared with others)."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a settings file; None stands for a file that is not there."""

    changed: bool
    before: str | None
    after: str | None
    backup: Path | None = None


def target(scope: Scope, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the settings file of a scope."""
    match scope:
        case Scope.USER:
            named = environ.get("CLAUDE_CONFIG_DIR")
            return (Path(named) if named else Path.home() / ".claude") / "settings.json"
        case Scope.PROJECT:
            return cwd / ".claude" / "settings.local.json"
        case _:
            assert_never(scope)


def command(locations: Locations, python: str = sys.executable) -> str:
    """Return the shell line that Claude Code runs: silent and successful whatever happens.

    The same for every event, as Claude Code runs byte-identical commands once.
    """
    wake = [python, "-P", "-m", "telemhq_cli.main", "agent", "once", "--wake"]
    if locations.config == locations.data:
        # One directory for all: TELEMHQ_HOME, which Claude Code's environment may not have.
        wake = ["/usr/bin/env", f"TELEMHQ_HOME={locations.data}", *wake]
    hook = Path(__file__).with_name("hook.py")
    words = [python, "-I", "-S", str(hook), str(locations.spool), *wake]
    return f"{{ {shlex.join(words)}; }} >/dev/null 2>&1 {MARK}"


def events_for(version: str) -> tuple[str, ...]:
    """Return the events to register for a version of Claude Code ("" = unknown, taken as new)."""
    if not version:
        return EVENTS
    parts = tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
    is_new = parts >= FIRST_VERSION_THAT_IGNORES_UNKNOWN_EVENTS
    return EVENTS if is_new else EVENTS_OF_OLD_VERSIONS


def plan(text: str | None, command: str, events: Sequence[str] = EVENTS) -> str:
    """Return the settings with our hook on each of these events and on no other.

    Raises ValueError (json.JSONDecodeError among them) when the text is no settings file.
    """
    if text is None or not text.strip():
        text = "{}\n"
    if _registered(text) == {event: [command] for event in events}:
        return text
    text = without_ours(text)
    for event in events:
        text = _with_hook(text, event, command)
    return text


def without_ours(text: str) -> str:
    """Return the settings without any hook of ours, and without what held nothing else.

    Raises ValueError when the text is no settings file.
    """
    registered = _registered(text)
    for event in registered:
        text = _without_hook(text, event)
    hooks = splice.member(text, splice.root(text), "hooks")
    if registered and hooks is not None and hooks.value == {}:
        text = _drop(text, splice.root(text), "hooks")
    return text


def preview(path: Path, command: str, events: Sequence[str] = EVENTS) -> str:
    """Return what `install` would change, as a unified diff; "" when nothing.

    Raises SettingsError when the file cannot be understood.
    """
    before = _read(path)
    after = _planned(path, before, command, events)
    old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, fromfile=str(path), tofile=f"{path} (new)"))


def install(path: Path, command: str, events: Sequence[str] = EVENTS) -> Outcome:
    """Register the hook; what was in the file before the first time is kept in a backup.

    Doing so twice changes nothing. Raises SettingsError when the file cannot be understood or
    written; it is as it was then.
    """
    before = _read(path)
    after = _planned(path, before, command, events)
    backup = _backup_of(path)
    if before is not None and not _registered(before) and before != after:
        _write(backup, before, like=path)
    if before != after:
        _write(path, after, like=path)
    return Outcome(before != after, before, after, backup if backup.exists() else None)


def uninstall(path: Path) -> Outcome:
    """Take our hook out: the file as it was when nothing else changed, else all but our entries.

    Raises SettingsError when the file cannot be understood or written.
    """
    before = _read(path)
    if before is None:
        return Outcome(changed=False, before=None, after=None)
    backup = _backup_of(path)
    try:
        registered = _registered(before)
        after = _original(before, _read(backup), registered) if registered else before
    except ValueError as error:
        raise _not_understood(path, error) from error
    if after is None:
        path.resolve().unlink()
    elif after != before:
        _write(path, after, like=path)
    if registered:
        backup.unlink(missing_ok=True)
    return Outcome(after != before, before, after)


def _original(text: str, kept: str | None, registered: dict[str, list[str]]) -> str | None:
    """Return what to go back to: what was kept if we alone changed it, None for no file."""
    first = next(iter(registered.values()))[0]
    if plan(kept, first, tuple(registered)) == text:
        return kept
    return without_ours(text)


def _planned(path: Path, before: str | None, command: str, events: Sequence[str]) -> str:
    try:
        return plan(before, command, events)
    except ValueError as error:
        raise _not_understood(path, error) from error


def _not_understood(path: Path, error: ValueError) -> SettingsError:
    place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return SettingsError(
        f"{path}{place}: {reason}. Nothing was changed.",
        "Correct the file (Claude Code cannot read it either) and run the command again.",
    )


def _registered(text: str) -> dict[str, list[str]]:
    """Return our commands by event, in the file's order; ValueError when it is no settings file."""
    settings = json.loads(text.removeprefix("\ufeff")) if text.strip() else {}
    if not isinstance(settings, dict):
        raise ValueError("the settings are not an object")  # noqa: TRY004 - a value of the file
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise ValueError('"hooks" is not an object')  # noqa: TRY004 - a value of the file
    for event, groups in hooks.items():
        if not isinstance(groups, list):
            raise ValueError(f'"hooks" → "{event}" is not a list')  # noqa: TRY004 - same
    found = {event: _ours_of(groups) for event, groups in hooks.items()}
    return {event: commands for event, commands in found.items() if commands}


def _ours_of(groups: list[Any]) -> list[str]:
    entries = [entry for group in groups for entry in _entries(group)]
    return [entry["command"] for entry in entries if _is_ours(entry)]


def _entries(group: object) -> list[Any]:
    entries = group.get("hooks") if isinstance(group, dict) else None
    return entries if isinstance(entries, list) else []


def _is_ours(entry: object) -> bool:
    text = entry.get("command") if isinstance(entry, dict) else None
    return isinstance(text, str) and text.endswith(MARK)


def _with_hook(text: str, event: str, command: str) -> str:
    group = {"hooks": [{"type": "command", "command": command, "timeout": TIMEOUT_S}]}
    root = splice.root(text)
    hooks = splice.member(text, root, "hooks")
    if hooks is None:
        return splice.add(text, root, {event: [group]}, "hooks")
    groups = splice.member(text, hooks.value_start, event)
    if groups is None:
        return splice.add(text, hooks.value_start, [group], event)
    return splice.add(text, groups.value_start, group)


def _without_hook(text: str, event: str) -> str:
    """Take our entries out of one event, then what they leave empty, from the inside out."""
    while (place := _place_of_ours(text, event)) is not None:
        group, index = place
        entries = splice.member(text, group.value_start, "hooks")
        if entries is not None and len(entries.value) > 1:
            text = splice.remove(text, entries.value_start, index)
            continue
        groups = _groups_of(text, event)
        at = [item.start for item in splice.items(text, groups.value_start)].index(group.start)
        text = splice.remove(text, groups.value_start, at)
    if _groups_of(text, event).value == []:
        hooks = splice.member(text, splice.root(text), "hooks")
        text = _drop(text, hooks.value_start, event) if hooks else text
    return text


def _place_of_ours(text: str, event: str) -> tuple[splice.Item, int] | None:
    """Return the first group that holds an entry of ours, and that entry's place in it."""
    for group in splice.items(text, _groups_of(text, event).value_start):
        for index, entry in enumerate(_entries(group.value)):
            if _is_ours(entry):
                return group, index
    return None


def _groups_of(text: str, event: str) -> splice.Item:
    hooks = splice.member(text, splice.root(text), "hooks")
    groups = splice.member(text, hooks.value_start, event) if hooks else None
    if groups is None:
        raise ValueError(f'"hooks" → "{event}" is gone')
    return groups


def _drop(text: str, start: int, key: str) -> str:
    keys = [item.key for item in splice.items(text, start)]
    return splice.remove(text, start, len(keys) - 1 - keys[::-1].index(key))


def _backup_of(path: Path) -> Path:
    return path.with_name(path.name + BACKUP_SUFFIX)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}.", "Check the file and its permissions."
        ) from error


def _write(path: Path, text: str, like: Path) -> None:
    """Replace the file behind `path` at once, with the mode of `like` (0600 when it is new)."""
    real = path.resolve()
    unfinished = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = like.stat().st_mode & 0o777 if like.exists() else 0o600
        with unfinished.open("wb") as stream:
            unfinished.chmod(mode)
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(real)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror or error}. It is as it was.",
            "Check the permissions of the file and its directory.",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
