"""Patience on a terminal where something takes longer than a person expects: a word, or a bar.

On stderr, after a second, and gone at the end; nothing in a pipe, and nothing with `--json`.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_cli.render import envelope
from telemhq_cli.render.output import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    Told = Callable[[str, int, int], None]
    """Is told of what, how many are done, and how many there are (0: nobody knows)."""

PATIENCE_S = 1.0
BETWEEN_S = 0.1
"""A bar that moves more often than that only costs time."""

_GONE = "\r\x1b[K"


@contextmanager
def patience(text: str) -> Iterator[None]:
    """Show `text` on stderr after a second, gone again at the end; nothing where nobody watches.

    An alarm reminds us, no thread: with one beside it, this process could not fork readers.
    """
    if not is_watched() or not hasattr(signal, "setitimer"):
        yield
        return
    said: list[str] = []

    def tell(_number: int, _frame: object) -> None:
        said.append(text)
        _write(text)

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if said:
            _write(_GONE)


@contextmanager
def counting(text: str) -> Iterator[Told]:
    """Show a bar on stderr once something that is counted takes longer than a second.

    Lends what is to be told of the count. Whoever forks readers may do so: the bar has no thread.
    """
    if not is_watched():
        yield _unheard
        return
    bar = _Bar(text)
    with patience(f"{text} …"):
        try:
            yield bar.tell
        finally:
            bar.end()


def is_watched() -> bool:
    """Tell whether a person watches stderr, and asked for no JSON."""
    return is_terminal() and not envelope.is_wanted()


def _unheard(_what: str, _done: int, _of: int) -> None:
    """Let a count go by that nobody watches."""


class _Bar:
    """Comes when the first second is over, and moves as it is told."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._due_ns = clock.monotonic_ns() + int(PATIENCE_S * 1e9)
        self._shown: Progress | None = None

    def tell(self, what: str, done: int, of: int) -> None:
        now_ns = clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + int(BETWEEN_S * 1e9)
        if self._shown is None:
            self._shown = _begun()
        figure = f"{done:,} of {of:,}" if of else f"{done:,}"
        (task,) = self._shown.task_ids
        text = f"{self._text} {what}".rstrip()
        self._shown.update(task, description=text, completed=done, total=of or None, figure=figure)
        self._shown.refresh()

    def end(self) -> None:
        if self._shown is not None:
            self._shown.stop()


def _begun() -> Progress:
    from rich.console import Console  # noqa: PLC0415 - rich: 60 ms, and only for who waits anyway
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - same

    _write(_GONE)
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figure]}"),
        console=Console(stderr=True, force_terminal=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.add_task("", figure="")
    shown.start()
    return shown


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
