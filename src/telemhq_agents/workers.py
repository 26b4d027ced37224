"""The processes that read logs, and the order in which what they find comes back.

A worker writes frames: the job's number, a length and that many bytes of MessagePack; a frame
without bytes ends its job. While this process books, what was found waits in the pipes; while it
waits for the next log, it empties them all, up to a limit, behind which a worker waits. Threads
that emptied them would each time take the interpreter from the booking, and wait for a core.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import select
import signal
import struct
import traceback
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn

import msgspec
from msgspec.structs import replace

from telemhq_agents import clock
from telemhq_agents.ledger.packing import pack
from telemhq_agents.reading import Found, Job, Reading, parts_of, read_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemhq_agents.pricing import Prices

PIPE_BYTES = 1 << 20
MOST_WAITING_BYTES = 4 << 20
"""So much of one worker waits here for its turn; what it finds beyond that waits with the worker."""

FLUSH_NS = 10_000_000
LONG_BYTES = 1 << 20
"""What was found goes to the parent every 10 ms, and before a log that takes a while."""

LARGE_PIECE_BYTES = 8 << 20

RARELY = 50_000
"""So many new objects make a worker look for circles of garbage."""

WORKER_DIED = "the process that read it was killed; it is left for the next time"
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_HEAD = struct.Struct("<IiI")
_NUMBER = struct.Struct("<I")
_FOUND, _DONE, _BROKEN = 0, 1, 2
_DECODER = msgspec.msgpack.Decoder(Reading)


class Frame(NamedTuple):
    """What a worker said of one job."""

    number: int
    kind: int
    content: bytes


class _Task(NamedTuple):
    """What all workers know: the jobs, where to get the first of the next few, prices, signals."""

    jobs: Sequence[Job]
    tickets: int
    step: int
    prices: Prices | None
    mask: set[int | signal.Signals]


class BrokenReaderError(RuntimeError):
    """A reader made a mistake in a worker; the message is the worker's traceback."""


class Pool:
    """Worker processes that share a list of jobs; `close` ends them."""

    def __init__(self, jobs: Sequence[Job], workers: int, prices: Prices | None) -> None:
        self._jobs = jobs
        self._count = workers
        self._prices = prices
        self._workers: list[_Worker] = []

    def found(self) -> Iterator[Found]:
        """Start the workers and yield what they find, in the order of the jobs.

        Where the system allows fewer processes, fewer read; where it allows none, this one does.
        """
        self._start()
        if not self._workers:
            yield from read_here(self._jobs)
            return
        for number, job in enumerate(self._jobs):
            reader = self._reader_of(number)
            while (frame := self._next_of(reader) if reader else None) and frame.kind == _FOUND:
                yield Found(number, _DECODER.decode(frame.content))
            if frame is None:
                yield Found(number, Reading(problems=[f"{job.path}: {WORKER_DIED}"]))
            elif frame.kind == _BROKEN:
                raise BrokenReaderError(frame.content.decode())

    def close(self) -> None:
        """End all workers at once, whatever they do, and wait until they are gone."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.bury()

    def _start(self) -> None:
        _keep_freed_memory()
        tickets, step = _tickets(len(self._jobs))
        # No worker may be born without our knowing of it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        task = _Task(self._jobs, tickets, step, self._prices, mask)
        try:
            with suppress(OSError):
                for _ in range(self._count):
                    self._workers.append(_forked(task, self._workers))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(tickets)

    def _reader_of(self, number: int) -> _Worker | None:
        """Wait for the worker that took a job; None where it was killed before it said a word.

        Numbers are taken in order: who speaks of a later job first has not taken this one.
        """
        while True:
            silent = 0
            for worker in self._workers:
                frame = worker.peek()
                if frame and frame.number == number:
                    return worker
                silent += frame is None and not worker.is_over
            if not silent:
                return None
            self._listen()

    def _next_of(self, worker: _Worker) -> Frame | None:
        """Wait for the next frame of a worker and take it; None where it ended without one."""
        while worker.peek() is None and not worker.is_over:
            self._listen()
        return worker.take()

    def _listen(self) -> None:
        """Wait until a worker says something, and take it in with what the others said."""
        heard = {worker.pipe: worker for worker in self._workers if worker.may_speak()}
        poll = select.poll()
        for pipe in heard:
            poll.register(pipe, select.POLLIN)
        for pipe, _ in poll.poll():
            heard[pipe].listen()


class _Worker:
    """One worker process as its parent sees it: what it said and nobody took yet."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.is_over = False
        self._pid = pid
        self.pipe = pipe
        self._waiting: list[bytes] = []
        self._held_bytes = 0
        self._rest = b""
        self._frames: deque[Frame] = deque()

    def peek(self) -> Frame | None:
        """Return the next frame without taking it, None where it is not here."""
        if not self._frames:
            self._cut()
        return self._frames[0] if self._frames else None

    def take(self) -> Frame | None:
        """Take the next frame; None where it is not here."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._held_bytes -= _HEAD.size + len(frame.content)
        return frame

    def may_speak(self) -> bool:
        """Tell whether to listen: not to one that ended, nor to one of which enough waits here."""
        return not self.is_over and (self.peek() is None or self._held_bytes < MOST_WAITING_BYTES)

    def listen(self) -> None:
        """Take in what waits in the pipe, where something does."""
        piece = os.read(self.pipe, PIPE_BYTES)
        self._waiting.append(piece)
        self._held_bytes += len(piece)
        self.is_over = not piece

    def kill(self) -> None:
        """Kill the process, unless it is gone already."""
        # Where our own parent ignores SIGCHLD, the system has buried the process by itself.
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def bury(self) -> None:
        """Wait for the process that was killed, and let go of its pipe."""
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        os.close(self.pipe)

    def _cut(self) -> None:
        """Cut what waits into frames; the beginning of one that is not whole yet stays."""
        if not self._waiting:
            return
        content = b"".join([self._rest, *self._waiting])
        self._waiting.clear()
        at = 0
        while at + _HEAD.size <= len(content):
            number, kind, length = _HEAD.unpack_from(content, at)
            end = at + _HEAD.size + length
            if end > len(content):
                break
            self._frames.append(Frame(number, kind, content[at + _HEAD.size : end]))
            at = end
        self._rest = content[at:]


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next block of a log, here and in the workers.

    It returns what lies free at the end of its heap beyond twice the largest piece that was ever
    freed, and the system has to find each page of that anew: 45,000 of them in a reading of 1 GB.
    So a large piece is freed, no page of which was touched (mallopt(3), M_MMAP_THRESHOLD).
    """
    bytes(LARGE_PIECE_BYTES)


