"""Where Claude Code's transcripts lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents.tail import is_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

PROJECTS = "projects"
SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Transcript:
    """One file. `file_key` is its path below the first home's `projects/`, whatever the home."""

    path: Path
    file_key: str


def discover(homes: Sequence[Path]) -> tuple[list[Transcript], list[str]]:
    """Return every transcript below these homes, and what kept us from looking.

    Sessions, sub-agents beside and below them and whatever a later version nests deeper. A home
    that is not there is no problem, and one that two paths lead to is looked at once.
    """
    found: list[Transcript] = []
    problems: list[str] = []
    for folder, suffix in _folders(homes):
        found += _below(folder, folder, suffix, problems)
    return found, problems


def around(homes: Sequence[Path], paths: Collection[Path]) -> tuple[list[Transcript], list[str]]:
    """Return these transcripts and their sub-agents', without looking anywhere else."""
    found: dict[str, Transcript] = {}
    problems: list[str] = []
    for folder, suffix in _folders([*homes, *homes_of(paths)]):
        for path in paths:
            try:
                inside = path.parent.resolve() / path.name
                inside.relative_to(folder)
            except (OSError, ValueError):
                continue
            session = inside.with_suffix("")
            found.update(
                (each.file_key, each) for each in _below(session, folder, suffix, problems)
            )
            if inside.suffix == SUFFIX and is_regular(inside):
                found.setdefault(_key(inside, folder, suffix), _transcript(inside, folder, suffix))
    return list(found.values()), problems


def homes_of(paths: Iterable[Path]) -> list[Path]:
    """Return the homes in which these transcripts lie, by their paths alone."""
    found = {
        parent.parent: None
        for path in paths
        for parent in path.parents
        if parent.name == PROJECTS and path.is_absolute()
    }
    return list(found)


def _folders(homes: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each `projects/` once, with what tells its file keys from the first home's."""
    seen: set[Path] = set()
    for index, home in enumerate(homes):
        folder = (home / PROJECTS).resolve()
        if folder not in seen:
            seen.add(folder)
            yield folder, f"@{folder}" if index else ""


def _below(top: Path, folder: Path, suffix: str, problems: list[str]) -> list[Transcript]:
    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            problems.append(f"{error.filename}: {error.strerror}")

    return [
        _transcript(path, folder, suffix)
        for parent, _, names in os.walk(top, onerror=note)
        for name in names
        if name.endswith(SUFFIX) and is_regular(path := Path(parent) / name)
    ]


def _transcript(path: Path, folder: Path, suffix: str) -> Transcript:
    return Transcript(path, _key(path, folder, suffix))


def _key(path: Path, folder: Path, suffix: str) -> str:
    return path.relative_to(folder).as_posix() + suffix
