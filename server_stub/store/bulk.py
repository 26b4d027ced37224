"""The hot path's statements, many rows at a time, in each database's own fastest way.

SQLite prepares a statement once and steps through the rows; PostgreSQL takes one array per column
(`unnest`), one round trip per statement. Both go past SQLAlchemy's row handling, which costs more
than the databases do. Names in the statements come from tables.py alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from sqlalchemy import Boolean, LargeBinary, Text

from server_stub.domain.membership import ACTIVE
from server_stub.store.dialect import is_sqlite
from server_stub.store.tables import (
    Json,
    idempotency_keys,
    memberships,
    runs,
    trackers,
    tracking_tokens,
)
from telemhq_agents.contract.amounts import AMOUNT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Column, Connection, Table

Row = tuple[Any, ...]
KeyId = tuple[int, int, bytes]
"""Account, scope, digest."""

FIND_TRACKER = f"""
    SELECT token.token, tracker.account_id, tracker.id, tracker.owner_id,
           token.revoked_ms IS NOT NULL OR tracker.deleted_ms IS NOT NULL AS gone,
           coalesce(member.state, '{ACTIVE}') <> '{ACTIVE}' AS revoked
    FROM {tracking_tokens.name} AS token
    JOIN {trackers.name} AS tracker
      ON tracker.account_id = token.account_id AND tracker.id = token.tracker_id
    LEFT JOIN {memberships.name} AS member
      ON member.account_id = tracker.account_id AND member.user_id = tracker.owner_id
"""  # noqa: S608 - constants of ours
TOUCH_TRACKERS = """
    trackers SET last_run_ms = latest.run_ms, last_status = latest.status,
        state = CASE WHEN trackers.state = 'new' THEN 'active' ELSE trackers.state END
    FROM latest WHERE trackers.account_id = latest.account_id AND trackers.id = latest.id
        AND coalesce(trackers.last_run_ms, latest.run_ms) <= latest.run_ms
"""
SQLITE_FIND_TRACKERS = f"""
    SELECT json_group_array(json_array(token, account_id, id, owner_id, gone, revoked))
    FROM ({FIND_TRACKER} WHERE token.token IN (SELECT value FROM json_each(?)))
"""  # noqa: S608 - constants of ours
POSTGRES_TOUCH_TRACKERS = f"""
    WITH latest AS MATERIALIZED (
        SELECT told.*
        FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
            AS told(run_ms, status, account_id, id)
        JOIN trackers USING (account_id, id)
        ORDER BY account_id, id FOR UPDATE OF trackers
    ) UPDATE {TOUCH_TRACKERS}
"""  # noqa: S608 - constants of ours
"""Locks in the order of the rows, so that two processes cannot wait for each other."""

FACT_COLUMNS = (
    *("account_id", "fact_digest", "kind", "revision", "tracker_id", "member_id", "id", "ended_ms"),
    *("project", "model", "source", "session_id", "thread_id"),
    *AMOUNT_FIELDS,
)
RUNS_OF_FACTS = f"""
    SELECT {", ".join(f"run.{name}" for name in FACT_COLUMNS)}
    FROM asked CROSS JOIN {runs.name} AS run %s
    WHERE run.account_id = asked.account_id AND run.fact_digest = asked.digest
        AND run.fact_digest IS NOT NULL
"""  # noqa: S608 - constants of ours
KNOWN_KEYS = f"""
    SELECT known.account_id, known.scope, known.digest, known.run_id, known.received_ms,
        run.tracker_id, run.member_id, run.kind
    FROM asked CROSS JOIN {idempotency_keys.name} AS known
    LEFT JOIN {runs.name} AS run ON run.account_id = known.account_id
        AND run.tracker_id = known.tracker_id AND run.id = known.run_id
    WHERE known.account_id = asked.account_id AND known.scope = asked.scope
        AND known.digest = asked.digest
"""  # noqa: S608 - constants of ours
# SQLite reads the whole table for `(a, b) IN (VALUES …)`, and without being told the index it
# would read all runs of the account.
SQLITE_FACTS = RUNS_OF_FACTS % "INDEXED BY ix_runs_fact"
POSTGRES_FACTS = f"""
    WITH asked AS (SELECT * FROM unnest(%s::bigint[], %s::bytea[]) AS given(account_id, digest))
    {RUNS_OF_FACTS % ""}
