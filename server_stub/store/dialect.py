"""What tells SQLite from PostgreSQL, apart from the bulk statements (bulk.py)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

PASSING_STATES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""Classes of PostgreSQL's SQLSTATE that speak of the server's state, not of the statement."""

PRIMARY_CODE = 0xFF
PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""SQLite's result codes that speak of the file and its disk, not of the statement."""


SQLITE_CONSTRAINT_DATATYPE = sqlite3.SQLITE_CONSTRAINT | 12 << 8
"""A STRICT table's refusal (https://www.sqlite.org/rescode.html#constraint_datatype)."""

TOO_LARGE = "22003"
"""PostgreSQL's SQLSTATE numeric_value_out_of_range."""

IS_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return the database's own insert, the one that has `on_conflict_do_nothing` and `_update`."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def write_nothing_much(connection: Connection) -> None:
    """Write what changes nothing, so that a disk that is full or read-only shows itself."""
    if is_sqlite(connection):
        # An UPDATE that changes nothing never reaches the file; this does.
        connection.execute(text("PRAGMA user_version = 0"))
    else:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database is away, busy or full, so that trying again later may help."""
    if isinstance(error, PoolTimeoutError):
        return True
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_code(cause) & PRIMARY_CODE in PASSING_CODES
    if not _is_psycopg(cause):
        return False
    state: str | None = getattr(cause, "sqlstate", None)
    if state is not None:
        return state[:2] in PASSING_STATES
    return any(
        kind.__name__ in {"OperationalError", "InterfaceError"} for kind in type(cause).mro()
    )


def is_locked(error: BaseException) -> bool:
    """Tell whether another process held SQLite's file for longer than we waited."""
    cause = _cause(error)
    return isinstance(cause, sqlite3.Error) and _sqlite_code(cause) & PRIMARY_CODE in IS_LOCKED


def is_overflow(error: BaseException) -> bool:
    """Tell whether a figure or a sum does not fit into 64 bits."""
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_code(cause) == SQLITE_CONSTRAINT_DATATYPE
    return isinstance(cause, OverflowError) or getattr(cause, "sqlstate", None) == TOO_LARGE


def is_of_database(error: BaseException) -> bool:
    """Tell whether a database raised this, and no code of ours."""
    cause = _cause(error)
    return isinstance(cause, sqlite3.Error) or _is_psycopg(cause)


def told(error: BaseException) -> str:
    """Say what the database said, without the statement, its values and the rows they concern."""
    cause = _cause(error)
    if not _is_psycopg(cause):
        return f"{type(cause).__name__}: {cause}"
    diagnosis: Any = getattr(cause, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {said}"


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _is_psycopg(cause: BaseException | None) -> bool:
    return type(cause).__module__.partition(".")[0] == "psycopg"


def _sqlite_code(cause: sqlite3.Error) -> int:
    code: int = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code
