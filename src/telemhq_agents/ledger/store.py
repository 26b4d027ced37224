"""The ledger: this machine's own store of usage facts, cursors and outbox.

Open it, use it from one thread, close it. Several processes may have it open at once; what books
logs holds `booking`, what sends holds `delivering`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from telemhq_agents import clock, locations
from telemhq_agents.ledger import (
    activities,
    beside,
    destinations,
    locks,
    outbox,
    queueing,
    report,
    session_totals,
)
from telemhq_agents.ledger.connection import explained, open_connection, transaction
from telemhq_agents.ledger.estimates import estimates
from telemhq_agents.ledger.filling import Filling
from telemhq_agents.ledger.records import Cursor, OutboxState
from telemhq_agents.pricing import PricesInForce

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from telemhq_agents.background import Kind
    from telemhq_agents.contract.ping import Recorded
    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.destined import History
    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_agents.ledger.records import Batch, Booked, DeviceFacts, OutboxCounts, OutboxRow
    from telemhq_agents.ledger.seen import Seen
    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import Activity, SessionTotal, Source

SETTLE_MS = 120_000
"""How long nothing must be added to a turn without an end before it is sent."""


class Ledger:
    """One open ledger. Every method that changes something is one transaction by itself."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        prices: Prices | None,
        now_ms: Callable[[], int],
    ) -> None:
        self.path = path
        self._connection = connection
        self._prices = prices
        self._in_force: PricesInForce | None = None
        self._filling: Filling | None = None
        self._now_ms = now_ms

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        prices: Prices | None = None,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> Self:
        """Open the ledger at `path`, made if it is not there.

        Facts are priced with `prices`, by default this version's and the user's own as they are then. Raises
        DamagedError when the file cannot be read, SettingsError when a newer program wrote it.
        """
        return cls(path, open_connection(path), prices, now_ms)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several changes one step: all of them are on disk afterwards, or none."""
        with explained(self.path), transaction(self._connection):
            yield

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to another room of the ledger; SQLite's errors are explained."""
        with explained(self.path):
            yield self._connection

    def booking(self, wait_s: float) -> AbstractContextManager[bool]:
        """Hold the lock of those who read logs; yields whether it was got within `wait_s`."""
        return locks.held(self.path.parent / "locks" / "booking.lock", wait_s)

    def delivering(self, wait_s: float = 0) -> AbstractContextManager[bool]:
        """Hold the lock of those who empty the outbox; yields whether it was got."""
        return locks.held(self.path.parent / "locks" / "delivering.lock", wait_s)

    # Reading logs

    def cursors(self, source: Source) -> dict[str, Cursor]:
        """Return how far each log of `source` has been read, by file key."""
        with explained(self.path):
            rows = self._connection.execute(
                'SELECT file_key, path, inode, size, mtime_ns, fingerprint, "offset", state '
                "FROM cursors WHERE source = ?",
                (source.value,),
            ).fetchall()
        return {row[0]: _cursor(source, *row) for row in rows}

    def cursor(self, source: Source, file_key: str) -> Cursor | None:
        """Return how far one log has been read; None where it never was."""
        with explained(self.path):
            row = self._connection.execute(
                'SELECT file_key, path, inode, size, mtime_ns, fingerprint, "offset", state '
                "FROM cursors WHERE source = ? AND file_key = ?",
                (source.value, file_key),
            ).fetchone()
        return None if row is None else _cursor(source, *row)

    def prices(self) -> Prices:
        """Return what facts are priced with. Raises SettingsError where a file of prices is wrong."""
        if self._prices is not None:
            return self._prices
        if self._in_force is None:
            ours = locations.ours()
            self._in_force = PricesInForce(ours.own_prices, ours.downloaded_prices)
        return self._in_force.now()

    def book(self, batch: Batch) -> Booked:
        """Book facts, turns and cursors in one transaction; what is known already adds nothing."""
        prices = self.prices()
        with explained(self.path):
            if self._filling is not None and self._connection.in_transaction:
                return self._filling.book(lambda seen: self._booked(batch, prices, seen))
            with transaction(self._connection):
                return self._booked(batch, prices)

    def _booked(self, batch: Batch, prices: Prices, seen: Seen | None = None) -> Booked:
        from telemhq_agents.ledger import booking  # noqa: PLC0415 - once the readers are at work

        return booking.book(
            self._connection,
            batch,
            prices=prices,
            slots=destinations.slots(self._connection),
            now_ms=self._now_ms(),
            seen=seen,
        )

    @contextmanager
    def filling(self) -> Iterator[Callable[[], bool]]:
        """Book the batches of a first reading in one step; yields what tells whether it goes on.

        It ends with the reading, however that ends, or after `filling.MOST_FACTS` facts. Only a batch
        that cannot be booked takes those before it along.
        """
        with explained(self.path):
            self._filling = Filling.begun(self._connection)
        try:
            yield lambda: self._filling is not None and self._connection.in_transaction
        finally:
            step, self._filling = self._filling, None
            if step is not None:
                with explained(self.path):
                    step.end()

    # Reading usage

    def usage(
        self,
        group_by: Sequence[str],
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        timezone: str = "UTC",
        source: Source | None = None,
        member: str = "me",
        projects: Collection[str] = (),
        models: Collection[str] = (),
    ) -> UsageReport:
        """Sum the buckets by the groups named, from `since_ms` to before `until_ms`.

        `member` is what the one member of this machine is called. Raises UsageError for a group
        or a time zone that does not exist.
        """
        with explained(self.path):
            return report.usage(
                self._connection,
                group_by,
                since_ms=since_ms,
                until_ms=until_ms,
                timezone=timezone,
                source=source,
                member=member,
                projects=projects,
                models=models,
            )

    def estimates(
        self,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        source: Source | None = None,
        projects: Collection[str] = (),
        models: Collection[str] = (),
    ) -> list[Estimate]:
        """Return which of the figures from `since_ms` to before `until_ms` are not exact."""
        with explained(self.path):
            return estimates(self._connection, since_ms, until_ms, source, projects, models)

    def announced_turns(self, source: Source, since_ms: int) -> tuple[int, int]:
        """Return how many turns of `source` ended since then, and of how many a hook told."""
        with explained(self.path):
            return activities.announced(self._connection, source, since_ms)

    def activities(self, turn_keys: Sequence[str]) -> list[Activity]:
        """Return what hooks told of these turns besides their ends."""
        with explained(self.path):
            return activities.of_turns(self._connection, turn_keys)

    def session_totals(self, since_ms: int, until_ms: int) -> list[SessionTotal]:
        """Return what sessions said of themselves at their ends, from then to before then."""
        with explained(self.path):
            return session_totals.told(self._connection, since_ms, until_ms)

    def background(
        self,
        group_by: Sequence[str],
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        timezone: str = "UTC",
        source: Source | None = None,
        member: str = "me",
        projects: Collection[str] = (),
        models: Collection[str] = (),
    ) -> dict[Kind, UsageReport]:
        """Sum what sessions that ended in this time used beyond their facts, by kind.

        Compactions, titles and the like, as far as sessions told of them; no part of `usage`.
        Priced as of now. Raises UsageError as `usage` does.
        """
        with explained(self.path):
            told = session_totals.rests(self._connection, since_ms, until_ms, source)
        rests = beside.narrowed(told, projects, models)
        return beside.reports(rests, self.prices(), group_by, timezone=timezone, member=member)

    # Where things go

    def follow(self, source: Source, history: History) -> None:
        """Send what `source` adds where its history says; doing so twice is no harm.

        A bucket belongs to the destination in whose time its last response (or turn) ended, and
        keeps the one it was first told to. Histories are kept beside the credentials.
        """
        with self.transaction():
            destinations.follow(self._connection, source.value, history)

    def destinations(self, source: Source) -> History:
        """Return the history that is followed for `source`."""
        with explained(self.path):
            return destinations.histories(self._connection).get(source.value, ())

    def destination(self, source: Source) -> str:
        """Return the destination of what `source` adds now, "" for none."""
        history = self.destinations(source)
        return history[-1].destination if history else ""

    def learn(self, destination: str, *, corrections: bool) -> None:
        """Remember whether a destination takes corrections.

        One that takes none, or of which nobody knows yet, is told a turn without an end only after
        half an hour of silence.
        """
        with self.transaction():
            destinations.learn(self._connection, destination, corrections=corrections)

    def told_until(self, source: Source) -> int | None:
        """Return the last quarter-hour of `source` that was told; None when none ever was."""
        with explained(self.path):
            return destinations.told_until(self._connection, source.value)

    def set_coalescing(self, source: Source, history: Sequence[tuple[int, int]]) -> None:
        """Gather the pings of `source` in windows: (from when, window in ms or 0), in order.

        Each begins with a quarter-hour; a window is 1, 3, 5 or 15 minutes. Histories are added to,
        never rewritten (`credentials.coalescing` keeps them); what was told stays where it was
        told. Raises SettingsError otherwise.
        """
        with self.transaction():
            destinations.set_coalescing(self._connection, source.value, history, self._now_ms())

    # The outbox

    def queue_due(
        self,
        now_ms: int,
        *,
        device: DeviceFacts,
        settle_ms: int = SETTLE_MS,
        limit: int | None = None,
    ) -> int:
        """Queue what destinations were not told yet and is settled; return how many pings.

        With `limit`, stops soon after that many; the next call goes on.
        """
        with self.transaction():
            outbox.forget_answered(self._connection, now_ms)
            queueing.hear_the_clock(self._connection, now_ms)
            return queueing.queue_due(
                self._connection, now_ms, device=device, settle_ms=settle_ms, limit=limit
            )

    def enqueue(self, destination: str, key: str, body: bytes, created_ms: int) -> bool:
        """Put a ping that was born elsewhere into the outbox, once; False when it was known.

        `destination` is the id of a destination, or a ping URL.
        """
        with self.transaction():
            return outbox.enqueue(self._connection, destination, key, body, created_ms)

    def outbox(self, state: OutboxState | None = None) -> list[OutboxRow]:
        """Return the rows of one state, or all, oldest first."""
        with explained(self.path):
            return outbox.rows(self._connection, state)

    def counts(self) -> OutboxCounts:
        """Count the outbox by state."""
        with explained(self.path):
            return outbox.counts(self._connection)

    def next_due_ms(self) -> int | None:
        """Return when the next pending row may be sent; None when none is pending."""
        with explained(self.path):
            return outbox.next_due_ms(self._connection)

    def take(self, now_ms: int, limit: int, exclude: Collection[str] = ()) -> list[OutboxRow]:
        """Return up to `limit` pending rows that may be sent now, none of `exclude`'s destinations.

        Hold `delivering` until each of them has its outcome.
        """
        with explained(self.path):
            return outbox.take(self._connection, now_ms, limit, exclude)

    def begin_sending(self, row: OutboxRow) -> None:
        """Note, before sending it, a ping that no key protects from counting twice."""
        with self.transaction():
            outbox.begin_sending(self._connection, row)

    def delivered(self, row: OutboxRow) -> None:
        """Let a row go that the server has."""
        with self.transaction():
            outbox.delivered(self._connection, row, self._now_ms())

    def answered_duplicate(self, row: OutboxRow, recorded: Recorded | None) -> None:
        """Let a row go whose key the server knew; it was told what it says it holds."""
        with self.transaction():
            outbox.answered_duplicate(self._connection, row, recorded, self._now_ms())

    def retry(self, row: OutboxRow, next_attempt_ms: int, error: str) -> None:
        """Send a row again at `next_attempt_ms`."""
        with self.transaction():
            outbox.retry(self._connection, row, next_attempt_ms, error)

    def pause(self, destination: str, until_ms: int, reason: str) -> None:
        """Leave a destination in peace until `until_ms`; its next success ends the pause."""
        with self.transaction():
            outbox.pause(self._connection, destination, until_ms, reason)

    def failures_in_a_row(self, destination: str) -> int:
        """Return how often a destination was paused since its last success."""
        with explained(self.path):
            return outbox.failures_in_a_row(self._connection, destination)

    def park(self, row: OutboxRow, error: str) -> None:
        """Keep a row that the server will never take, for a person to look at."""
        with self.transaction():
            outbox.settle(self._connection, row, OutboxState.PARKED, error)

    def park_all(self, destination: str, error: str) -> int:
        """Park what waits for a destination that refuses us altogether; return how much."""
        with self.transaction():
            return outbox.park_all(self._connection, destination, error)

    def uncertain(self, row: OutboxRow, error: str) -> None:
        """Keep a row of which nobody knows whether it arrived, for a person to look at."""
        with self.transaction():
            outbox.settle(self._connection, row, OutboxState.UNCERTAIN, error)

    def unpark(
        self,
        destination: str | None = None,
        states: Collection[OutboxState] = (OutboxState.PARKED,),
    ) -> int:
        """Send again what waits for a person, of one destination or all; return how much."""
        with self.transaction():
            return outbox.unpark(self._connection, destination, states)

    def forget(self, row: OutboxRow) -> None:
        """Drop a row because a person said so."""
        with self.transaction():
            outbox.forget(self._connection, row, self._now_ms())


def _cursor(  # noqa: PLR0917 - one argument a column
    source: Source,
    file_key: str,
    path: str,
    inode: int,
    size: int,
    mtime_ns: int,
    fingerprint: str,
    offset: int,
    state: str,
) -> Cursor:
    read = json.loads(state)
    return Cursor(source, file_key, path, inode, size, mtime_ns, fingerprint, offset, read)
