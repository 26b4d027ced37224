"""The first reading into a new ledger, as one step of many batches.

A write-ahead log would hold each of its pages several times, and all of them would be copied at
the end. With a rollback journal, which holds what a page was before, new pages need none and are
written once. Until the step is over readers find a ledger without anything in it, and who writes
waits; killed before, it leaves nothing behind, and the next reading begins anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_agents.ledger.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from telemhq_agents.ledger.records import Booked

MOST_FACTS = 100_000
"""So much is in the first step, a second or two; what follows is booked batch by batch."""


class Filling:
    """The open first step of a ledger that has nothing booked yet."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._left = MOST_FACTS
        self._seen = Seen()

    @classmethod
    def begun(cls, connection: sqlite3.Connection) -> Filling | None:
        """Begin the step; None where something is booked, or another process has the ledger open."""
        if connection.in_transaction or _has_something(connection):
            return None
        if not _switched(connection, "DELETE"):
            return None
        connection.execute("BEGIN IMMEDIATE")
        filling = cls(connection)
        if _has_something(connection):
            # Somebody booked between our look and our lock.
            filling.end()
            return None
        return filling

    def book(self, work: Callable[[Seen], Booked]) -> Booked:
        """Book a batch; one that fails takes back all of the step, as half of it may be there."""
        try:
            booked = work(self._seen)
        except BaseException:
            self._connection.rollback()
            raise
        self._left -= booked.new_facts
        if self._left <= 0:
            self.end()
        return booked

    def end(self) -> None:
        """Keep what was booked, and go on with a write-ahead log."""
        if self._connection.in_transaction:
            self._connection.commit()
        # Where somebody reads at this moment, who opens the ledger next will do it.
        _switched(self._connection, "WAL")


def _has_something(connection: sqlite3.Connection) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM cursors) OR EXISTS (SELECT 1 FROM facts) "
        "OR EXISTS (SELECT 1 FROM turns)"
    )
    return bool(row.fetchone()[0])


def _switched(connection: sqlite3.Connection, mode: str) -> bool:
    """Switch to another kind of journal; False where another process keeps us from it."""
    with _without_waiting(connection):
        try:
            (now,) = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                return False
            raise
    return str(now).upper() == mode


@contextmanager
def _without_waiting(connection: sqlite3.Connection) -> Iterator[None]:
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
