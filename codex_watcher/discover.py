"""Finds Codex's rollout files: `sessions/` (dated folders) and `archived_sessions/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents.tail import COMPRESSED_SUFFIX, files_below

if TYPE_CHECKING:
    import os

FOLDERS = ("sessions", "archived_sessions")
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NAME = re.compile(
    rf"rollout-(?P<key>\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d-(?P<thread>{_UUID})(?P<segment>_{_UUID})?)"
)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout file. `thread_id` is "" where its name does not tell, as with other programs'.

    `file_key` stays the same when the file is archived or compressed: it is the name (time, thread
    and segment) where that holds UUIDs, else the path below the root.
    """

    path: Path
    file_key: str
    thread_id: str = ""
    is_segment: bool = False


def discover(root: Path) -> list[Rollout]:
    """Return the rollouts below Codex's directory `root`, one per file key, sorted by key.

    Of two files with one key the plain one counts before the compressed, then the live one before
    the archived. Folders that are missing or closed to us hold nothing.
    """
    found: dict[str, Rollout] = {}
    endings = (".jsonl", ".jsonl" + COMPRESSED_SUFFIX)
    entries = [entry for folder in FOLDERS for entry in files_below(str(root / folder), endings)]
    for entry in sorted(entries, key=lambda entry: entry.name.endswith(COMPRESSED_SUFFIX)):
        rollout = _named(entry, root)
        found.setdefault(rollout.file_key, rollout)
    return [found[key] for key in sorted(found)]


def _named(entry: os.DirEntry[str], root: Path) -> Rollout:
    plain_name = entry.name.removesuffix(COMPRESSED_SUFFIX)
    path = Path(entry.path)
    match = _NAME.fullmatch(plain_name.removesuffix(".jsonl"))
    if match is None:
        return Rollout(path, path.relative_to(root).with_name(plain_name).as_posix())
    key, thread, segment = match.groups()
    return Rollout(path, key, thread, segment is not None)
