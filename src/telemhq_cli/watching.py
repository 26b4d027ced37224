"""Noticing which logs and spool entries change; where the system has no watches left, by looking."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from watchdog.events import (
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from telemhq_agents import clock
from telemhq_cli.sweep import WATCHED_SUFFIXES, Folder, Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watchdog.observers.api import BaseObserver, ObservedWatch

LOOK_S = 0.4
"""How often a folder is looked for that is not there yet and, without notifications, what changed
lately is looked at."""
POLLING_LOOK_S = 30.0
SECOND_LOOK_S = 300.0
"""How often everything is looked at: without notifications, and with them, in case one got lost."""
_FD_INFO = "/proc/self/fdinfo"
# Opening and closing are left out: our own reading must not wake us.
_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent]


class Notifying(Protocol):
    """Who tells of changes by itself. What it cannot watch, it says as OSError."""

    def follow(self, folders: Iterable[Folder]) -> bool:
        """Watch those of the folders that are there by now, or anew; tell whether any is new."""

    def is_short(self, folders: int) -> bool:
        """Tell whether fewer than so many folders are watched."""

    def stop(self) -> None:
        """End all watching."""


class Changes:
    """The files that changed since somebody took them, and whether anything else may have."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._paths: set[Path] = set()

    def note(self, paths: Iterable[Path]) -> None:
        """Add files; who waits is woken."""
        with self._lock:
            self._paths.update(paths)
            if self._paths:
                self._something.set()

    def wake(self) -> None:
        """Wake who waits, without a change."""
        self._something.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a change or to be woken."""
        return self._something.wait(max(seconds, 0))

    def take(self) -> set[Path]:
        """Return what changed, and begin anew."""
        with self._lock:
            self._something.clear()
            paths, self._paths = self._paths, set()
        return paths


class Watch:
    """Notes in `changes` what happens in the folders that it follows.

    `why_polling` is "" while the system notifies us, else what keeps it from it.
    """

    def __init__(
        self, changes: Changes, notifying: Callable[[Changes], Notifying] | None = None
    ) -> None:
        self.why_polling = ""
        self._changes = changes
        self._sweep = Sweep()
        self._folders: tuple[Folder, ...] = ()
        self._looked_ns = 0
        self._was_short = False
        self._was_missing = False
        self._notified: Notifying | None = None
        try:
            self._notified = (notifying or Notifications)(changes)
        except OSError as error:
            self._poll(error)

    @property
    def is_polling(self) -> bool:
        """Whether the system does not tell us of changes."""
        return self._notified is None

    def follow(self, folders: Sequence[Folder]) -> None:
        """Follow these folders from now on, those too that are not there yet.

        What lies there already is no change.
        """
        if self._folders == tuple(folders):
            return
        self._folders = tuple(folders)
        self._follow()
        self._sweep = Sweep()
        self._sweep.begin(self._folders)
        self._looked_ns = clock.monotonic_ns()
        self._check()

    def wait(self, seconds: float) -> None:
        """Wait until something changed, for so many seconds at most."""
        until = clock.monotonic_ns() + int(seconds * 1e9)
        while (left := (until - clock.monotonic_ns()) / 1e9) > 0:
            if self._changes.wait(min(left, self._pause_s())):
                return
            self._look()

    def stop(self) -> None:
        """End all watching."""
        if self._notified is not None:
            self._notified.stop()

    def _pause_s(self) -> float:
        is_whole = not (self._was_short or self._was_missing) and self._are_there()
        return SECOND_LOOK_S if is_whole and not self.is_polling else LOOK_S

    def _are_there(self) -> bool:
        return all(folder.path.is_dir() for folder in self._folders)

    def _look(self) -> None:
        """Look for ourselves, at all there is or at what changed lately."""
        between = POLLING_LOOK_S if self.is_polling else SECOND_LOOK_S
        is_new = self._follow()
        if is_new or self._was_short or clock.monotonic_ns() - self._looked_ns >= between * 1e9:
            self._changes.note(self._look_at_everything())
            self._check()
        elif self.is_polling:
            self._changes.note(self._sweep.recent())

    def _look_at_everything(self) -> set[Path]:
        self._looked_ns = clock.monotonic_ns()
        return self._sweep.everything(self._folders)

    def _follow(self) -> bool:
        if self._notified is None:
            return False
        self._was_missing = not self._are_there()
        try:
            return self._notified.follow(self._folders)
        except OSError as error:
            self._poll(error)
            return True

    def _check(self) -> None:
        """Poll when some folder stayed without a watch, which nobody reports.

        One that was made this very moment has none yet: then the next look tells.
        """
        if self._notified is None:
            return
        is_short = self._notified.is_short(self._sweep.folder_count)
        if is_short and self._was_short:
            self._poll(OSError("fewer watches are left than there are folders"))
        self._was_short = is_short

    def _poll(self, error: OSError) -> None:
        self.why_polling = error.strerror or str(error)
        if self._notified is not None:
            self._notified.stop()
            self._notified = None


class _Followed(NamedTuple):
    inode: int
    watch: ObservedWatch


class Notifications:
    """The system's own notifications: inotify, FSEvents, ReadDirectoryChangesW."""

    def __init__(self, changes: Changes) -> None:
        self._handler = _Noting(changes)
        self._followed: dict[Folder, _Followed] = {}
        self._observer: BaseObserver = Observer()
        self._observer.start()

    def follow(self, folders: Iterable[Folder]) -> bool:
        """Watch those of the folders that are there by now, or anew; tell whether any is new."""
        followed = [self._follow(folder) for folder in folders if folder.path.is_dir()]
        return any(followed)

    def is_short(self, folders: int) -> bool:
        """Tell whether fewer than so many folders are watched; where nobody can tell, no."""
        watches = _inotify_watches()
        return watches is not None and watches < folders

    def stop(self) -> None:
        """End all watching."""
        self._observer.stop()
        self._observer.join()

    def _follow(self, folder: Folder) -> bool:
        try:
            inode = folder.path.stat().st_ino
            known = self._followed.get(folder)
            if known is not None:
                if known.inode == inode and self._is_alive(known.watch):
                    return False
                del self._followed[folder]
                self._observer.unschedule(known.watch)
            # A link itself would be watched, not where it leads.
            place = os.path.realpath(folder.path)
            watch = self._observer.schedule(
                self._handler, place, recursive=folder.deep, event_filter=_EVENTS
            )
        except (FileNotFoundError, KeyError):  # it went away meanwhile, or its watch with it
            return False
        self._followed[folder] = _Followed(inode, watch)
        return True

    def _is_alive(self, watch: ObservedWatch) -> bool:
        return any(one.watch == watch and one.is_alive() for one in self._observer.emitters)


def _inotify_watches() -> int | None:
    """Count this process's inotify watches (proc(5)); None where the system doesn't tell."""
    count = 0
    try:
        for name in os.listdir(_FD_INFO):  # noqa: PTH208 - a text each
            with suppress(FileNotFoundError):
                count += Path(_FD_INFO, name).read_bytes().count(b"inotify wd:")
    except OSError:
        return None
    return count


class _Noting(FileSystemEventHandler):
    def __init__(self, changes: Changes) -> None:
        self.changes = changes

    def on_any_event(self, event: FileSystemEvent) -> None:
        place = os.fsdecode(event.dest_path or event.src_path)
        if place.endswith(WATCHED_SUFFIXES):
            self.changes.note([Path(place)])
