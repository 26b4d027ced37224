"""Moves everything a server holds from one database to another, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, func, insert, select, text

from server_stub.store.columns import Json
from server_stub.store.dialect import is_sqlite
from server_stub.store.engine import database_url, writing_engine
from server_stub.store.migrate import upgrade
from server_stub.store.tables import metadata
from telemhq_agents.contract.amounts import AMOUNT_FIELDS
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, RowMapping

ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Copied:
    """One table that was copied, with what both databases say of it."""

    table: str
    rows: int
    total_tokens: int | None = None
    cost_nano: int | None = None


def copy_database(
    source: str, target: str, progress: Callable[[str, int, int], None]
) -> list[Copied]:
    """Copy all rows of the database at `source` into the empty one at `target`.

    Both are brought to the newest schema first. Nobody can write to the source meanwhile; the
    target has everything or nothing, verified by counts and by the sums of every figure. `progress`
    is told the table, how many of its rows are copied, and how many there are. Raises SettingsError
    where there is no source, the target is not empty, the two are one, or the sums differ.
    """
    if source == target:
        raise SettingsError(
            "both names mean one database", "name an empty database as the second one"
        )
    _require_there(source)
    upgrade(source)
    upgrade(target)
    reading, writing = writing_engine(source), writing_engine(target)
    try:
        with reading.connect() as origin, writing.begin() as goal, origin.begin():
            _keep_others_from_writing(origin)
            _require_empty(goal)
            return [_copy(origin, goal, table, progress) for table in metadata.sorted_tables]
    finally:
        reading.dispose()
        writing.dispose()


def _require_there(source: str) -> None:
    """Refuse the name of an SQLite file that is not there: opening it would make it."""
    url = database_url(source)
    if url.drivername == "sqlite" and not Path(url.database or "").is_file():
        raise SettingsError(
            f"there is no database {url.database}", "name the one that the server has used so far"
        )


def _keep_others_from_writing(origin: Connection) -> None:
    """Hold what no writer can pass; a writing transaction of SQLite holds it already."""
    if is_sqlite(origin):
        return
    names = ", ".join(table.name for table in metadata.sorted_tables)
    origin.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))


def _require_empty(goal: Connection) -> None:
    held = [
        table.name
        for table in metadata.sorted_tables
        if goal.execute(select(1).select_from(table).limit(1)).first()
    ]
    if held:
        raise SettingsError(
            f"the database to copy into is not empty: there are rows in {', '.join(held)}",
            "name an empty database; what is there may be worth a backup",
        )


def _copy(
    origin: Connection,
    goal: Connection,
    table: Table,
    progress: Callable[[str, int, int], None],
) -> Copied:
    here = _told(origin, table)
    done = 0
    for rows in _batches(origin, table):
        goal.execute(insert(table), [_fitted(table, row, goal) for row in rows])
        done += len(rows)
        progress(table.name, done, here[0])
    there = _told(goal, table)
    if here != there:
        raise SettingsError(
            f"{table.name} does not add up: {here} here, {there} there; nothing was copied",
            "report this, and stay with the first database",
        )
    figures = dict(zip(AMOUNT_FIELDS, here[1:], strict=False))
    return Copied(table.name, here[0], figures.get("total_tokens"), figures.get("cost_nano"))


def _batches(origin: Connection, table: Table) -> Iterator[list[RowMapping]]:
    """Read a table in the order of its key, some rows at a time."""
    asked = select(table).order_by(*table.primary_key.columns)
    streaming = origin.execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE)
    for rows in streaming.execute(asked).mappings().partitions(ROWS_AT_ONCE):
        yield list(rows)


def _fitted(table: Table, row: RowMapping, goal: Connection) -> dict[str, Any]:
    """Return a row as the other database takes it: JSON is text to SQLite, itself to PostgreSQL."""
    fitted = dict(row)
    for column in table.columns:
        if column.type is Json:
            fitted[column.name] = _json(fitted[column.name], goal)
    return fitted


def _json(value: object, goal: Connection) -> object:
    held = json.loads(value) if isinstance(value, str) else value
    if not is_sqlite(goal):
        return held
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"))


def _told(connection: Connection, table: Table) -> tuple[int, ...]:
    """Return how many rows a table has and, where it has figures, the sum of each."""
    sums = [func.sum(table.c[name]) for name in AMOUNT_FIELDS if name in table.c]
    row = connection.execute(select(func.count(), *sums).select_from(table)).one()
    return tuple(int(value or 0) for value in row)
