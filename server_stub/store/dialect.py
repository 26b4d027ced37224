"""What tells SQLite from PostgreSQL, apart from the bulk statements (bulk.py)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

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


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return the database's own insert, the one that has `on_conflict_do_nothing` and `_update`."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database is away, busy or full, so that trying again later may help."""
    if isinstance(error, PoolTimeoutError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code & PRIMARY_CODE in PASSING_CODES
    if type(cause).__module__.partition(".")[0] != "psycopg":
        return False
    state: str | None = getattr(cause, "sqlstate", None)
    if state is not None:
        return state[:2] in PASSING_STATES
    return any(
        kind.__name__ in {"OperationalError", "InterfaceError"} for kind in type(cause).mro()
    )
