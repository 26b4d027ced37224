"""A word of patience on a terminal when something takes longer than a person expects."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_cli.render.output import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
