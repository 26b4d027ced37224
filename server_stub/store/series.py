"""Figures of a tracker's latest runs: every question about them.

A run is what was judged as one: starts, corrections and pings that only add usage to a run are none.
A chart shows runs as they were sent; what corrections changed later is in the sums.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Text, cast, select

from server_stub.domain.plan import Plan, plan_of
from server_stub.store import dialect
from server_stub.store.tables import accounts, runs
from telemhq_agents.contract.ping import KIND_RUN
from telemhq_agents.contract.series import MOST_CHARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    Reader = Callable[[Sequence[tuple[Any, ...]]], list[list[Any]]]

_NO_STRUCT = re.compile(r'["\\\x00-\x1f]')
"""What msgspec takes in no name of a field."""

_ENDED = itemgetter(0)
_AFTER_ENDED = 1


@dataclass(frozen=True, slots=True)
class OfProjects:
    """Runs by the project of each. `values` has, for each name asked for, what stood there."""

    projects: list[str]
    values: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Charted:
    """Runs in the order they ended. `values` has, for each name asked for, what stood there.

    None stands for null and for a payload that has no such field.
    """

    ended_ms: list[int]
    values: list[list[Any]]


def plan_for(connection: Connection, account_id: int) -> Plan:
    """Return the plan of an account."""
    asked = select(accounts.c.plan).where(accounts.c.id == account_id)
    return plan_of(connection.execute(asked).scalar() or "")


def window(connection: Connection, account_id: int, asked: int) -> int:
    """Return how many of a tracker's latest runs may be charted, of those asked for."""
    allowed = plan_for(connection, account_id).charted_runs
    return min(asked, MOST_CHARTED, MOST_CHARTED if allowed is None else allowed)


def charted(
    connection: Connection,
    account_id: int,
    tracker_id: int,
    *,
    names: Sequence[str],
    limit: int,
    project: str | None,
) -> Charted:
    """Return what stood under each of these names of the payloads of up to `limit` latest runs.

    A project's runs are looked for among the latest 100,000 of the tracker.
    """
    columns, read = value_columns(connection, names, _AFTER_ENDED)
    latest = _latest(account_id, tracker_id, limit if project is None else MOST_CHARTED)
    if project is None:
        asked = latest.with_only_columns(runs.c.ended_ms, *columns)
    else:
        ids = latest.with_only_columns(runs.c.id, runs.c.project).subquery()
        asked = select(runs.c.ended_ms, *columns).where(
            *is_run_of(account_id, tracker_id),
            runs.c.id.in_(select(ids.c.id).where(ids.c.project == project)),
        )
        asked = asked.order_by(runs.c.id.desc()).limit(limit)
    rows = fetched(connection, asked)
    rows.reverse()
    # Arrival is nearly always the order in which runs ended, and sorting keeps it where it is.
    rows.sort(key=_ENDED)
    return Charted(list(map(_ENDED, rows)), read(rows))


def by_project(
    connection: Connection, account_id: int, tracker_id: int, *, names: Sequence[str], limit: int
) -> OfProjects:
    """Return the project of each of up to `limit` latest runs, and what stood under these names."""
    columns, read = value_columns(connection, names, _AFTER_ENDED)
    latest = _latest(account_id, tracker_id, limit)
    rows = fetched(connection, latest.with_only_columns(runs.c.project, *columns))
    return OfProjects([row[0] for row in rows], read(rows))


def payloads(
    connection: Connection, account_id: int, tracker_id: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return (ended_ms, payload) of a tracker's latest runs, newest arrival first."""
    asked = _latest(account_id, tracker_id, limit)
    asked = asked.with_only_columns(runs.c.ended_ms, cast(runs.c.payload, Text))
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return [(ended_ms, decode(payload)) for ended_ms, payload in fetched(connection, asked)]


def is_run_of(account_id: int, tracker_id: int) -> tuple[ColumnElement[bool], ...]:
    """Tell what is a run of a tracker, and no start, correction or ping beside a run."""
    return (
        runs.c.account_id == account_id,
        runs.c.tracker_id == tracker_id,
        runs.c.kind == KIND_RUN,
        runs.c.runs > 0,
    )


def _latest(account_id: int, tracker_id: int, limit: int) -> Select[Any]:
    asked = select(runs.c.id).where(*is_run_of(account_id, tracker_id))
    return asked.order_by(runs.c.id.desc()).limit(limit)


def fetched(connection: Connection, asked: Select[Any]) -> list[tuple[Any, ...]]:
    """Return plain tuples, as the driver makes them: a hundred thousand rows cost twice as much."""
    cursor: Any = connection.execute(asked).cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def value_columns(
    connection: Connection, names: Sequence[str], place: int
) -> tuple[list[ColumnElement[Any]], Reader]:
    """Return what to select for values of payloads, and how to read them off rows, name by name.

    `place` is the number of the first of these columns in a row. A name that a payload does not
    have reads as null. SQLite hands out the text, and reading the few values wanted here is faster
    than asking SQLite; PostgreSQL has it parsed and hands out each value.
    """
    if not dialect.is_sqlite(connection):
        fields: list[ColumnElement[Any]] = [
            cast(runs.c.payload.op("->")(cast(name, Text)), Text).label(f"value_{number}")
            for number, name in enumerate(names)
        ]
        return fields, lambda rows: [
            _read_values(map(itemgetter(place + number), rows)) for number in range(len(names))
        ]
    return [runs.c.payload], _text_reader(names, place)


def _text_reader(names: Sequence[str], place: int) -> Reader:
    """Return how to read values off payloads as text; a struct reads twice as fast as a dict."""
    if any(map(_NO_STRUCT.search, names)):
        whole = msgspec.json.Decoder(dict[str, Any]).decode

        def read_whole(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
            found = [whole(row[place]) for row in rows]
            return [[payload.get(name) for payload in found] for name in names]

        return read_whole
    shape = msgspec.defstruct(
        "Wanted",
        [(f"value_{number}", Any, None) for number in range(len(names))],
        rename={f"value_{number}": name for number, name in enumerate(names)},
        gc=False,
    )
    decode = msgspec.json.Decoder(shape).decode

    def read(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
        found = [decode(row[place]) for row in rows]
        return [list(map(attrgetter(f"value_{number}"), found)) for number in range(len(names))]

    return read


def _read_values(texts: Iterable[str | None]) -> list[Any]:
    """Read values of JSON, all at once."""
    values: list[Any] = msgspec.json.decode(f"[{','.join([text or 'null' for text in texts])}]")
    return values
