"""The hot path's statements on SQLite: prepared once, stepped through many rows at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.store.lookups import KNOWN_KEYS, RUNS_OF_FACTS, KeyId, Row, sums_on_conflict
from server_stub.store.tables import idempotency_keys, runs
from server_stub.store.target import COLUMNS, TARGETS, TOUCHED, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Table

FIND_TARGETS = f"""
    SELECT json_group_array(json_array({", ".join(COLUMNS)}))
    {TARGETS} WHERE token.token IN (SELECT value FROM json_each(?))
"""  # noqa: S608 - constants of ours
# SQLite reads the whole table for `(a, b) IN (VALUES …)`, and without being told the index it
# would read all runs of the account.
FACTS = RUNS_OF_FACTS % "INDEXED BY ix_runs_fact"
KEY_OWNER = """
    SELECT run_id FROM idempotency_keys WHERE account_id = ? AND scope = ? AND digest = ?
"""
LARGEST_STATEMENT = 64
"""Rows. Times 35 columns well below the 32,766 parameters that SQLite takes by default."""

_read_targets = msgspec.json.Decoder(list[Target], strict=False).decode


class SqliteBulk:
    """Statements with many rows of `?` each.

    The driver gives up the interpreter's lock for every step of a statement, and has to wait for
    the event loop to get it back: one statement with 64 rows takes a fraction of 64 with one.
    There is a prepared statement per table and number of rows, up to 64; more rows take more.
    OR FAIL spares SQLite the copy of every page that it would need to take half a statement back:
    whatever fails here ends the whole transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._cursor: Any = connection.connection.cursor()

    def together(self) -> AbstractContextManager[object]:
        return nullcontext()

    def find_targets(self, tokens: Iterable[str]) -> list[Target]:
        asked = msgspec.json.encode(list(tokens)).decode()
        (found,) = self._cursor.execute(FIND_TARGETS, (asked,)).fetchone()
        return _read_targets(found)

    def lock_targets(self, tokens: Iterable[str]) -> list[Target]:
        return self.find_targets(tokens)

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        if self._run(_sqlite_claim, rows) == len(rows):
            return {row[:3] for row in rows}
        # Some were there: the new ones are those that name the run they were inserted for.
        execute = self._cursor.execute
        return {row[:3] for row in rows if execute(KEY_OWNER, row[:3]).fetchone()[0] == row[4]}

    def find_facts(self, facts: Sequence[tuple[int, bytes]]) -> list[Row]:
        return self._find(_sqlite_facts, facts)

    def find_keys(self, key_ids: Sequence[KeyId]) -> list[Row]:
        return self._find(_sqlite_keys, key_ids)

    def _find(self, statement: Callable[[int], str], asked: Sequence[Row]) -> list[Row]:
        found: list[Row] = []
        for start in range(0, len(asked), LARGEST_STATEMENT):
            part = asked[start : start + LARGEST_STATEMENT]
            flat = list(chain.from_iterable(part))
            found += self._cursor.execute(statement(len(part)), flat).fetchall()
        return found

    def insert_runs(self, rows: Sequence[Row]) -> None:
        self._run(_sqlite_insert_runs, rows)

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        self._run(lambda count: _sqlite_add(table, count), rows)

    def touch_trackers(self, rows: Sequence[Row]) -> None:
        self._run(_sqlite_touch, rows)

    def _run(self, statement: Callable[[int], str], rows: Sequence[Row]) -> int:
        """Run a statement over all rows, in order; return how many rows it changed."""
        changed = start = 0
        while start < len(rows):
            count = min(LARGEST_STATEMENT, len(rows) - start)
            flat = list(chain.from_iterable(rows[start : start + count]))
            changed += self._cursor.execute(statement(count), flat).rowcount
            start += count
        return changed


def _sqlite_values(width: int, count: int) -> str:
    return ", ".join(["(" + ", ".join(["?"] * width) + ")"] * count)


def _sqlite_insert(table: Table, count: int) -> str:
    names = table.columns.keys()
    values = _sqlite_values(len(names), count)
    return f"INSERT OR FAIL INTO {table.name} ({', '.join(names)}) VALUES {values}"  # noqa: S608 - names of tables.py


@cache
def _sqlite_claim(count: int) -> str:
    return f"{_sqlite_insert(idempotency_keys, count)} ON CONFLICT DO NOTHING"


@cache
def _sqlite_facts(count: int) -> str:
    return f"WITH asked(account_id, digest) AS (VALUES {_sqlite_values(2, count)}) {FACTS}"


@cache
def _sqlite_keys(count: int) -> str:
    values = _sqlite_values(3, count)
    return f"WITH asked(account_id, scope, digest) AS (VALUES {values}) {KNOWN_KEYS}"


@cache
def _sqlite_insert_runs(count: int) -> str:
    return _sqlite_insert(runs, count)


@cache
def _sqlite_add(table: Table, count: int) -> str:
    return f"{_sqlite_insert(table, count)} {sums_on_conflict(table)}"


@cache
def _sqlite_touch(count: int) -> str:
    changes = ", ".join(f"{name} = told.{name}" for name in TOUCHED)
    return (
        f"WITH told(account_id, id, {', '.join(TOUCHED)}) AS"  # noqa: S608 - names of ours
        f" (VALUES {_sqlite_values(2 + len(TOUCHED), count)})"
        f" UPDATE OR FAIL trackers SET {changes}, memory_revision = trackers.memory_revision + 1"
        " FROM told WHERE trackers.account_id = told.account_id AND trackers.id = told.id"
    )
