"""Sums by quarter-hour: every question about them. Runs are never read here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, case, literal, select

from server_stub.domain.usage_window import DAY_MS, HOUR_MS
from server_stub.store.exact import added_up
from server_stub.store.tables import buckets, session_buckets
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from server_stub.domain.usage_question import UsageQuestion
    from server_stub.domain.usage_window import OffsetSpan

_COLUMN_OF_GROUP = {
    "model": "model",
    "project": "project",
    "member": "member_id",
    "session": "session_id",
    "thread": "thread_id",
    "source": "source",
    "tracker": "tracker_id",
}


Key = int | str | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sums:
    """One group of a report before its keys are named.

    `keys` are in the order of `group_by`: a member's or tracker's id, a local day counted from
    1970-01-01 (for a week or month too, of which there are as many as it has days), a local hour
    with its offset in milliseconds, else the text itself.
    """

    keys: tuple[Key, ...]
    amounts: Amounts


def extent(connection: Connection, question: UsageQuestion) -> tuple[int, int] | None:
    """Return the first and the last quarter-hour that an account has sums in; None without any."""
    table = _table(question)
    ends = []
    for order in (table.c.quarter_ms.asc(), table.c.quarter_ms.desc()):
        asked = select(table.c.quarter_ms).where(*_window(table, question)).order_by(order).limit(1)
        ends.append(connection.execute(asked).scalar())
    first, last = ends
    return None if first is None or last is None else (first, last)


def sums(
    connection: Connection, question: UsageQuestion, spans: Sequence[OffsetSpan]
) -> list[Sums]:
    """Add up the buckets that a question asks for, one `Sums` for each group.

    `spans` are the offsets of local time over the window; needed for groups of time only.
    """
    table = _table(question)
    keys = _keys(table, question, spans)
    figures = [table.c[name] for name in AMOUNT_FIELDS]
    # A subquery, so that the database sees the grouped expressions once, parameters and all.
    rows = select(*keys, *figures).where(*_window(table, question), *filters(table, question))
    chosen = rows.subquery()
    grouped = [chosen.c[key.name] for key in keys]
    found = added_up(
        connection,
        [chosen.c[name] for name in AMOUNT_FIELDS],
        lambda added: select(*grouped, *added).group_by(*grouped),
    )
    return [Sums(_named(question.group_by, keys), Amounts(*sums)) for keys, sums in found]


def runs_by_tracker(
    connection: Connection, account_id: int, tracker_id: int | None = None
) -> dict[int, int]:
    """Return how many runs an account's trackers, or one of them, have had.

    A tracker without any run is left out.
    """
    conditions = [buckets.c.account_id == account_id]
    if tracker_id is not None:
        conditions.append(buckets.c.tracker_id == tracker_id)
    found = added_up(
        connection,
        [buckets.c.runs],
        lambda added: (
            select(buckets.c.tracker_id, *added).where(*conditions).group_by(buckets.c.tracker_id)
        ),
    )
    return {tracker: runs for (tracker,), (runs,) in found}


def conditions(table: Table, question: UsageQuestion) -> list[ColumnElement[bool]]:
    """Return what holds for the rows of a table of buckets that a question is about."""
    return [*_window(table, question), *filters(table, question)]


def _table(question: UsageQuestion) -> Table:
    return session_buckets if question.needs_sessions else buckets


def _window(table: Table, question: UsageQuestion) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [table.c.account_id == question.account_id]
    if question.window.since_ms is not None:
        conditions.append(table.c.quarter_ms >= question.window.since_ms)
    if question.window.until_ms is not None:
        conditions.append(table.c.quarter_ms < question.window.until_ms)
    return conditions


def filters(table: Table, question: UsageQuestion) -> list[ColumnElement[bool]]:
    """Return what holds for the rows that a question's filters let pass, of buckets or of runs."""
    allowed: dict[str, tuple[int, ...] | tuple[str, ...]] = {
        "member_id": question.member_ids,
        "tracker_id": question.tracker_ids,
        "project": question.projects,
        "model": question.models,
        "source": question.sources,
    }
    return [table.c[column].in_(values) for column, values in allowed.items() if values]


def _keys(
    table: Table, question: UsageQuestion, spans: Sequence[OffsetSpan]
) -> list[ColumnElement[Any]]:
    keys: list[ColumnElement[Any]] = []
    for group in question.group_by:
        match group:
            case "day" | "week" | "month":
                local = table.c.quarter_ms + _offset(table, spans)
                keys.append((local // DAY_MS).label(f"local_{group}"))
            case "hour":
                offset = _offset(table, spans)
                keys.append(((table.c.quarter_ms + offset) // HOUR_MS).label("local_hour"))
                keys.append(offset.label("offset_ms"))
            case _:
                keys.append(table.c[_COLUMN_OF_GROUP[group]])
    return keys


def _offset(table: Table, spans: Sequence[OffsetSpan]) -> ColumnElement[int]:
    last = literal(spans[-1].offset_ms, BigInteger)
    ends = [
        (table.c.quarter_ms < following.start_ms, literal(span.offset_ms, BigInteger))
        for span, following in pairwise(spans)
    ]
    return case(*ends, else_=last) if ends else last


def _named(group_by: tuple[str, ...], values: Sequence[Any]) -> tuple[Key, ...]:
    """Return the keys of a row, an hour's two columns as one."""
    parts = iter(values)
    return tuple(
        (next(parts), next(parts)) if group == "hour" else next(parts) for group in group_by
    )
