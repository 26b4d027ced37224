"""What changed below a few folders, found by looking: no watches, no open files.

Logs lie there by the ten thousand and hardly any of them changes. So a look at everything is for
once in a while; in between, a look at what changed lately and at the folders around it costs next
to nothing.
"""

from __future__ import annotations

import heapq
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    _Change = tuple[int, str]
    """When a file was written, in nanoseconds, and its path."""

WATCHED_SUFFIXES = (".jsonl", ".zst", ".json")
"""Logs, packed logs, spool entries. Anything else that lies there is none of our business."""
RECENT_FILES, RECENT_FOLDERS = 64, 64


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to watch, with everything below it where `deep`."""

    path: Path
    deep: bool = True


class Sweep:
    """Remembers how the files in some folders looked, and finds those that look different."""

    def __init__(self) -> None:
        self._tops: dict[str, bool] = {}
        self._files: dict[str, set[int]] = {}
        self._folders: dict[str, int] = {}
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._recent_folders: OrderedDict[str, None] = OrderedDict()

    @property
    def folder_count(self) -> int:
        """How many folders there were at the last look."""
        return len(self._folders)

    def begin(self, folders: Iterable[Folder]) -> None:
        """Remember how everything looks now; what was written to last counts as recent."""
        self._tops = {os.path.realpath(folder.path): folder.deep for folder in folders}
        every = (one for top in self._tops for one in self._walk(top, {}))
        self._noted(heapq.nlargest(RECENT_FILES, every))

    def everything(self, folders: Iterable[Folder]) -> set[Path]:
        """Look at every file; return those that are new or changed since the last look.

        A file that is gone is no change, a folder that is missing or closed to us holds nothing.
        """
        self._tops = {os.path.realpath(folder.path): folder.deep for folder in folders}
        known, self._folders = self._folders, {}
        changed = [one for top in self._tops for one in self._walk(top, {})]
        for gone in known.keys() - self._folders.keys():
            self._files.pop(gone, None)
            self._recent_folders.pop(gone, None)
        return self._noted(changed)

    def recent(self) -> set[Path]:
        """Look at what changed lately, and for new files in the folders around it."""
        changed = [one for path in list(self._recent) if (one := self._look_at(path))]
        for folder in [*self._tops, *self._recent_folders]:
            if self._folders.get(folder) != _stamp(folder):
                changed += self._walk(folder, dict(self._folders))
        return self._noted(changed)

    def _walk(self, top: str, known: Container[str]) -> Iterator[_Change]:
        """Look at a folder and, where it is deep, at those below it that are not `known`."""
        deep = self._tops.get(top, True)
        waiting = [top]
        while waiting:
            changed, below = self._look_into(waiting.pop())
            yield from changed
            waiting += [folder for folder in below if deep and folder not in known]

    def _look_into(self, folder: str) -> tuple[list[_Change], list[str]]:
        stamp = _stamp(folder)
        if stamp is None:
            self._folders.pop(folder, None)
            self._files.pop(folder, None)
            return [], []
        before = self._files.get(folder, set())
        files, below = _listed(folder)
        self._folders[folder] = stamp
        self._files[folder] = {looks for _, looks, _ in files}
        changed = [
            (at_ns, f"{folder}/{name}") for name, looks, at_ns in files if looks not in before
        ]
        return changed, below

    def _look_at(self, path: str) -> _Change | None:
        folder, name = os.path.split(path)
        files = self._files.setdefault(folder, set())
        try:
            status = os.stat(path)  # noqa: PTH116 - texts, of which there are ten thousand
        except OSError:
            return None
        looks = _digest(status, name)
        if looks in files:
            return None
        files.add(looks)
        return status.st_mtime_ns, path

    def _noted(self, changed: list[_Change]) -> set[Path]:
        """Remember changes: the files, their folders, and those above, where the next may come."""
        for _, path in sorted(changed)[-RECENT_FILES:]:
            _keep_last(self._recent, path, RECENT_FILES)
            folder = os.path.dirname(path)  # noqa: PTH120 - same
            while folder in self._folders and folder not in self._tops:
                _keep_last(self._recent_folders, folder, RECENT_FOLDERS)
                folder = os.path.dirname(folder)  # noqa: PTH120 - same
        return {Path(path) for _, path in changed}


def _keep_last(kept: OrderedDict[str, None], path: str, most: int) -> None:
    kept[path] = None
    kept.move_to_end(path)
    if len(kept) > most:
        kept.popitem(last=False)


def _listed(folder: str) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return the files of a folder (name, how it looks, when it was written) and its folders."""
    files: list[tuple[str, int, int]] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.endswith(WATCHED_SUFFIXES) and (status := _status(entry)):
                    files.append((entry.name, _digest(status, entry.name), status.st_mtime_ns))
    except OSError:
        return files, folders
    return files, folders


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _stamp(path: str) -> int | None:
    try:
        return _digest(os.stat(path))  # noqa: PTH116 - same
    except OSError:
        return None


def _digest(status: os.stat_result, name: str = "") -> int:
    """Return a number in place of a name and what would tell a change: a tenth of their memory."""
    return hash((name, status.st_ino, status.st_size, status.st_mtime_ns))
