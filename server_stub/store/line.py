"""The line to the booker (booker.py), as the event loop holds it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from server_stub.domain.problem import ProblemError
from server_stub.store.booker import (
    ASK,
    DONE,
    YOURS,
    Batch,
    Frames,
    encode,
    framed,
    heard,
    read_outcomes,
    run_booker,
)
from server_stub.store.writer import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server_stub.domain.run import Arrival
    from server_stub.store.writer import Answer, Writer

    Reply = Callable[[list[tuple[Any, Answer]]], None]
    Asked = list[tuple[Any, Reply]]

ENDING_SECONDS = 10.0
GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""A batch of pings is thousands of records that are gone with it: none of them is to be looked at."""

SWITCH_SECONDS = 0.0001
"""How long the thread that waits for the disk may have to wait for the one that books."""

LOOK_SECONDS = 0.02
STANDARD_STREAMS = 3
MOST_DESCRIPTORS = 4096
LOG = logging.getLogger("telemhq.server")


class BookingLine(asyncio.Protocol):
    """Sends arrivals to the booker, a batch for each turn of the event loop, and tells the outcomes.

    A booker that died is not replaced: `is_open` is then false, and the writer books. That is
    `otherwise`, too, of what cannot be sent.
    """

    otherwise: Callable[[Arrival, Any, Reply], None]

    def __init__(self, line: socket.socket, turns: socket.socket, child: int) -> None:
        self.is_open = False
        self._line = line
        self._turns = turns
        self._turn_lock = threading.Lock()
        self._child = child
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._number = 0
        self._arrivals: list[Arrival] = []
        self._asking: Asked = []
        self._open: dict[int, Asked] = {}
        self._since_ms: dict[int, int] = {}
        self.troubles = 0
        """How often the booker could not write a batch."""
        self._is_ending = False
        self._ended = threading.Event()

    async def connect(self) -> None:
        """Take the line up, on this event loop."""
        self._loop = asyncio.get_running_loop()
        await self._loop.create_connection(lambda: self, sock=self._line)

    def book(self, arrival: Arrival, ticket: object, reply: Reply) -> None:
        """Send an arrival with the others of this turn of the loop; call on the loop alone."""
        if not self._arrivals and self._loop is not None:
            self._loop.call_soon(self._flush)
        self._arrivals.append(arrival)
        self._asking.append((ticket, reply))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the booker from writing until the block ends; call from any other thread."""
        with self._turn_lock:
            granted = self._ask()
            try:
                yield
            finally:
                if granted:
                    with suppress(OSError):
                        self._turns.sendall(DONE)

    def waiting_since_ms(self) -> int | None:
        """Return when the first arrival came whose outcome is not told yet, None for no such one.

        Call from any thread: what changes meanwhile is looked at again.
        """
        while True:
            with suppress(RuntimeError):
                first_ms = min(self._since_ms.values(), default=None)
                arrivals = self._arrivals
                return arrivals[0].received_ms if first_ms is None and arrivals else first_ms

    def close(self) -> None:
        """Let the booker finish what it has, and wait until it is gone; from another thread."""
        if self._loop is None:
            self._line.close()
        elif self.is_open:
            self._loop.call_soon_threadsafe(self._hang_up)
            self._ended.wait(ENDING_SECONDS)
        self._turns.close()
        _reap(self._child)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the line is open."""
        self._transport = transport  # type: ignore[assignment]  # - a socket's
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Tell the outcomes that came."""
        for message in self._frames.feed(data):
            outcomes = read_outcomes(message)
            answers = [heard(one) for one in outcomes.told]
            self._note_trouble(answers)
            _tell(self._closed(outcomes.number), answers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer for a booker that is gone: whether it booked what it had is not certain."""
        self.is_open = False
        self._ended.set()
        self._flush()
        if not self._is_ending:
            LOG.error("the booker is gone, the writer books: %s", exc or "its line has ended")
        for number, asked in list(self._open.items()):
            answers: list[Answer] = [ProblemError(UNAVAILABLE)] * len(asked)
            self._note_trouble(answers)
            _tell(asked, answers)
            self._closed(number)

    def _closed(self, number: int) -> Asked:
        del self._since_ms[number]
        return self._open.pop(number)

    def _note_trouble(self, answers: list[Answer]) -> None:
        if any(isinstance(one, ProblemError) and one.problem == UNAVAILABLE for one in answers):
            self.troubles += 1

    def _flush(self) -> None:
        if not self._arrivals:
            return
        arrivals, asked = self._arrivals, self._asking
        self._arrivals, self._asking = [], []
        try:
            self._send(arrivals, asked)
        except (OverflowError, ValueError, msgspec.EncodeError):
            # A number of more than 64 bits, say, in one of the payloads.
            for arrival, (ticket, reply) in zip(arrivals, asked, strict=True):
                self.otherwise(arrival, ticket, reply)

    def _send(self, arrivals: list[Arrival], asked: Asked) -> None:
        number = self._number + 1
        message = framed(encode(Batch(number, arrivals)))
        self._number, self._open[number] = number, asked
        self._since_ms[number] = arrivals[0].received_ms
        if self._transport is not None and self.is_open:
            self._transport.write(message)

    def _hang_up(self) -> None:
        self._is_ending = True
        self._flush()
        if self._transport is not None:
            self._transport.write_eof()

    def _ask(self) -> bool:
        try:
            self._turns.sendall(ASK)
            return self._turns.recv(1) == YOURS
        except OSError:
            return False


def _tell(asked: Asked, answers: list[Answer]) -> None:
    replies: dict[Reply, list[tuple[Any, Answer]]] = {}
    for (ticket, reply), answer in zip(asked, answers, strict=True):
        replies.setdefault(reply, []).append((ticket, answer))
    for reply, pairs in replies.items():
        try:
            reply(pairs)
        except Exception:
            LOG.exception("an answer could not be handed over")


def fork_booker(make_writer: Callable[[], Writer]) -> BookingLine | None:
    """Start a booker in a process of its own, while this one has no threads and no connections.

    None where the system cannot fork.
    """
    if not hasattr(os, "fork"):
        return None
    line, its_line = socket.socketpair()
    turns, its_turns = socket.socketpair()
    child = os.fork()
    if child == 0:
        line.close()
        turns.close()
        _be_booker(make_writer, its_line, its_turns)
    its_line.close()
    its_turns.close()
    line.setblocking(False)  # noqa: FBT003 - its own name for it
    return BookingLine(line, turns, child)


def _be_booker(
    make_writer: Callable[[], Writer], line: socket.socket, turns: socket.socket
) -> NoReturn:
    """Live as the booker. Signals are for the server, whose end of the line is ours to heed."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _close_all_but(line.fileno(), turns.fileno())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        writer = make_writer()
        writer.begin_here()
        run_booker(writer, line, turns)
        writer.end_here()
        status = 0
    except BaseException:
        LOG.exception("the booker fails")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _close_all_but(*descriptors: int) -> None:
    """Let go of what the server had open: its sockets, its parent's pipes."""
    low = STANDARD_STREAMS
    for kept in sorted(descriptors):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, MOST_DESCRIPTORS)


def _reap(child: int) -> None:
    """Wait for the booker's end, and make one where it does not come."""
    with suppress(ChildProcessError, ProcessLookupError):
        for _ in range(int(ENDING_SECONDS / LOOK_SECONDS)):
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                return
            time.sleep(LOOK_SECONDS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
