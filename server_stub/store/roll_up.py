"""Buckets and session buckets: what runs add to them."""

from __future__ import annotations

from operator import add, attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete

from server_stub.store.tables import buckets, session_buckets
from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Table

    from server_stub.domain.run import RunFacts
    from server_stub.store.bulk import Bulk
    from server_stub.store.lookups import Row

Place = tuple[int, int, int]
"""Account, tracker, member."""

Share = tuple[Place, "RunFacts"]
"""What one run adds to the buckets, and where."""

Figures = tuple[int, ...]
Sums = dict["Row", Figures]

FIGURES = attrgetter(*AMOUNT_FIELDS)
"""The figures of an `Amounts` in the order of the columns, the fastest way to get them."""

WIDTH = len(AMOUNT_FIELDS)


class RollUp:
    """The rows that the shares of a batch add to both bucket tables."""

    def __init__(self, shares: Iterable[Share]) -> None:
        plain: Sums = {}
        fine: Sums = {}
        for place, facts in shares:
            figures = FIGURES(facts.amounts)
            if any(figures):
                account_id, tracker_id, member_id = place
                when = (account_id, quarter(facts.ended_ms), tracker_id, member_id)
                groups = (facts.project, facts.model, facts.source)
                _add(plain, (*when, *groups), figures)
                _add(fine, (*when, facts.session_id, facts.thread_id, *groups), figures)
        self._rows = {buckets: _rows(plain), session_buckets: _rows(fine)}

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


def _add(sums: Sums, key: Row, figures: Figures) -> None:
    known = sums.get(key)
    sums[key] = figures if known is None else tuple(map(add, known, figures))


def _rows(sums: Sums) -> list[Row]:
    """Return rows of a bucket table: sorted keys, each with its sums."""
    return [key + sums[key] for key in sorted(sums) if any(sums[key])]


def _drop_empty(connection: Connection, table: Table, keys: Sequence[Row]) -> None:
    columns = list(table.primary_key.columns)
    named = [column == bindparam(f"key_{column.name}") for column in columns]
    emptied = delete(table).where(*named, *(table.c[name] == 0 for name in AMOUNT_FIELDS))
    values = [
        {f"key_{column.name}": part for column, part in zip(columns, key, strict=True)}
        for key in keys
    ]
    connection.execute(emptied, values)
