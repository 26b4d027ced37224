"""A word of patience on a terminal when something takes longer than a person expects."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_cli.render.output import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 1.0


@contextmanager
def patience(text: str) -> Iterator[None]:
    """Show `text` on stderr after a second, gone again at the end; nothing where nobody watches.

    An alarm reminds us, no thread: with one beside it, this process could not fork readers.
    """
    if not is_terminal() or not hasattr(signal, "setitimer"):
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
            _write("\r\x1b[K")


@contextmanager
def counting(text: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on stderr while something is counted; nothing where nobody watches.

    Lends what is to be told: of what, how many are done, how many there are.
    """
    if not is_terminal():
        yield lambda _what, _done, _all: None
        return
    from rich.console import Console  # noqa: PLC0415 - rich: 60 ms
    from rich.progress import (  # noqa: PLC0415 - same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text)
        yield lambda what, done, of: bar.update(
            task, description=f"{text} {what}", completed=done, total=of
        )


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
