"""A terminal that types: bash with a controlling terminal for what it asks, output kept as a pipe's."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE_S = 60.0
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--noprofile", "--norc", "-c", sys.argv[1]])
"""
_SHELL = """
while IFS= read -r -d '' -u {commands} typed; do
  eval "$typed" {commands}<&- {codes}>&-
  printf '%d\\n' "$?" >&{codes}
done
"""


class TypingTerminal:
    """One window. What is typed keeps its directory and its variables for what is typed next."""

    def __init__(self, log: Path, directory: Path, environ: Mapping[str, str]) -> None:
        self._log = log
        self._read_to = 0
        self._keyboard, terminal = pty.openpty()
        commands, self._commands = os.pipe()
        self._codes, codes = os.pipe()
        shell = _SHELL.format(commands=commands, codes=codes)
        with log.open("wb") as output:
            self._bash = subprocess.Popen(
                [sys.executable, "-c", _TAKE_TERMINAL, shell],
                cwd=directory,
                env=dict(environ),
                stdin=terminal,
                stdout=output,
                stderr=output,
                pass_fds=(commands, codes),
            )
        for ours in (terminal, commands, codes):
            os.close(ours)

    def type(self, command: str, answer: str | None = None) -> int:
        """Type a command, and `answer` where it asks; return its exit code."""
        self.begin(command)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self._codes, self._keyboard], [], [], 1)
            if self._keyboard in ready:
                asked = os.read(self._keyboard, 4096)
                if answer is not None and asked.rstrip(b" ").endswith(b":"):
                    os.write(self._keyboard, answer.encode() + b"\n")
                    answer = None
            if self._codes in ready:
                return int(os.read(self._codes, 64))
        raise TimeoutError(f"{command} did not end:\n{self.output()}")

    def begin(self, command: str) -> None:
        """Type a command and wait for nothing."""
        self._read_to = self._log.stat().st_size
        os.write(self._commands, command.encode() + b"\0")

    def output(self) -> str:
        """Return what was written since the last command was typed."""
        return self._log.read_bytes()[self._read_to :].decode()

    def close(self) -> None:
        """End what goes on, as Ctrl-C does, and the shell."""
        os.close(self._commands)
        if self._bash.poll() is None:
            os.write(self._keyboard, b"\x03")
        try:
            self._bash.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait()
            raise
        finally:
            os.close(self._keyboard)
            os.close(self._codes)
