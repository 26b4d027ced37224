"""Opening the ledger's file, its transactions, and what its errors mean to a person."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.errors import BrokenLedgerError, DamagedError, TelemhqError
from telemhq_agents.ledger.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 30.0
PAUSE_S = 0.01
PAGE_BYTES = 8192
"""Of a new ledger: a first reading fills it in a tenth less time than with SQLite's own 4 KiB."""
PAGES_BEFORE_CHECKPOINT = 8_000
"""A first reading changes the same pages again and again, and each would be copied often."""
MOST_LEFT_OF_LOG_BYTES = 8 << 20
"""What the write-ahead log keeps of the disk once its pages are copied."""
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY_CODE = 0xFF
_NO_TEXT = "Could not decode to UTF-8"
"""What Python's sqlite3 says, without a code, of a text that damage has overwritten."""


def open_connection(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path`, made if it is not there (file 0600, directory 0700).

    Raises DamagedError when it cannot be read, SettingsError when a newer program wrote it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    except OSError as error:
        raise DamagedError(
            f"The ledger {path} cannot be opened: {error.strerror or error}.",
            "Check the permissions of the file and its directory.",
        ) from error
    with explained(path):
        return _prepared(path)


def _make(path: Path) -> None:
    """Make the file where there is none; one that is there is never opened by us.

    Closing any descriptor of it would drop every lock that this process's other connections hold on
    it (https://www.sqlite.org/howtocorrupt.html, 2.2), and another process, thinking itself alone,
    would take their write-ahead log away.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def _prepared(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32000")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BEFORE_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {MOST_LEFT_OF_LOG_BYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for others who do the same, so this does."""
    until = clock.monotonic_ns() + int(BUSY_TIMEOUT_S * 1e9)
    pause = Event()
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or clock.monotonic_ns() > until:
                raise
            pause.wait(PAUSE_S)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make what happens inside one step; inside another transaction it becomes part of that."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours: which file, what happened, what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explain(path, error) from error


def _code(error: sqlite3.DatabaseError) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY_CODE


def _explain(path: Path, error: sqlite3.DatabaseError) -> TelemhqError:
    code = _code(error)
    if code in _BROKEN or str(error).startswith(_NO_TEXT):
        return BrokenLedgerError(
            f"The ledger {path} is damaged: {error}.",
            "telemhq ledger verify --repair moves it away and makes it again out of the logs and "
            "the newest backup; what the server has is not counted twice.",
        )
    if code in _BUSY:
        return TelemhqError(
            f"The ledger {path} is held by another process.", "Try again in a minute."
        )
    return DamagedError(
        f"The ledger {path} cannot be used: {error}.",
        "Check the space left on its disk and the permissions of its directory.",
    )
