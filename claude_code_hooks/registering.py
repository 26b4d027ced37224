"""Our entries in the text of a settings file: what stands there, put in, taken out. Pure.

What stands in a settings file belongs to its owner: our entries are spliced into the text, and
nothing else moves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claude_code_hooks import splice
from claude_code_hooks.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 5
MARK = "|| : telemhq"
"""Ends our commands. `:` does nothing, whatever its arguments."""
STATUSLINE = "statusLine"


@dataclass(frozen=True, slots=True)
class Registered:
    """What of ours stands in a settings file: commands by event, in the file's order.

    `statusline` is our command for the status line, "" where there is none of ours.
    """

    commands: dict[str, list[str]] = field(default_factory=dict)
    statusline: str = ""

    def __bool__(self) -> bool:
        """Tell whether there is anything of ours."""
        return bool(self.commands or self.statusline)


def plan(
    text: str | None, command: str, events: Sequence[str] = EVENTS, statusline: str = ""
) -> str:
    """Return the settings with our hook on each of these events and on no other.

    And with our status line, where it was asked for and the owner has none. Raises ValueError
    (json.JSONDecodeError among them) when the text is no settings file.
    """
    if text is None or not text.strip("\ufeff \t\r\n"):
        text = "\ufeff{}\n" if text and text.startswith("\ufeff") else "{}\n"
    if not statusline or has_own_statusline(text):
        statusline = ""
    if registered(text) == Registered({event: [command] for event in events}, statusline):
        return text
    text = without_ours(text)
    for event in events:
        text = _with_hook(text, event, command)
    if statusline:
        entry = {"type": "command", "command": statusline}
        text = splice.add(text, splice.root(text), entry, STATUSLINE)
    return text


def without_ours(text: str) -> str:
    """Return the settings without anything of ours, and without what held nothing else.

    Raises ValueError when the text is no settings file.
    """
    found = registered(text)
    for event in found.commands:
        text = _without_hook(text, event)
    hooks = splice.member(text, splice.root(text), "hooks")
    if found.commands and hooks is not None and hooks.value == {}:
        text = _drop(text, splice.root(text), "hooks")
    return _drop(text, splice.root(text), STATUSLINE) if found.statusline else text


def registered(text: str) -> Registered:
    """Return what of ours is in the text; ValueError when it is no settings file."""
    settings = settings_of(text)
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise ValueError('"hooks" is not an object')  # noqa: TRY004 - a value of the file
    for event, groups in hooks.items():
        if not isinstance(groups, list):
            raise ValueError(f'"hooks" → "{event}" is not a list')  # noqa: TRY004 - same
    found = {event: _ours_of(groups) for event, groups in hooks.items()}
    line = settings.get(STATUSLINE)
    return Registered(
        {event: commands for event, commands in found.items() if commands},
        line["command"] if isinstance(line, dict) and _is_ours(line) else "",
    )


def has_own_statusline(text: str) -> bool:
    """Tell whether the owner has a status line that is not ours."""
    settings = settings_of(text)
    return STATUSLINE in settings and not _is_ours(settings[STATUSLINE])


def settings_of(text: str) -> dict[str, Any]:
    """Return what a settings file says; ValueError when it is none."""
    text = text.removeprefix("\ufeff")
    try:
        settings = json.loads(text) if text.strip() else {}
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(settings, dict):
        raise ValueError("the settings are not an object")  # noqa: TRY004 - a value of the file
    return settings


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
