"""A word of patience on a terminal when something takes longer than a person expects."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_cli.render.output import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 1.0


@contextmanager
def patience(text: str) -> Iterator[None]:
    """Show `text` on stderr after a second, gone again at the end; nothing where nobody watches."""
    if not is_terminal():
        yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(text, over), daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(text: str, over: threading.Event) -> None:
    if over.wait(PATIENCE_S):
        return
    sys.stderr.write(text)
    sys.stderr.flush()
    over.wait()
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()
