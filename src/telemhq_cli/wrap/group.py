"""Whether a signal went to the whole process group: a canary in the group gets what the group gets.

The kernel does not tell. So a process that does nothing sits in our group with these signals
blocked: where one of them waits for it too, the job in the same group has had it, and is not sent
it once more. Linux alone shows what waits for a process; elsewhere the job hears it twice.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from telemhq_cli.wrap import child
from telemhq_cli.wrap.leftovers import inherited

A_KILL_OF_MANY_TAKES_S = 0.02
"""Seconds. Who signals processes one by one, as systemd does a unit's, may come to us first."""


class Canary:
    """A process that ends with us, whichever way we end: it reads from a pipe that we hold."""

    def __init__(self) -> None:
        self._pid = self._pipe = 0
        if os.path.exists("/proc/self/status"):  # noqa: PTH110 - no Path for one question
            with suppress(
                OSError
            ):  # no `cat` there: whether a signal went to the group is not known
                self._spawn()

    def has_heard(self, number: int) -> bool:
        """Tell whether a signal that we got waits for the canary, too. Then there is a new one."""
        if not self._pid:
            return False
        if not self._waits(number):
            time.sleep(A_KILL_OF_MANY_TAKES_S)
            if not self._waits(number):
                return False
        self._replace()
        return True

    def _waits(self, number: int) -> bool:
        try:
            with open(f"/proc/{self._pid}/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - same
                pending = [line.split()[1] for line in status if line.startswith("ShdPnd:")]
        except OSError:
            return False
        return bool(pending and int(pending[0], 16) >> (number - 1) & 1)

    def _replace(self) -> None:
        pid, pipe, self._pid = self._pid, self._pipe, 0
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(pipe)
            self._spawn()

    def _spawn(self) -> None:
        read, write = os.pipe()
        actions = [
            *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)),
            (os.POSIX_SPAWN_DUP2, read, 0),
            # What somebody opened for us is held no longer than by ourselves.
            *((os.POSIX_SPAWN_CLOSE, number) for number in inherited()),
        ]
        try:
            self._pid = os.posix_spawnp(
                "cat", ["cat"], os.environ, file_actions=actions, setsigmask=child.FORWARDED
            )
            self._pipe = write
        finally:
            os.close(read)
            if not self._pid:
                os.close(write)
