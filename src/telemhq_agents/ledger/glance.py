"""Two sums out of the ledger for a line that is drawn again and again. Imports next to nothing.

The ledger is opened for reading alone: nothing is made, migrated or waited for, so a reader in a
hurry never stands in the way of whoever books.
"""

from __future__ import annotations

import sqlite3

BUSY_TIMEOUT_S = 0.1
Sums = tuple[int, int, int]
"""Tokens, cost in nano-USD, and the tokens among them that nobody knows a price for."""

_SUMS = "SELECT sum(total_tokens), sum(cost_nano), sum(unpriced_tokens) FROM buckets WHERE "
_OF_SESSION = _SUMS + "session_id = ?"
_SINCE = _SUMS + "quarter_ms >= ?"


def glance(path: str, session_id: str, since_ms: int) -> tuple[Sums, Sums] | None:
    """Return what a session used, and what was used since the quarter-hour `since_ms`.

    None where there is no ledger, or none that can be read at once: held by another process,
    damaged, or written by a version that keeps its sums elsewhere.
    """
    try:
        connection = sqlite3.connect(_address(path), timeout=BUSY_TIMEOUT_S, uri=True)
    except sqlite3.Error:
        return None
    try:
        return _sums(connection, _OF_SESSION, session_id), _sums(connection, _SINCE, since_ms)
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def _sums(connection: sqlite3.Connection, query: str, value: str | int) -> Sums:
    tokens, cost_nano, unpriced = connection.execute(query, (value,)).fetchone()
    return tokens or 0, cost_nano or 0, unpriced or 0


def _address(path: str) -> str:
    # urllib.parse would do the same in 4 ms.
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{name}?mode=ro"
