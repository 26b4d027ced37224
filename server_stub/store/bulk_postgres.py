"""The hot path's statements on PostgreSQL: one array per column (`unnest`), a round trip each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, LargeBinary, Text

from server_stub.store.columns import Json
from server_stub.store.lookups import KNOWN_KEYS, RUNS_OF_FACTS, KeyId, Row, sums_on_conflict
from server_stub.store.tables import idempotency_keys, runs, trackers
from server_stub.store.target import COLUMNS, TARGETS, TOUCHED, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Column, Connection, Table

SEPARATOR = "\x1f"
"""Stands between texts while all of them are escaped at once."""

FIND_TARGETS = f"""
    SELECT {", ".join(COLUMNS)} {TARGETS} WHERE token.token = ANY(%s::text[])
"""
LOCK_TARGETS = f"""
    {FIND_TARGETS} ORDER BY tracker.account_id, tracker.id FOR NO KEY UPDATE OF tracker
"""
FACTS = f"""
    WITH asked AS (SELECT * FROM unnest(%s::bigint[], %s::bytea[]) AS given(account_id, digest))
    {RUNS_OF_FACTS % ""}
"""  # noqa: S608 - constants of ours
KEYS = f"""
    WITH asked AS (
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])
            AS given(account_id, scope, digest)
    )
    {KNOWN_KEYS}
"""  # noqa: S608 - constants of ours


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

    def find_targets(self, tokens: Iterable[str]) -> list[Target]:
        return [Target(*row) for row in self._find(FIND_TARGETS, [_texts(tokens)])]

    def lock_targets(self, tokens: Iterable[str]) -> list[Target]:
        return [Target(*row) for row in self._find(LOCK_TARGETS, [_texts(tokens)])]

    def claim_keys(self, rows: Sequence[Row]) -> set[KeyId]:
        statement = f"{_postgres_insert(idempotency_keys)} ON CONFLICT DO NOTHING RETURNING run_id"
        self._execute(statement, _arrays(idempotency_keys, rows))
        won = {run_id for (run_id,) in self._cursor.fetchall()}
        return {row[:3] for row in rows if row[4] in won}

    def find_facts(self, facts: Sequence[tuple[int, bytes]]) -> list[Row]:
        accounts, digests = zip(*facts, strict=True)
        return self._find(FACTS, [_numbers(accounts), _bytes(digests)])

    def find_keys(self, key_ids: Sequence[KeyId]) -> list[Row]:
        accounts, scopes, digests = zip(*key_ids, strict=True)
        columns = [_numbers(accounts), _numbers(scopes), _bytes(digests)]
        return self._find(KEYS, columns)

    def _find(self, statement: str, parameters: Sequence[str]) -> list[Row]:
        self._execute(statement, parameters)
        found: list[Row] = self._cursor.fetchall()
        return found

    def insert_runs(self, rows: Sequence[Row]) -> None:
        self._execute(_postgres_insert(runs), _arrays(runs, rows))

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        self._execute(_postgres_add(table), _arrays(table, rows))

    def touch_trackers(self, rows: Sequence[Row]) -> None:
        self._execute(_postgres_touch(), _columns(TOLD_TYPES, rows))

    def _execute(self, statement: str, parameters: Sequence[str]) -> None:
        self._cursor.execute(statement, parameters, prepare=True)


def _arrays(table: Table, rows: Sequence[Row]) -> list[str]:
    return _columns(_array_types(table), rows)


def _columns(kinds: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return one array literal per column."""
    columns = zip(*rows, strict=True)
    return [ARRAY_WRITERS[kind](column) for kind, column in zip(kinds, columns, strict=True)]


def _numbers(values: Iterable[int | None]) -> str:
    return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"


def _flags(values: Iterable[bool]) -> str:
    return "{" + ",".join("t" if value else "f" for value in values) + "}"


def _texts(values: Iterable[str | None]) -> str:
    listed = list(values)
    try:
        joined = SEPARATOR.join(listed)  # type: ignore[arg-type]  # - where there is no null
    except TypeError:
        return _texts_or_nulls(listed)
    if joined.count(SEPARATOR) != len(listed) - 1:
        return _texts_or_nulls(listed)
    return '{"' + _escaped(joined).replace(SEPARATOR, '","') + '"}'


def _texts_or_nulls(values: Iterable[str | None]) -> str:
    return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"


def _quoted(value: str) -> str:
    return '"' + _escaped(value) + '"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


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
        f"{column.name}::json" if column.type is Json else column.name for column in table.columns
    )
    arrays = ", ".join(f"%s::{kind}[]" for kind in _array_types(table))
    return (
        f"INSERT INTO {table.name} ({names})"  # noqa: S608 - names of tables.py
        f" SELECT {values} FROM unnest({arrays}) AS given({names})"
    )


@cache
def _postgres_add(table: Table) -> str:
    return f"{_postgres_insert(table)} {sums_on_conflict(table)}"


TOLD = ("account_id", "id", *TOUCHED)
TOLD_TYPES = tuple(_array_type(trackers.c[name]) for name in TOLD)


@cache
def _postgres_touch() -> str:
    arrays = ", ".join(f"%s::{kind}[]" for kind in TOLD_TYPES)
    changes = ", ".join(f"{name} = told.{name}" for name in TOUCHED)
    return (
        f"UPDATE trackers SET {changes}, memory_revision = trackers.memory_revision + 1"  # noqa: S608 - names of ours
        f" FROM unnest({arrays}) AS told({', '.join(TOLD)})"
        " WHERE trackers.account_id = told.account_id AND trackers.id = told.id"
    )