"""  # noqa: S608 - constants of ours
POSTGRES_KEYS = f"""
    WITH asked AS (
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])
            AS given(account_id, scope, digest)
    )
    {KNOWN_KEYS}
"""  # noqa: S608 - constants of ours
SQLITE_KEY_OWNER = """
    SELECT run_id FROM idempotency_keys WHERE account_id = ? AND scope = ? AND digest = ?
"""
LARGEST_STATEMENT = 64
"""Rows. Times 33 columns well below the 32,766 parameters that SQLite takes by default."""


@dataclass(frozen=True, slots=True)
class Target:
    """The tracker behind a tracking token; `gone` when either was taken back.

    `revoked` when its owner is no longer a member of the account.
    """

    account_id: int
    tracker_id: int
    member_id: int
    gone: bool
    revoked: bool


class Bulk(Protocol):
    """The statements of one group commit, on one connection."""

    def together(self) -> AbstractContextManager[object]:
        """Send what follows without waiting for each answer, where the database can do that."""

    def find_targets(self, tokens: Iterable[str]) -> dict[str, Target]:
        """Return the tracker of each token that is known."""

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        """Insert rows of `idempotency_keys`; return which of them were not there before."""

    def find_facts(self, facts: Sequence[tuple[int, bytes]]) -> list[Row]:
        """Return the runs that book or correct collector facts (account, digest): `FACT_COLUMNS`."""

    def find_keys(self, key_ids: Sequence[KeyId]) -> list[Row]:
        """Return the keys that are known: themselves, the run's id and its arrival.

        Then the tracker, member and kind of the run, None where it is no longer kept.
        """

    def insert_runs(self, rows: Sequence[Row]) -> None:
        """Insert rows of `runs`, in the order of its columns."""

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows of a bucket table; where a key is there already, add the sums."""

    def touch_trackers(self, rows: Sequence[Row]) -> None:
        """Note the latest run of trackers: rows of (last_run_ms, last_status, account, id)."""


def bulk(connection: Connection) -> Bulk:
    """Return the statements for this connection's database."""
    return SqliteBulk(connection) if is_sqlite(connection) else PostgresBulk(connection)


def _sums_on_conflict(table: Table) -> str:
    keys = ", ".join(column.name for column in table.primary_key.columns)
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in AMOUNT_FIELDS)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {sums}"


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

    def find_targets(self, tokens: Iterable[str]) -> dict[str, Target]:
        asked = msgspec.json.encode(list(tokens)).decode()
        (found,) = self._cursor.execute(SQLITE_FIND_TRACKERS, (asked,)).fetchone()
        return {
            row[0]: Target(row[1], row[2], row[3], bool(row[4]), bool(row[5]))
            for row in msgspec.json.decode(found)
        }

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        if self._run(_sqlite_claim, rows) == len(rows):
            return {row[:3] for row in rows}
        # Some were there: the new ones are those that name the run they were inserted for.
        execute = self._cursor.execute
        return {
            row[:3] for row in rows if execute(SQLITE_KEY_OWNER, row[:3]).fetchone()[0] == row[4]
        }

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
    return f"WITH asked(account_id, digest) AS (VALUES {_sqlite_values(2, count)}) {SQLITE_FACTS}"


@cache
def _sqlite_keys(count: int) -> str:
    values = _sqlite_values(3, count)
    return f"WITH asked(account_id, scope, digest) AS (VALUES {values}) {KNOWN_KEYS}"


@cache
def _sqlite_insert_runs(count: int) -> str:
    return _sqlite_insert(runs, count)


@cache
def _sqlite_add(table: Table, count: int) -> str:
    return f"{_sqlite_insert(table, count)} {_sums_on_conflict(table)}"


@cache
def _sqlite_touch(count: int) -> str:
    return (
        "WITH latest(run_ms, status, account_id, id) AS"
        f" (VALUES {_sqlite_values(4, count)}) UPDATE OR FAIL {TOUCH_TRACKERS}"
    )


