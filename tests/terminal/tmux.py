"""A terminal of a known size, in tmux: a shell runs in it, keys are typed, and its cells are read."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PATIENCE_S = 20
PROMPT = "[$?]$ "
_PROMPT = re.compile(r"\[(\d+)\]\$")
# The line that tmux keeps for itself would be one of ours; a pane that ended is still read.
_SETTINGS = """
set -g status off
set -g history-limit 5000
set -g default-terminal tmux-256color
set -g escape-time 0
set -g remain-on-exit on
"""


@dataclass(frozen=True, slots=True)
class Size:
    columns: int
    lines: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.lines}"


@dataclass(frozen=True, slots=True)
class Terminal:
    """One pane, as large as the whole terminal."""

    socket: Path
    size: Size

    def open_shell(self, environ: Mapping[str, str], folder: Path) -> None:
        """Begin with an empty screen and a new shell that sees this environment and no other."""
        variables = [f"{name}={value}" for name, value in {**environ, "PS1": PROMPT}.items()]
        shell = ["env", "-i", *variables, "TERM=tmux-256color", "sh", "-i"]
        self._tmux("respawn-pane", "-k", "-c", str(folder), *shell)
        self._tmux("clear-history")
        self.waits(lambda: self.ended() is not None)

    def types(self, text: str) -> None:
        """Type a line, and Enter."""
        self._tmux("send-keys", "-l", text)
        self.presses("Enter")

    def presses(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resizes(self, size: Size) -> None:
        self._tmux("resize-window", "-x", str(size.columns), "-y", str(size.lines))

    def runs(self, command: str) -> list[str]:
        """Type a command, wait for its end, and return the lines that it left on the terminal."""
        self.types(command)
        self.waits(lambda: self._typed(command) >= 0 and self.ended() is not None)
        return self.lines()[self._typed(command) + 1 : -1]

    def ended(self) -> int | None:
        """Return the exit code that the prompt tells; None while the shell does not wait for us."""
        found = _PROMPT.fullmatch(self.lines()[-1])
        return int(found[1]) if found else None

    def lines(self) -> list[str]:
        """Return what was written, with what has scrolled away; a line that was wrapped is one."""
        return self._captured("-J", "-S", "-")

    def screen(self) -> list[str]:
        """Return the lines that are on the screen now."""
        return self._captured()

    def painted(self) -> list[str]:
        """Return what was written, with its colours."""
        return self._captured("-e", "-J", "-S", "-")

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.screen())

    def waits_for(self, text: str) -> None:
        self.waits(lambda: self.shows(text))

    def waits(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until, "\n".join(self.screen())
            time.sleep(0.03)

    def tells(self, name: str) -> str:
        """Return what tmux knows of the terminal by this name: `alternate_on`, `cursor_flag`."""
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def _typed(self, command: str) -> int:
        """Return the place of the line in which a command was typed last, -1 where it was not."""
        places = [at for at, line in enumerate(self.lines()) if line.endswith(f"$ {command}")]
        return max(places, default=-1)

    def _captured(self, *how: str) -> list[str]:
        text = self._tmux("capture-pane", "-p", *how)
        lines = [line.rstrip() for line in text.split("\n")]
        while len(lines) > 1 and not lines[-1]:
            del lines[-1]
        return lines

    def _tmux(self, *arguments: str) -> str:
        return told(self.socket, *arguments)


def told(socket: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["tmux", "-u", "-S", str(socket), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


@contextmanager
def opened(folder: Path, size: Size) -> Iterator[Terminal]:
    """Open a terminal of this size, on a tmux that nobody else sees."""
    settings, socket = folder / "tmux.conf", folder / f"tmux-{size}"
    settings.write_text(_SETTINGS, encoding="ascii")
    shape = ("-x", str(size.columns), "-y", str(size.lines))
    told(socket, "-f", str(settings), "new-session", "-d", *shape, "sleep", "infinity")
    try:
        yield Terminal(socket, size)
    finally:
        told(socket, "kill-server")
