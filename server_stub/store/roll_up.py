"""Buckets and session buckets: what runs add to them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete

from server_stub.store.tables import buckets, session_buckets
from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Table

    from server_stub.domain.run import RunFacts
    from server_stub.store.bulk import Bulk, Row

Place = tuple[int, int, int]
"""Account, tracker, member."""

Share = tuple[Place, "RunFacts"]
"""What one run adds to the buckets, and where."""

FIGURES = attrgetter(*AMOUNT_FIELDS)
"""The figures of an `Amounts` in the order of the columns, the fastest way to get them."""

WIDTH = len(AMOUNT_FIELDS)


class RollUp:
    """The rows that the shares of a batch add to both bucket tables."""

    def __init__(self, shares: Iterable[Share]) -> None:
        added = [share for share in shares if any(FIGURES(share[1].amounts))]
        self._rows = {
            buckets: _summed(added, _bucket_key),
            session_buckets: _summed(added, _session_key),
        }

    def add(self, statements: Bulk) -> None:
        """Add the rows; where a bucket is there already, to its sums."""
        for table, rows in self._rows.items():
            if rows:
                statements.add(table, rows)

    def drop_empty(self, connection: Connection) -> None:
        """Delete the buckets that these rows left without any sum: they tell what once was."""
        for table, rows in self._rows.items():
            if rows:
                _drop_empty(connection, table, [row[:-WIDTH] for row in rows])


def _bucket_key(place: Place, facts: RunFacts) -> Row:
    account_id, tracker_id, member_id = place
    return (
        account_id,
        quarter(facts.ended_ms),
        tracker_id,
        member_id,
        facts.project,
        facts.model,
        facts.source,
    )


def _session_key(place: Place, facts: RunFacts) -> Row:
    account_id, tracker_id, member_id = place
    return (
        account_id,
        quarter(facts.ended_ms),
        tracker_id,
        member_id,
        facts.session_id,
        facts.thread_id,
        facts.project,
        facts.model,
        facts.source,
    )


def _summed(shares: Sequence[Share], key_of: Callable[[Place, RunFacts], Row]) -> list[Row]:
    """Return rows of a bucket table: sorted keys, each with the sums of its shares."""
    sums: dict[Row, Amounts] = {}
    for place, facts in shares:
        key, amounts = key_of(place, facts), facts.amounts
        sums[key] = sums[key] + amounts if key in sums else amounts
    return [(*key, *FIGURES(sums[key])) for key in sorted(sums) if any(FIGURES(sums[key]))]


def _drop_empty(connection: Connection, table: Table, keys: Sequence[Row]) -> None:
    columns = list(table.primary_key.columns)
    named = [column == bindparam(f"key_{column.name}") for column in columns]
    emptied = delete(table).where(*named, *(table.c[name] == 0 for name in AMOUNT_FIELDS))
    values = [
        {f"key_{column.name}": part for column, part in zip(columns, key, strict=True)}
        for key in keys
    ]
    connection.execute(emptied, values)
