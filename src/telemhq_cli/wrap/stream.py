"""The job's stdout, handed on byte for byte while its last line is kept."""

from __future__ import annotations

import _thread
import os
import select

LAST_LINE_LIMIT = 1024 * 1024
"""Bytes. A longer last line is no payload."""

CHUNK = 65_536


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
    """Reads the job's stdout in a thread of its own and writes it to ours, unbuffered."""

    def __init__(self) -> None:
        self._read, self.job_end = os.pipe()
        self._wake, self._waker = os.pipe()
        self._last = LastLine()
        self._still_open = True
        self._done = _thread.allocate_lock()

    def start(self) -> None:
        """Begin to hand on; the job has its end of the pipe by now."""
        os.close(self.job_end)
        self._done.acquire()
        _thread.start_new_thread(self._run, ())

    def finish(self) -> bytes:
        """Hand on what the ended job left in the pipe and return its last line.

        Where something that the job left behind still writes, `cat` goes on in our place.
        """
        os.write(self._waker, b"x")
        self._done.acquire()
        if self._still_open:
            self._leave_to_cat()
        return self._last.value()

    def _run(self) -> None:
        try:
            self._hand_on()
        except OSError:
            self._close()  # nobody reads our stdout any more: let the job find out as it would
        finally:
            self._done.release()

    def _hand_on(self) -> None:
        while self._still_open:
            ready, _, _ = select.select([self._read, self._wake], [], [])
            if self._read in ready:
                self._pass_chunk()
            elif ready:
                return

    def _pass_chunk(self) -> None:
        chunk = os.read(self._read, CHUNK)
        if not chunk:
            self._close()
            return
        self._last.feed(chunk)
        _write_all(1, chunk)

    def _close(self) -> None:
        if self._still_open:
            self._still_open = False
            os.close(self._read)

    def _leave_to_cat(self) -> None:
        actions = [(os.POSIX_SPAWN_DUP2, self._read, 0)]
        try:
            os.posix_spawnp("cat", ["cat"], os.environ, file_actions=actions)
        finally:
            self._close()


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
