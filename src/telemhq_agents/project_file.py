"""A project's own `.telemhq.toml`, read for a person who wants to know what is wrong in it.

It may name the project or keep its work on this machine, nothing else: whoever wrote a directory
must not say where its usage goes. Collectors read it in `privacy`, and never stop at a wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemhq_agents import settings
from telemhq_agents.errors import SettingsError
from telemhq_agents.nearest import missed
from telemhq_agents.privacy import (
    LARGEST_PROJECT_FILE,
    PROJECT_FILE,
    project,
    project_files,
)
from telemhq_agents.settings import Value
from telemhq_agents.settings_text import line_of

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("project", "private")
_REASONS = {
    "privacy": "the level holds for the whole machine; private = true keeps this project on it",
}
_OF_THE_USER = "only your own settings may say that, no directory"


@dataclass(frozen=True, slots=True)
class Told:
    """What the files of a directory say, each as `settings.Value`, the one in force last.

    `names` are the project's, that of its repository or directory where no file has one; `private`
    are directories that a file makes private.
    """

    names: list[Value[str]]
    private: list[Value[str]]


def read(cwd: str) -> Told:
    """Return what `.telemhq.toml` says of a directory.

    Raises SettingsError that names the file, the line and what is wrong with it.
    """
    files = [(file, *_read(file)) for file in project_files(cwd)]
    for file, text, written in files:
        _must_be_right(file, text, written)
    named = [
        Value(written["project"].strip(), str(file), line_of(text, ("project",)))
        for file, text, written in reversed(files)
        if written.get("project", "").strip()
    ]
    private = [
        Value(str(file.parent), str(file), line_of(text, ("private",)))
        for file, text, written in files
        if written.get("private")
    ]
    return Told(named or [Value(project(cwd), "default")], private)


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    """Read a file of somebody else's: it may be no file at all, or one without an end."""
    if not file.is_file() or file.stat().st_size > LARGEST_PROJECT_FILE:
        raise SettingsError(
            f"{file} is no small text file; work beside it may be taken for private.",
            f"ls -l {file}",
        )
    return settings.read(file)


def _must_be_right(file: Path, text: str, written: dict[str, Any]) -> None:
    for key, value in written.items():
        where = f"{file}, line {line_of(text, (key,))}"
        if key not in KEYS:
            raise SettingsError(f"{where}: {_unknown(key)}", _next_step(file))
        if key == "project" and not isinstance(value, str):
            raise SettingsError(f"{where}: project must be a text in quotes.", _next_step(file))
        if key == "private" and not isinstance(value, bool):
            raise SettingsError(f"{where}: private must be true or false.", _next_step(file))


def _unknown(key: str) -> str:
    if key in settings.KEYS or key == settings.PROFILES:
        return f"{key} does not belong here: {_REASONS.get(key, _OF_THE_USER)}."
    return missed(f"there is no setting {key!r} of a project", key, KEYS)


def _next_step(file: Path) -> str:
    return f"Correct {file}. A {PROJECT_FILE} holds {' and '.join(KEYS)} alone."
