"""The booker: a process of its own that books pings, so that nothing else waits while it does.

The event loop and the writer's thread would take turns at one interpreter, and each turn costs more
than what is done in it. Batches of arrivals come over a socket, and their outcomes go back once
they are durable; whatever else writes asks for a turn first (SQLite lets one write at a time).
"""

from __future__ import annotations

import logging
import select
import struct
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival
from server_stub.store.ingest import Booked, Refusal
from server_stub.store.limits import OverLimit
from server_stub.store.writer import UNAVAILABLE, Writer
from telemhq_agents.contract.problem import Problem

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from server_stub.store.writer import Answer

LENGTH = struct.Struct("<I")
READ_BYTES = 1024 * 1024
ASK, YOURS, DONE = b"?", b"!", b"."
LOG = logging.getLogger("telemhq.server")


class Told(msgspec.Struct, array_like=True):
    """The outcome of one arrival on its way; exactly one of them is there."""

    booked: Booked | None = None
    refusal: Refusal | None = None
    limit: OverLimit | None = None
    problem: Problem | None = None


class Batch(msgspec.Struct, array_like=True):
    """Arrivals that came together, by number."""

    number: int
    arrivals: list[Arrival]


class Outcomes(msgspec.Struct, array_like=True):
    """What became of a batch."""

    number: int
    told: list[Told]


encode = msgspec.msgpack.Encoder().encode
read_batch = msgspec.msgpack.Decoder(Batch).decode
read_outcomes = msgspec.msgpack.Decoder(Outcomes).decode


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return LENGTH.pack(len(message)) + message


class Frames:
    """Cuts what comes over a socket into messages."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are whole by now."""
        held = self._held + data if self._held else data
        start, end = 0, len(held)
        while end - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(held, start)
            if end - start - LENGTH.size < length:
                break
            start += LENGTH.size
            yield held[start : start + length]
            start += length
        self._held = held[start:]


def told(answer: Answer) -> Told:
    """Return an outcome as it goes over the line."""
    if isinstance(answer, Booked):
        return Told(booked=answer)
    if isinstance(answer, Refusal):
        return Told(refusal=answer)
    if isinstance(answer, OverLimit):
        return Told(limit=answer)
    problem = answer.problem if isinstance(answer, ProblemError) else UNAVAILABLE
    return Told(problem=problem)


def heard(one: Told) -> Answer:
    """Return an outcome as it came over the line."""
    answer = one.booked or one.refusal or one.limit
    if answer is not None:
        return answer
    return ProblemError(one.problem or UNAVAILABLE)


def run_booker(writer: Writer, line: socket.socket, turns: socket.socket) -> None:
    """Book what comes over the line until it ends; between batches, give turns to others."""
    frames = Frames()
    while True:
        readable, _, _ = select.select([line, turns], [], [])
        if turns in readable and not _give_turn(turns):
            break
        if line in readable:
            data = line.recv(READ_BYTES)
            if not data:
                break
            _book(writer, line, [read_batch(message) for message in frames.feed(data)])


def _give_turn(turns: socket.socket) -> bool:
    """Let the other side write until it says that it is done; False where it is gone."""
    if turns.recv(1) != ASK:
        return False
    turns.sendall(YOURS)
    return turns.recv(1) == DONE


def _book(writer: Writer, line: socket.socket, batches: list[Batch]) -> None:
    if batches:
        arrivals = [arrival for batch in batches for arrival in batch.arrivals]
        writer.book_all(arrivals, partial(_tell, line, batches))


def _tell(line: socket.socket, batches: list[Batch], answers: list[Answer]) -> None:
    """Send the outcomes back, batch by batch."""
    start = 0
    messages = []
    for batch in batches:
        end = start + len(batch.arrivals)
        outcomes = Outcomes(batch.number, [told(answer) for answer in answers[start:end]])
        messages.append(framed(encode(outcomes)))
        start = end
    try:
        line.sendall(b"".join(messages))
    except OSError:
        LOG.warning("outcomes of %d pings could not be handed over", len(answers))
