"""What each destination was last told, row by row."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.ledger.records import Parcel, Told

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

PARCEL_COLUMNS = tuple(field.name for field in fields(Parcel))
TOLD_COLUMNS = (
    "key",
    "destination",
    "revision",
    "shared",
    "last_ms",
    "named",
    *AMOUNT_FIELDS,
)

_ADD = (
    f"INSERT INTO told ({', '.join((*PARCEL_COLUMNS, *TOLD_COLUMNS))}) "
    f"VALUES ({', '.join('?' * (len(PARCEL_COLUMNS) + len(TOLD_COLUMNS)))})"
)
_SAVE = f"UPDATE told SET {', '.join(f'{name} = ?' for name in TOLD_COLUMNS)} WHERE id = ?"
_KNOWN_NOW = f"""
    SELECT {", ".join(f"coalesce(sum(b.{name}), 0)" for name in AMOUNT_FIELDS)}
    FROM told JOIN buckets b INDEXED BY buckets_span
        ON {" AND ".join(f"b.{name} = told.{name}" for name in PARCEL_COLUMNS)}
    WHERE told.id = ?"""


@dataclass(frozen=True, slots=True)
class ToldRow:
    """A told state and its row; `waiting` while a ping of the parcel is in the outbox."""

    id: int
    waiting: bool
    told: Told


def told_from(columns: Sequence[Any]) -> Told:
    """Read a told state from `TOLD_COLUMNS`."""
    key, destination, revision, shared, last_ms, named, *amounts = columns
    return Told(key, destination, Amounts(*amounts), revision, bool(shared), last_ms, named)


def _columns(told: Told) -> tuple[Any, ...]:
    state = (told.key, told.destination, told.revision, told.shared, told.last_ms, told.named)
    return *state, *told.amounts.values()


def add_told(connection: sqlite3.Connection, parcel: Parcel, told: Told) -> int:
    """Write what a destination is told for the first time; return the row's id."""
    row = connection.execute(_ADD, (*astuple(parcel), *_columns(told)))
    return row.lastrowid or 0


def save_told(connection: sqlite3.Connection, row_id: int, told: Told) -> None:
    """Write a later state of the same row."""
    connection.execute(_SAVE, (*_columns(told), row_id))


def read_told(connection: sqlite3.Connection, row_id: int) -> Told:
    """Return the state of a row."""
    columns = ", ".join(TOLD_COLUMNS)
    row = connection.execute(f"SELECT {columns} FROM told WHERE id = ?", (row_id,))
    return told_from(row.fetchone())


def known_now(connection: sqlite3.Connection, row_id: int) -> Amounts:
    """Return what the ledger knows at present of the parcel that a row tells."""
    return Amounts(*connection.execute(_KNOWN_NOW, (row_id,)).fetchone())


def reopen(connection: sqlite3.Connection, row_id: int) -> None:
    """Have the parcel of a row looked at again."""
    connection.execute(
        "INSERT OR IGNORE INTO open_spans (source, session_id, thread_id, span, touched_ms) "
        "SELECT source, session_id, thread_id, span, 0 FROM told WHERE id = ?",
        (row_id,),
    )


def keys_like(connection: sqlite3.Connection, base: str) -> set[str]:
    """Return the keys in use that are `base`, or `base` with a number."""
    rows = connection.execute(
        "SELECT key FROM told WHERE key = ? OR (key > ? AND key < ?)",
        (base, f"{base}#", f"{base}$"),
    )
    return {key for (key,) in rows}