def _tickets(count: int) -> tuple[int, int]:
    """Return a pipe that holds a number for each `step` jobs, in order, and that step.

    Whoever reads a number from it takes it: a pipe gives no byte to two readers. All of them fit
    into it, so that nobody has to stand by and fill it.
    """
    inlet, outlet = os.pipe()
    room = fcntl.fcntl(outlet, fcntl.F_GETPIPE_SZ) // _NUMBER.size
    step = -(-count // room)
    os.write(outlet, b"".join(_NUMBER.pack(first) for first in range(0, count, step)))
    os.close(outlet)
    return inlet, step


def _forked(task: _Task, earlier: Sequence[_Worker]) -> _Worker:
    inlet, outlet = os.pipe()
    try:
        _widen(outlet)
        pid = os.fork()
    except OSError:
        os.close(inlet)
        os.close(outlet)
        raise
    if pid == 0:
        os.close(inlet)
        _be_a_worker(task, outlet, [worker.pipe for worker in earlier])
    os.close(outlet)
    return _Worker(pid, inlet)


def _widen(pipe: int) -> None:
    """Let a worker go on while its parent is busy; a user may have used up what pipes may hold."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EBUSY}:
            raise


def _be_a_worker(task: _Task, outlet: int, others: Sequence[int]) -> NoReturn:
    """Read job after job until none is left. Never returns into what the parent was doing."""
    code = 1
    # What the parent made is not ours to tidy up: looking through it would copy it. What we make
    # ourselves goes by itself, nearly all of it.
    gc.freeze()
    gc.set_threshold(RARELY)
    try:
        _forget_the_parent(task, others)
        with os.fdopen(outlet, "wb", buffering=1 << 16) as stream:
            _work(task, stream)
        code = 0
    finally:
        os._exit(code)


def _forget_the_parent(task: _Task, pipes: Sequence[int]) -> None:
    """Die of signals without a word, and hold no end of another worker's pipe."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, task.mask)
    for pipe in pipes:
        os.close(pipe)


def _work(task: _Task, stream: BinaryIO) -> None:
    encode = msgspec.msgpack.Encoder().encode
    flushed_ns = clock.monotonic_ns()
    for number in _taken(task):
        job = task.jobs[number]
        now_ns = clock.monotonic_ns()
        if job.size > LONG_BYTES or now_ns - flushed_ns > FLUSH_NS:
            stream.flush()
            flushed_ns = now_ns
        try:
            stream.writelines(
                _frame(number, _FOUND, encode(_packed(reading, task.prices)))
                for reading in parts_of(job)
            )
        except Exception:  # noqa: BLE001 - the parent raises it
            stream.write(_frame(number, _BROKEN, traceback.format_exc().encode()))
            return
        stream.write(_frame(number, _DONE))


def _taken(task: _Task) -> Iterator[int]:
    """Yield the numbers of jobs that no other worker has, in order, until none is left."""
    while ticket := os.read(task.tickets, _NUMBER.size):
        (first,) = _NUMBER.unpack(ticket)
        yield from range(first, min(first + task.step, len(task.jobs)))


def _packed(reading: Reading, prices: Prices | None) -> Reading:
    if prices is None:
        return reading
    return replace(reading, facts=[], packed=pack(reading.facts, prices))


def _frame(number: int, kind: int, content: bytes = b"") -> bytes:
    return _HEAD.pack(number, kind, len(content)) + content
