"""A terminal for tests: a program runs in it, keys are typed, and what it wrote is kept."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ALTERNATE, NORMAL = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
PATIENCE_S = 30

# The terminal of its session: Ctrl-C reaches the program as from a keyboard.
_OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """A pseudo-terminal with a program in it."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, inside: int) -> None:
        self.process, self.written = process, b""
        self._terminal, self._inside = terminal, inside
        self.modes_before = self.modes()

    def modes(self) -> object:
        """Return how the terminal takes keys: flags, speeds and control characters."""
        return termios.tcgetattr(self._inside)

    def type(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, wanted: bytes) -> bytes:
        """Read until something was written that is not read yet; return all up to there."""
        until = time.monotonic() + PATIENCE_S
        before = len(self.written)
        while wanted not in self.written[before:]:
            assert time.monotonic() < until, self.written[before:]
            if not self._read(0.1) and self.process.poll() is not None:
                assert wanted in self.written[before:], self.written[before:]
        return self.written[before:]

    def hang_up(self) -> int:
        """Close the terminal's window, and return the code that the program ends with."""
        self.close()
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Close both ends of the terminal."""
        for end in (self._inside, self._terminal):
            if end >= 0:
                os.close(end)
        self._inside = self._terminal = -1

    def end(self) -> int:
        """Wait for the program's end, reading what it writes; return its code."""
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < until, self.written
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            block = os.read(self._terminal, 1 << 16)
        except OSError:
            return False
        self.written += block
        return bool(block)


@contextmanager
def on_screen(
    command: Sequence[str], environ: Mapping[str, str], columns: int = 80, lines: int = 24
) -> Iterator[Screen]:
    """Run a program in a terminal of this size; it is over in the end."""
    terminal, inside = os.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _OWN_TERMINAL, *command],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        env={**environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
    )
    screen = Screen(process, terminal, inside)
    try:
        yield screen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        screen.close()
