"""How many pings wait in the ledger, at a glance: read alone, and nothing is waited for."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT_S = 0.1
_COUNTS = "SELECT state, count(*) FROM outbox GROUP BY state"


def sqlite_version() -> str:
    """Return the version of the SQLite that ledgers are kept with."""
    return sqlite3.sqlite_version


def waiting(path: Path) -> dict[str, int] | None:
    """Return how many pings there are in each state of the outbox.

    None where there is no ledger, or none that can be read at once.
    """
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_TIMEOUT_S, uri=True
        )
    except sqlite3.Error:
        return None
    try:
        return dict(connection.execute(_COUNTS).fetchall())
    except sqlite3.Error:
        return None
    finally:
        connection.close()