class PostgresBulk:
    """Statements with one array per column, written as PostgreSQL's array literals.

    (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO; joining texts ourselves costs a
    sixth of having the driver adapt lists value by value.)
    """

    def __init__(self, connection: Connection) -> None:
        self._cursor: Any = connection.connection.cursor()

    def together(self) -> AbstractContextManager[object]:
        pipeline: AbstractContextManager[object] = self._cursor.connection.pipeline()
        return pipeline

    def find_targets(self, tokens: Iterable[str]) -> dict[str, Target]:
        statement = FIND_TRACKER + "WHERE token.token = ANY(%s::text[])"
        self._execute(statement, [_texts(tokens)])
        return {row[0]: Target(*row[1:]) for row in self._cursor.fetchall()}

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        statement = f"{_postgres_insert(idempotency_keys)} ON CONFLICT DO NOTHING RETURNING run_id"
        self._execute(statement, _arrays(idempotency_keys, rows))
        won = {run_id for (run_id,) in self._cursor.fetchall()}
        return {row[:3] for row in rows if row[4] in won}

    def find_facts(self, facts: Sequence[tuple[int, bytes]]) -> list[Row]:
        accounts, digests = zip(*facts, strict=True)
        return self._find(POSTGRES_FACTS, [_numbers(accounts), _bytes(digests)])

    def find_keys(self, key_ids: Sequence[KeyId]) -> list[Row]:
        accounts, scopes, digests = zip(*key_ids, strict=True)
        columns = [_numbers(accounts), _numbers(scopes), _bytes(digests)]
        return self._find(POSTGRES_KEYS, columns)

    def _find(self, statement: str, parameters: Sequence[str]) -> list[Row]:
        self._execute(statement, parameters)
        found: list[Row] = self._cursor.fetchall()
        return found

    def insert_runs(self, rows: Sequence[Row]) -> None:
        self._execute(_postgres_insert(runs), _arrays(runs, rows))

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        self._execute(_postgres_add(table), _arrays(table, rows))

    def touch_trackers(self, rows: Sequence[Row]) -> None:
        moments, statuses, accounts, ids = zip(*rows, strict=True)
        columns = [_numbers(moments), _texts(statuses), _numbers(accounts), _numbers(ids)]
        self._execute(POSTGRES_TOUCH_TRACKERS, columns)

    def _execute(self, statement: str, parameters: Sequence[str]) -> None:
        self._cursor.execute(statement, parameters, prepare=True)


def _arrays(table: Table, rows: Sequence[Row]) -> list[str]:
    """Return one array literal per column."""
    columns = zip(*rows, strict=True)
    return [
        ARRAY_WRITERS[kind](column)
        for kind, column in zip(_array_types(table), columns, strict=True)
    ]


def _numbers(values: Iterable[int | None]) -> str:
    return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"


def _flags(values: Iterable[bool]) -> str:
    return "{" + ",".join("t" if value else "f" for value in values) + "}"


def _texts(values: Iterable[str]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return '{"' + '","'.join(escaped) + '"}'


def _bytes(values: Iterable[bytes | None]) -> str:
    return "{" + ",".join(f'"\\\\x{value.hex()}"' if value else "NULL" for value in values) + "}"


ARRAY_WRITERS: dict[str, Callable[[Iterable[Any]], str]] = {
    "bigint": _numbers,
    "boolean": _flags,
    "text": _texts,
    "bytea": _bytes,
}


@cache
def _array_types(table: Table) -> tuple[str, ...]:
    return tuple(_array_type(column) for column in table.columns)


def _array_type(column: Column[Any]) -> str:
    if column.type is Json or isinstance(column.type, Text):
        return "text"
    if isinstance(column.type, LargeBinary):
        return "bytea"
    return "boolean" if isinstance(column.type, Boolean) else "bigint"


@cache
def _postgres_insert(table: Table) -> str:
    names = ", ".join(table.columns.keys())
    values = ", ".join(
        f"{column.name}::jsonb" if column.type is Json else column.name for column in table.columns
    )
    arrays = ", ".join(f"%s::{kind}[]" for kind in _array_types(table))
    return (
        f"INSERT INTO {table.name} ({names})"  # noqa: S608 - names of tables.py
        f" SELECT {values} FROM unnest({arrays}) AS given({names})"
    )


@cache
def _postgres_add(table: Table) -> str:
    return f"{_postgres_insert(table)} {_sums_on_conflict(table)}"
