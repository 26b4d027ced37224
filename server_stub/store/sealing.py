"""Making SQLite's commits durable beside the writer.

The writer's commits reach the WAL file without waiting for the disk (synchronous=NORMAL); a thread
waits for it, once for all that was committed meanwhile, while the writer books what came next. Who
asked is told only then, so that a 200 means what it does with synchronous=FULL.

Another thread copies from the WAL into the database's file what is there by now. Left to the
writer, that would stop it for a tenth of a second at a time where there are millions of runs.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    Tell = Callable[[Exception | None], None]

sync = getattr(os, "fdatasync", os.fsync)
LOG = logging.getLogger("telemhq.server")
WHOLE_WAL = 32_000
"""Pages at which the writer itself copies what little is left, and begins the WAL anew."""

LONG_WAL = 24_000
"""Pages from which on copying goes on without a pause."""

COPY_SECONDS = 0.1
TROUBLED_SECONDS = 1.0
ATTACHED = ("synchronous=NORMAL", f"wal_autocheckpoint={WHOLE_WAL}")


class Seal(msgspec.Struct, frozen=True):
    """Something committed to the WAL file behind `descriptor`, and who is to be told."""

    descriptor: int
    tell: Tell


class Sealer:
    """Waits for the disk, and tells when what was committed is on it."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._copier = Copier(path)
        self._queue: SimpleQueue[Seal | int | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="telemhq-sealer", daemon=True)
        self._descriptor: int | None = None

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        self._copier.start()

    def stop(self) -> None:
        """Seal what is in the queue and end the threads."""
        self._copier.stop()
        self.detach()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def attach(self, connection: Connection) -> None:
        """Relieve the writer's connection of waiting for the disk."""
        for pragma in ATTACHED:
            connection.connection.cursor().execute(f"PRAGMA {pragma}")

    def detach(self) -> None:
        """Forget the WAL file: with the last connection SQLite removes it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._queue.put(descriptor)

    def seal(self, tell: Tell) -> None:
        """Call `tell` from another thread once all that is committed by now is on the disk.

        With an error where that is not certain.
        """
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._wal, os.O_RDWR)
        except OSError as error:
            tell(error)
        else:
            self._queue.put(Seal(self._descriptor, tell))
            self._copier.call()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            waiting, more = self._gather(first)
            seals = [one for one in waiting if isinstance(one, Seal)]
            errors = {each: _synced(each) for each in {one.descriptor for one in seals}}
            for one in seals:
                one.tell(errors[one.descriptor])
            for descriptor in waiting:
                if isinstance(descriptor, int):
                    os.close(descriptor)
            if not more:
                break

    def _gather(self, first: Seal | int) -> tuple[list[Seal | int], bool]:
        """Take what waits; False when the end of the queue was met."""
        waiting = [first]
        with suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if item is None:
                    return waiting, False
                waiting.append(item)
        return waiting, True


def _synced(descriptor: int) -> Exception | None:
    try:
        sync(descriptor)
    except OSError as error:
        return error
    return None


class Copier:
    """Copies from the WAL into the database's file while others write, never in their way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemhq-copier", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._called.set()
        if self._thread.is_alive():
            self._thread.join()

    def call(self) -> None:
        """Say that there is something to copy."""
        if not self._called.is_set():
            self._called.set()

    def _run(self) -> None:
        while self._called.wait() and not self._stopping.is_set():
            try:
                with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                    self._copy(connection)
            except sqlite3.Error as error:
                # The writer meets the same, and it is the one to be answered for.
                LOG.debug("the WAL could not be copied: %s", error)
                self._stopping.wait(TROUBLED_SECONDS)

    def _copy(self, connection: sqlite3.Connection) -> None:
        while self._called.wait() and not self._stopping.is_set():
            self._called.clear()
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages <= LONG_WAL:
                self._stopping.wait(COPY_SECONDS)
