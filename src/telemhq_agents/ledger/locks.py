"""Locks between our own processes: a file each, freed by the system when its holder dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from telemhq_agents import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_S = 0.02


@contextmanager
def held(path: Path, wait_s: float) -> Iterator[bool]:
    """Hold the lock `path` while inside; yield whether it was got within `wait_s` seconds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _lock(file, wait_s)
    finally:
        os.close(file)


def _lock(file: int, wait_s: float) -> bool:
    until = clock.monotonic_ns() + int(wait_s * 1e9)
    pause = Event()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic_ns() >= until:
                return False
            pause.wait(POLL_S)
        else:
            return True
