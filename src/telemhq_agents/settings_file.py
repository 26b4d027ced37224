"""Changing the settings file: whole, at once, with its comments, or with a word about those lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import settings_text, whole_file
from telemhq_agents.errors import SettingsError, UsageError, unwritable
from telemhq_agents.settings import (
    KEYS,
    LISTS,
    OF_PROFILES,
    PROFILES,
    profile_name,
    read,
    unknown,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.settings_text import Place


@dataclass(frozen=True, slots=True)
class Written:
    """What a change did to the file.

    `lost` are comments that are not in it any more; then `backup` is the file as it was before.
    """

    changed: bool
    lost: tuple[str, ...] = ()
    backup: Path | None = None


def write(path: Path, key: str, *texts: str, profile: str = "") -> Written:
    """Set one setting in the file, for one profile or for all.

    Raises UsageError for a wrong key or value, SettingsError where the file cannot be written.
    """
    place = _place(key, profile)
    if key not in LISTS and len(texts) != 1:
        raise UsageError(f"{key} takes one value, not {len(texts)}.")
    try:
        value_of(key, texts)
    except ValueError as error:
        raise UsageError(f"{key} {error}, not {' '.join(texts)!r}.", "") from error
    text = read(path)[0]
    value = list(texts) if key in LISTS else texts[0]
    return _save(path, text, settings_text.with_value(text, place, value))


def unset(path: Path, key: str, *, profile: str = "") -> Written:
    """Take one setting out of the file, so that its default holds. Twice is no error."""
    place = _place(key, profile)
    text, written = read(path)
    inside: object = written
    for name in place:
        if not isinstance(inside, dict) or name not in inside:
            return Written(changed=False)
        inside = inside[name]
    return _save(path, text, settings_text.without_value(text, place))


def backup_of(path: Path) -> Path:
    """Return where a settings file is kept as it was before comments were lost."""
    return path.with_name(path.name + ".bak")


def _place(key: str, profile: str) -> Place:
    if key not in KEYS:
        message, next_step = unknown(key)
        raise UsageError(message[:1].upper() + message[1:], next_step)
    if not profile:
        return (key,)
    if key not in OF_PROFILES:
        raise UsageError(
            f"{key} holds for the whole machine, it has no place in a profile.",
            f"Settings of a profile are: {', '.join(OF_PROFILES)}.",
        )
    return (PROFILES, _checked(profile), key)


def _checked(profile: str) -> str:
    try:
        return profile_name(profile)
    except ValueError as error:
        raise UsageError(f"--profile {error}, not {profile!r}.") from error


def _save(path: Path, before: str, after: str) -> Written:
    if after == before:
        return Written(changed=False)
    lost: Sequence[str] = settings_text.lost_comments(before, after)
    backup = backup_of(path) if lost else None
    try:
        if backup is not None:
            whole_file.put(backup, before.encode())
        # A file that is kept elsewhere, behind a link, stays there.
        whole_file.put(path.resolve(), after.encode())
    except (OSError, RuntimeError) as error:
        raise unwritable(SettingsError, f"The settings in {path}", error) from error
    return Written(changed=True, lost=tuple(lost), backup=backup)
