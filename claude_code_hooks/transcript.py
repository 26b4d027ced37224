"""Where Claude Code's transcripts lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import tail

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
            if inside.suffix == SUFFIX and tail.is_regular(inside):
                key = _key(str(inside.relative_to(folder)), suffix)
                found.setdefault(key, Transcript(inside, key))
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

    above = os.path.join(folder, "")  # noqa: PTH118 - as the entries' own paths begin
    return [
        Transcript(Path(entry.path), _key(entry.path.removeprefix(above), suffix))
        for entry in tail.files_below(str(top), SUFFIX, note)
    ]


def _key(below: str, suffix: str) -> str:
    return below.replace(os.sep, "/") + suffix
