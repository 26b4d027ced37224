"""A stream of the job's, handed on byte for byte while what is wanted of it is kept."""

from __future__ import annotations

import _thread
import fcntl
import os
import select
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAST_LINE_LIMIT = 1024 * 1024
"""Bytes. A longer last line is no payload."""

CHUNK = 65_536
FIRST_FREE = 3


class LastLine:
    """Keeps the last non-empty line of a stream, up to `LAST_LINE_LIMIT`."""

    __slots__ = ("_complete", "_current", "_too_long")

    def __init__(self) -> None:
        self._complete = b""
        self._current = b""
        self._too_long = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._end_line(line)
        self._extend(rest)

    def value(self) -> bytes:
        """Return the last non-empty line, b"" when there is none or it is too long."""
        unfinished = self._current.strip()
        if unfinished or self._too_long:
            return unfinished
        return self._complete

    def _extend(self, part: bytes) -> None:
        if self._too_long or len(self._current) + len(part) > LAST_LINE_LIMIT:
            self._current, self._too_long = b"", True
        else:
            self._current += part

    def _end_line(self, part: bytes) -> None:
        self._extend(part)
        line = self._current.strip()
        if line or self._too_long:
            self._complete = line
        self._current, self._too_long = b"", False


class Tee:
    """Reads what the job writes in a thread of its own and writes it to ours, unbuffered.

    Each stream has its own: where the reader of one stands still, the other flows on.
    """

    def __init__(self, ours: int, keep: Sequence[Callable[[bytes], None]]) -> None:
        self._ours = ours
        self._keep = keep
        self._read, self.job_end = _pipe()
        self._wake, self._waker = _pipe()
        self._still_open = True
        self._done = _thread.allocate_lock()

    def start(self) -> None:
        """Begin to hand on; the job has its end of the pipe by now."""
        os.close(self.job_end)
        self._done.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no thread to be had: the output is handed on, and nothing kept
            self._leave_to_cat()
            self._done.release()

    def end(self) -> None:
        """Note that the job has ended: what it left in the pipe is handed on, no more."""
        os.write(self._waker, b"x")

    def is_done_within(self, seconds: float) -> bool:
        """Wait until all that the job wrote is handed on (-1: as long as that takes).

        A reader that stands still can make it last, as it would have held up the job.
        """
        if not self._done.acquire(timeout=seconds):
            return False
        self._done.release()
        return True

    def _run(self) -> None:
        try:
            self._hand_on()
        except OSError:
            self._close()  # nobody reads our stream any more: let the job find out as it would
        finally:
            if self._still_open:
                self._leave_to_cat()
            self._done.release()

    def _hand_on(self) -> None:
        while self._still_open:
            if self._wake in _ready([self._read, self._wake]):
                self._hand_on_the_rest(_bytes_in(self._read))
                return
            self._pass_chunk(CHUNK)

    def _hand_on_the_rest(self, count: int) -> None:
        """Empty the pipe of what is in it now; something that the job left behind may write on."""
        while count > 0 and self._still_open:
            count -= self._pass_chunk(min(count, CHUNK))
        if self._still_open and _ready([self._read], wait=False):
            self._close_at_end()

    def _close_at_end(self) -> None:
        if not _bytes_in(self._read):  # readable, and nothing in it: nobody can write any more
            self._close()

    def _pass_chunk(self, most: int) -> int:
        chunk = os.read(self._read, most)
        if not chunk:
            self._close()
            return 0
        for keep in self._keep:
            keep(chunk)
        _write_all(self._ours, chunk)
        return len(chunk)

    def _close(self) -> None:
        if self._still_open:
            self._still_open = False
            os.close(self._read)

    def _leave_to_cat(self) -> None:
        """Leave the pipe to `cat`: something that the job left behind may still write."""
        actions = [
            (os.POSIX_SPAWN_DUP2, self._ours, 1),
            (os.POSIX_SPAWN_DUP2, self._read, 0),
        ]
        with suppress(OSError):  # then whoever still writes finds out that nobody reads
            os.posix_spawnp("cat", ["cat"], os.environ, file_actions=actions)
        self._close()


def _pipe() -> tuple[int, int]:
    """Make a pipe whose ends are none of the three streams, closed as they may be."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _ready(
    descriptors: Sequence[int], event: int = select.POLLIN, *, wait: bool = True
) -> set[int]:
    """Return which of these can be read (or written), or have ended; select() knows 1,024 at most."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, event)
    return {descriptor for descriptor, _ in poll.poll(None if wait else 0)}


def _bytes_in(pipe: int) -> int:
    answer = fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0))
    count: int = struct.unpack("i", answer)[0]
    return count


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            _ready([descriptor], select.POLLOUT)
