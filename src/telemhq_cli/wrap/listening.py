"""What a job says, heard in passing: its last line, and the end of its output."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from telemhq_cli.wrap.stream import LastLine, Tee
from telemhq_cli.wrap.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemhq_cli.wrap.command_line import Asked

STDOUT, STDERR = 1, 2
A_STILL_READER_IS_WAITED_FOR_S = 1.0
"""Seconds after the job's end. Then the run is told, and what was not read yet is handed on after."""


class Listener:
    """Hands the job's output on while it keeps what is wanted of it.

    Where stdout and stderr are one and the same (`2>&1`), they share a pipe: the job's lines stay
    in the order in which they were written.
    """

    def __init__(self, asked: Asked) -> None:
        self._last = LastLine() if asked.has("--payload-from-stdout") else None
        self._tail = Tail(asked.tail_bytes) if asked.tail_bytes else None
        self._tees: list[Tee] = []
        self.redirected: list[tuple[int, int]] = []
        for streams in self._pipes():
            tee = Tee(streams[0], self._keepers(streams[0]))
            self._tees.append(tee)
            self.redirected += [(tee.job_end, stream) for stream in streams]

    def start(self) -> None:
        """Begin to hand on; the job has its ends of the pipes by now."""
        for tee in self._tees:
            tee.start()

    def end(self) -> None:
        """Note that the job has ended, and wait a moment for what it left in the pipes."""
        for tee in self._tees:
            tee.end()
        self.is_done_within(A_STILL_READER_IS_WAITED_FOR_S)

    def is_done_within(self, seconds: float) -> bool:
        """Wait until all that the job wrote is handed on, for so long per stream (-1: for ever)."""
        return all(tee.is_done_within(seconds) for tee in self._tees)

    @property
    def last_line(self) -> bytes:
        """The last line of stdout that is not empty, where it is wanted."""
        return b"" if self._last is None else self._last.value()

    @property
    def tail(self) -> str:
        """The end of the output, masked; "" where it is not wanted, or nothing was written."""
        return "" if self._tail is None else self._tail.text()

    def _pipes(self) -> Sequence[Sequence[int]]:
        """Return the streams that are heard, those together that share a pipe."""
        out, error = _place(STDOUT), _place(STDERR)
        heard = [[STDOUT]] if out else []
        if self._tail is None or not error:
            return heard
        if out == error and self._last is None:
            return [[STDOUT, STDERR]]
        return [*heard, [STDERR]]

    def _keepers(self, stream: int) -> list[Callable[[bytes], None]]:
        keepers: list[Callable[[bytes], None]] = []
        if self._last is not None and stream == STDOUT:
            keepers.append(self._last.feed)
        if self._tail is not None:
            keepers.append(partial(self._tail.feed, stream))
        return keepers


def _place(stream: int) -> tuple[int, int] | None:
    """Return where a stream goes, None where it is closed: a job without it says nothing there."""
    try:
        found = os.fstat(stream)
    except OSError:
        return None
    return found.st_dev, found.st_ino
