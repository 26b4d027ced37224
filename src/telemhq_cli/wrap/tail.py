"""The end of what a job wrote: its last bytes, as text that may be sent."""

from __future__ import annotations

import _thread
import codecs
import re
from typing import NamedTuple

MARGIN = 16 * 1024
"""Bytes kept beyond what is wanted: a secret must be whole to be known, before it is cut."""

_LINE_END = re.compile(rb"[\r\n]")
_STEERING = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\))")
"""Colours, cursors and titles of a terminal: among the letters of a secret they hide its shape."""

FIRST_BYTES = range(0x80, 0xC0)
"""UTF-8: the bytes that no character begins with."""


class _Piece(NamedTuple):
    stream: int
    data: bytes


class Tail:
    """Keeps the last bytes of one or several streams, in the order in which they came."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most = limit + MARGIN
        self._pieces: list[_Piece] = []
        self._length = 0
        self._cut: set[int] = set()
        self._lock = _thread.allocate_lock()

    def feed(self, stream: int, chunk: bytes) -> None:
        """Take the next bytes of a stream; any thread may."""
        with self._lock:
            self._pieces.append(_Piece(stream, chunk))
            self._length += len(chunk)
            if self._length > 2 * self._most:  # not each time: many small pieces are usual
                self._shorten()

    def text(self) -> str:
        """Return what was kept, plain and masked, then cut to the last `limit` bytes of UTF-8."""
        from telemhq_agents.secrets import masked  # noqa: PLC0415 - a table of patterns

        with self._lock:
            self._shorten()
            return last_bytes(masked(_STEERING.sub("", self._decoded())), self._limit)

    def _shorten(self) -> None:
        surplus = self._length - self._most
        gone = 0
        while surplus > 0:
            stream, data = self._pieces[gone]
            self._cut.add(stream)
            if len(data) > surplus:
                self._pieces[gone] = _Piece(stream, data[surplus:])
                self._length -= surplus
                break
            gone += 1
            surplus -= len(data)
            self._length -= len(data)
        del self._pieces[:gone]

    def _decoded(self) -> str:
        """Decode each stream for itself, and put no other stream's line into the middle of a line.

        A line whose beginning is gone is left out: half of a secret has
        no shape.
        """
        decoders = {
            piece.stream: codecs.getincrementaldecoder("utf-8")("replace") for piece in self._pieces
        }
        torn = dict.fromkeys(self._cut, MARGIN)
        unfinished: dict[int, list[str]] = {}
        words = []
        for stream, data in self._pieces:
            text = decoders[stream].decode(_without_torn_line(data, stream, torn))
            ended, newline, begun = text.rpartition("\n")
            line = unfinished.pop(stream, [])
            if newline:
                words += [*line, ended, newline]
                line.clear()
            line.append(begun)
            unfinished[stream] = line  # whose turn was last comes last
        for stream, line in unfinished.items():
            words += [*line, decoders[stream].decode(b"", final=True)]
        return "".join(words)


def _without_torn_line(data: bytes, stream: int, torn: dict[int, int]) -> bytes:
    """Drop the rest of a line whose beginning was cut off: as many bytes as `torn` says, at most."""
    most = torn.get(stream, 0)
    if not most:
        return data
    end = _LINE_END.search(data, 0, most)
    torn[stream] = 0 if end else max(0, most - len(data))
    return without_half_character(data[end.end() if end else most :])


def without_half_character(data: bytes) -> bytes:
    """Drop the rest of a character whose beginning was cut off."""
    rest = next((at for at, byte in enumerate(data[:3]) if byte not in FIRST_BYTES), len(data[:3]))
    return data[rest:]


def last_bytes(text: str, limit: int) -> str:
    """Return as many of the last whole characters as have at most `limit` bytes in UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= limit else without_half_character(data[-limit:]).decode()
