"""The one writer: a thread, a queue, a connection.

Whatever waits in the queue when the writer looks is committed together (group commit); it never
waits for more to come. Nobody is answered before the commit is durable. A database that went away
fails what is in the queue with a 503 problem and is opened again for the next batch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival
from server_stub.store.dialect import is_locked, is_of_database, is_overflow, is_unavailable, told
from server_stub.store.ingest import Outcome, book
from telemhq_agents.clock import monotonic_ns
from telemhq_agents.contract.problem import Problem

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from server_stub.store.sealing import Sealer, Tell

T = TypeVar("T")
Answer = Outcome | Exception

BATCH_LIMIT = 1000
LOG = logging.getLogger("telemhq.server")
UNAVAILABLE = Problem(
    type="store-unavailable",
    title="The database cannot take anything now",
    status=503,
    detail="whether this request was stored is not certain",
    next="try again in a few seconds; with the same Idempotency-Key nothing is counted twice",
)
UNSTORABLE = Problem(
    type="not-storable",
    title="The database refused this ping",
    status=500,
    detail="nothing of this ping was stored",
    next="send it without its unusual fields, and tell the people who run this server",
)
TOO_LARGE = Problem(
    type="sum-too-large",
    title="A sum of this tracker would outgrow 64 bits",
    status=422,
    detail="nothing of this ping was stored",
    next="send figures as they are; what was sent too large before can be corrected",
)
LATELY_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """A transaction of its own, and who waits for it."""

    run: Callable[[Connection], Any]
    future: Future[Any]


class Booking(msgspec.Struct, frozen=True):
    """One arrival, and who is to be told: `reply` gets (ticket, answer) pairs, a batch at a time."""

    arrival: Arrival
    ticket: Any
    reply: Callable[[list[tuple[Any, Answer]]], None]


class _StaleError(Exception):
    """The connection failed before the commit."""


def _tell_futures(pairs: list[tuple[Any, Answer]]) -> None:
    for future, answer in pairs:
        if not future.set_running_or_notify_cancel():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _refusal(error: Exception) -> ProblemError:
    """Return what a ping is answered that fails alone; the log gets no values of it."""
    if is_overflow(error):
        return ProblemError(TOO_LARGE)
    # A database's traceback ends in the rows it complains of; one of ours tells where we failed.
    trace = None if is_of_database(error) else error
    LOG.error("a ping could not be stored: %s", told(error), exc_info=trace)
    return ProblemError(UNSTORABLE)


def _reply(bookings: list[Booking], answers: list[Answer]) -> None:
    replies: dict[Any, list[tuple[Any, Answer]]] = {}
    for booking, answer in zip(bookings, answers, strict=True):
        replies.setdefault(booking.reply, []).append((booking.ticket, answer))
    for reply, pairs in replies.items():
        try:
            reply(pairs)
        except Exception:
            # Whoever asked is gone (a closed event loop); the others still get theirs.
            LOG.exception("an answer could not be handed over")


class Writer:
    """Writes what is handed in, from one thread, in the order it came."""

    def __init__(
        self,
        engine: Engine,
        sealer: Sealer | None = None,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._engine = engine
        self._sealer = sealer
        self._turn = turn
        self._queue: SimpleQueue[Work | Booking | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="telemhq-writer", daemon=True)
        self._connection: Connection | None = None
        self._stopping = False
        self._trouble = ""
        self.troubles = 0
        """How often something could not be written, so that pings may have been refused."""
        self._wrote_ns: int | None = None

    def start(self) -> None:
        """Start the thread."""
        if self._sealer is not None:
            self._sealer.start()
        self._thread.start()

    def stop(self) -> None:
        """Write what is in the queue, answer everybody, end the thread, close the connection."""
        self._stopping = True
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()
        if self._sealer is not None:
            self._sealer.stop()
        self._refuse_the_rest()
        self._engine.dispose()

    def is_alive(self) -> bool:
        """Tell whether somebody takes from the queue."""
        return self._thread.is_alive() and not self._stopping

    def wrote_lately(self) -> bool:
        """Tell whether the last second saw a commit and no trouble since."""
        wrote_ns = self._wrote_ns
        return wrote_ns is not None and monotonic_ns() - wrote_ns < LATELY_NS

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Run `work` in a transaction; the future holds its value once that is committed.

        The future raises what `work` raised (nothing is written then), or a ProblemError (503).
        """
        future: Future[T] = Future()
        self._put(Work(work, future))
        return future

    def ingest(self, arrival: Arrival) -> Future[Outcome]:
        """Book one arrival; the future holds the outcome once it is committed."""
        future: Future[Outcome] = Future()
        self.book(arrival, future, _tell_futures)
        return future

    def book(
        self,
        arrival: Arrival,
        ticket: object,
        reply: Callable[[list[tuple[Any, Answer]]], None],
    ) -> None:
        """Book one arrival; `reply` is called from the writer's thread, once per batch."""
        self._put(Booking(arrival, ticket, reply))

    def _put(self, item: Work | Booking) -> None:
        self._queue.put(item)
        if not self._thread.is_alive():
            self._refuse_the_rest()

    def _refuse_the_rest(self) -> None:
        """Answer for a writer that runs no more: nobody waits for ever."""
        with suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                refusal = ProblemError(UNAVAILABLE)
                if isinstance(item, Work):
                    _tell_futures([(item.future, refusal)])
                elif item is not None:
                    item.reply([(item.ticket, refusal)])

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, more = self._gather(first)
            for _, alike in groupby(batch, type):
                items = list(alike)
                self._do_works([item for item in items if isinstance(item, Work)])
                self._do_bookings([item for item in items if isinstance(item, Booking)])
            if not more:
                break
        self._disconnect()

    def _gather(self, first: Work | Booking) -> tuple[list[Work | Booking], bool]:
        """Take what waits, up to the limit; False when the end of the queue was met."""
        batch = [first]
        with suppress(Empty):
            while len(batch) < BATCH_LIMIT:
                item = self._queue.get_nowait()
                if item is None:
                    return batch, False
                batch.append(item)
        return batch, True

    def _do_works(self, works: list[Work]) -> None:
        for work in works:
            if not work.future.set_running_or_notify_cancel():
                continue
            try:
                with self._turn():
                    value = self._transact(work.run)
            except Exception as error:  # noqa: BLE001 - the writer survives; the caller gets it
                work.future.set_exception(error)
            else:
                self._once_durable(partial(self._finish, work.future, value))

    def _finish(self, future: Future[Any], value: object, error: Exception | None) -> None:
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(self._unavailable(error))

    def _once_durable(self, tell: Tell) -> None:
        if self._sealer is None:
            tell(None)
        else:
            self._sealer.seal(tell)

    def _do_bookings(self, bookings: list[Booking]) -> None:
        if not bookings:
            return
        with self._turn():
            self.book_all([booking.arrival for booking in bookings], partial(_reply, bookings))

    def book_all(self, arrivals: list[Arrival], tell: Callable[[list[Answer]], None]) -> None:
        """Book a batch in this thread; `tell` gets the answers once they are durable."""
        answers = self._book(arrivals)

        def durable(error: Exception | None) -> None:
            tell(answers if error is None else [self._unavailable(error)] * len(answers))

        if all(isinstance(answer, Exception) for answer in answers):
            tell(answers)
        else:
            self._once_durable(durable)

    def begin_here(self) -> None:
        """Write from this thread, by `book_all` alone."""
        if self._sealer is not None:
            self._sealer.start()

    def end_here(self) -> None:
        """Finish what `begin_here` began."""
        if self._sealer is not None:
            self._sealer.stop()
        self._disconnect()
        self._engine.dispose()

    def _book(self, arrivals: list[Arrival]) -> list[Answer]:
        """Book all in one transaction; where that fails, one by one, so that one fails alone."""
        try:
            return list(self._transact(lambda connection: book(connection, arrivals)))
        except ProblemError as error:
            return [error] * len(arrivals)
        except Exception as error:  # noqa: BLE001 - the writer survives; the caller gets it
            if len(arrivals) == 1:
                return [_refusal(error)]
            LOG.warning("a batch of %d is booked one by one: %s", len(arrivals), told(error))
            return [self._book([arrival])[0] for arrival in arrivals]

    def _transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and commit, once more where the connection turned out to be stale.

        A failed commit is not repeated: it may have happened.
        """
        try:
            return self._attempt(work, may_repeat=True)
        except _StaleError:
            return self._attempt(work, may_repeat=False)

    def _attempt(self, work: Callable[[Connection], T], *, may_repeat: bool) -> T:
        connection = self._connected()
        try:
            transaction = connection.begin()
            value = work(connection)
        except Exception as error:
            self._disconnect()
            if not is_unavailable(error):
                raise
            if may_repeat and not is_locked(error):
                raise _StaleError from error
            raise self._unavailable(error) from error
        try:
            transaction.commit()
        except DBAPIError as error:
            self._disconnect()
            raise self._unavailable(error) from error
        self._note_commit()
        return value

    def _unavailable(self, error: Exception) -> ProblemError:
        """Return the problem to answer with; the log is told once, not for every batch."""
        if not self._trouble:
            LOG.error("nothing can be recorded: %s", told(error))
        self.troubles += 1
        self._trouble = told(error)
        self._wrote_ns = None
        return ProblemError(UNAVAILABLE)

    def _note_commit(self) -> None:
        if self._trouble:
            LOG.warning("runs are recorded again, after: %s", self._trouble)
            self._trouble = ""
        self._wrote_ns = monotonic_ns()

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
                if self._sealer is not None:
                    self._sealer.attach(self._connection)
            except DBAPIError as error:
                raise self._unavailable(error) from error
        return self._connection

    def _disconnect(self) -> None:
        """Drop the connection, and with it a transaction that was not committed."""
        connection, self._connection = self._connection, None
        if self._sealer is not None:
            self._sealer.detach()
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()
