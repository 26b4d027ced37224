"""The hot path's statements, many rows at a time, in each database's own fastest way.

Both ways go past SQLAlchemy's row handling, which costs more than the databases do. Names in the
statements come from tables.py alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from server_stub.store.bulk_postgres import PostgresBulk
from server_stub.store.bulk_sqlite import SqliteBulk
from server_stub.store.dialect import is_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Table

    from server_stub.store.lookups import KeyId, Row
    from server_stub.store.target import Target


class Bulk(Protocol):
    """The statements of one group commit, on one connection."""

    def together(self) -> AbstractContextManager[object]:
        """Send what follows without waiting for each answer, where the database can do that."""

    def find_targets(self, tokens: Iterable[str]) -> list[Target]:
        """Return the tracker of each token that is known."""

    def lock_targets(self, tokens: Iterable[str]) -> list[Target]:
        """Return the same, and keep other processes from changing these trackers meanwhile.

        Locks in the order of the trackers, so that no two processes wait for each other.
        """

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        """Insert rows of `idempotency_keys`; return which of them were not there before."""

    def find_facts(self, facts: Sequence[tuple[int, bytes]]) -> list[Row]:
        """Return the runs that book or correct collector facts (account, digest): `FACT_COLUMNS`."""

    def find_keys(self, key_ids: Sequence[KeyId]) -> list[Row]:
        """Return the keys that are known: themselves, the run's id, its arrival and its tracker.

        All of it outlives the run; `NO_TRACKER` stands with the key of a correction.
        """

    def insert_runs(self, rows: Sequence[Row]) -> None:
        """Insert rows of `runs`, in the order of its columns."""

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows of a bucket table; where a key is there already, add the sums."""

    def touch_trackers(self, rows: Sequence[Row]) -> None:
        """Write what pings changed of trackers: rows of (account, id, *TOUCHED), sorted."""


def bulk(connection: Connection) -> Bulk:
    """Return the statements for this connection's database."""
    return SqliteBulk(connection) if is_sqlite(connection) else PostgresBulk(connection)
