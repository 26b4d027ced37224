"""A terminal lent as a whole: another screen, redrawn in place, given back as it was.

However it ends, by a key, Ctrl-C, a signal or an error: the first screen, the cursor and the way the
terminal takes keys are as they were before.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from telemhq_cli.render import screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from rich.text import Text

SIGNALLED = 128
"""A program that a signal ends answers this and the signal's number."""

_MOST_KEYS = 64
_A_KEY = re.compile(rb"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)
"""One key, as a terminal sends it: what no letter stands for begins with an escape."""

_WINDOW, _SUSPEND = b"w", b"z"


class Key(StrEnum):
    """What a person, or the window, wants of a view."""

    NONE = "none"
    QUIT = "quit"
    SUSPEND = "suspend"
    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"


_KEYS = {
    b"q": Key.QUIT,
    b"Q": Key.QUIT,
    b"\x04": Key.QUIT,
    b"k": Key.UP,
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"j": Key.DOWN,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"\x1b[5~": Key.PAGE_UP,
    b"b": Key.PAGE_UP,
    b"\x1b[6~": Key.PAGE_DOWN,
    b" ": Key.PAGE_DOWN,
    b"g": Key.HOME,
    b"\x1b[H": Key.HOME,
    b"\x1b[1~": Key.HOME,
    b"G": Key.END,
    b"\x1b[F": Key.END,
    b"\x1b[4~": Key.END,
}


def keys_of(typed: bytes) -> list[Key]:
    """Return what was typed, key by key, without what means nothing here. Pure."""
    return [_KEYS[one] for one in _A_KEY.findall(typed) if one in _KEYS]


def is_possible() -> bool:
    """Tell whether there is a terminal that can be drawn on in place."""
    return screen.is_terminal() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def show_once(lines: Sequence[Text]) -> None:
    """Print a frame and be done: in colour on a terminal, plain anywhere else."""
    console = Console(highlight=False, no_color=not screen.has_colour())
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


class Lent:
    """The terminal while it is ours: `keys` is what is typed on, None where nobody can."""

    def __init__(self, console: Console, wakes: int, keys: int | None) -> None:
        self._console, self._wakes, self._keys = console, wakes, keys
        self._typing = None if keys is None else termios.tcgetattr(keys)
        self._typed: list[Key] = []
        self._live = Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and lines there are by now; no more columns than were asked for."""
        width, height = self._console.size
        return min(width, screen.width()) if screen.width_was_asked() else width, height

    def begin(self) -> None:
        """Turn to the other screen, without a cursor, and take keys one by one, unseen.

        Ctrl-C stays what it is.
        """
        if self._keys is not None:
            tty.setcbreak(self._keys)
        self._live.start()

    def end(self) -> None:
        """Give everything back; a terminal that has gone wants nothing."""
        with suppress(OSError):
            self._live.stop()
        if self._keys is not None and self._typing is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._keys, termios.TCSAFLUSH, self._typing)

    def draw(self, lines: Sequence[Text]) -> None:
        """Draw a frame over the last one, in one go; what is too wide is cut."""
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        self._live.update(Group(*lines), refresh=True)

    def wait(self, seconds: float) -> Key:
        """Wait for a key or another size of the window, for so many seconds at most."""
        if self._typed:
            return self._typed.pop(0)
        heard = [self._wakes, *([] if self._keys is None else [self._keys])]
        ready, _, _ = select.select(heard, [], [], max(seconds, 0))
        if self._wakes in ready:
            return Key.SUSPEND if _SUSPEND in os.read(self._wakes, _MOST_KEYS) else Key.NONE
        if not ready or self._keys is None:
            return Key.NONE
        typed = os.read(self._keys, _MOST_KEYS)
        if not typed:  # nobody types any more
            self._keys = None
        self._typed = keys_of(typed)
        return self._typed.pop(0) if self._typed else Key.NONE

    def suspend(self) -> None:
        """Stop as Ctrl-Z does, the terminal given back, until somebody lets us go on."""
        self.end()
        hears = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, hears)
        self.begin()


@contextmanager
def lent() -> Iterator[Lent]:
    """Lend the terminal; a SIGTERM or SIGHUP gives it back too, and then ends the program."""
    for fixed in ("COLUMNS", "LINES"):  # what is drawn in place follows the window, not these
        os.environ.pop(fixed, None)
    wakes, waking = os.pipe()
    os.set_blocking(waking, False)
    keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    console = Console(highlight=False, no_color=not screen.has_colour())
    try:
        with _signals(waking):
            given = Lent(console, wakes, keys)
            try:
                given.begin()
                yield given
            finally:
                given.end()
    finally:
        os.close(wakes)
        os.close(waking)


@contextmanager
def _signals(waking: int) -> Iterator[None]:
    def wake(number: int, _frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            os.write(waking, _SUSPEND if number == signal.SIGTSTP else _WINDOW)

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(SIGNALLED + number)

    heard: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
        signal.SIGWINCH: wake,
        signal.SIGTSTP: wake,
        signal.SIGTERM: end,
        signal.SIGHUP: end,
    }
    before = {number: signal.signal(number, hears) for number, hears in heard.items()}
    try:
        yield
    finally:
        for number, heard_before in before.items():
            signal.signal(number, heard_before)
