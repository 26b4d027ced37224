"""Waking up when a log or the spool changes; where the system has no watches left, by polling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from watchdog.observers.api import BaseObserver, ObservedWatch

POLLING_INTERVAL_S = 5.0
WATCHED_SUFFIXES = (".jsonl", ".zst", ".json")
"""Logs, packed logs, spool entries. Anything else that lies there is none of our business."""
# Opening and closing are left out: our own reading must not wake us.
_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to watch, with everything below it where `deep`."""

    path: Path
    deep: bool = True


class Watch:
    """Sets `changed` whenever something happens in the folders that it follows."""

    def __init__(self, changed: threading.Event) -> None:
        self._handler = _Waker(changed)
        self._followed: dict[Folder, tuple[int, ObservedWatch]] = {}
        self._observer: BaseObserver = Observer()
        self.is_polling = False
        try:
            self._observer.start()
        except OSError:
            self._poll_instead()

    def follow(self, folders: Iterable[Folder]) -> None:
        """Watch those of the folders that are there by now, and those that were made anew."""
        for folder in folders:
            try:
                self._follow(folder)
            except FileNotFoundError:
                continue
            except OSError:  # no inotify instance or watch is left on this machine
                self._poll_instead()
                self._follow(folder)

    def stop(self) -> None:
        """End all watching."""
        self._observer.stop()
        self._observer.join()

    def _follow(self, folder: Folder) -> None:
        if not folder.path.is_dir():
            return
        inode = folder.path.stat().st_ino
        known = self._followed.get(folder)
        if known is not None and known[0] == inode:
            return
        if known is not None:
            self._observer.unschedule(known[1])
        watch = self._observer.schedule(
            self._handler, str(folder.path), recursive=folder.deep, event_filter=_EVENTS
        )
        self._followed[folder] = (inode, watch)

    def _poll_instead(self) -> None:
        if self.is_polling:
            return
        self.is_polling = True
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
        self._observer = PollingObserver(timeout=POLLING_INTERVAL_S)
        self._observer.start()
        before, self._followed = list(self._followed), {}
        for folder in before:
            self._follow(folder)


class _Waker(FileSystemEventHandler):
    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        place = event.dest_path or event.src_path
        if str(place).endswith(WATCHED_SUFFIXES):
            self._changed.set()
