"""Which facts are no exact figures, and why."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.ledger.report import columns_of, limits

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from telemhq_agents.usage import Source

# Under the names of the columns that buckets have, so that both are narrowed alike.
_FACTS = f"""
    (SELECT o.source, o.session_id, o.thread_id, o.model, p.project, f.estimate,
        f.at_ms - f.at_ms % {QUARTER_MS} AS quarter_ms,
        f.input_tokens + f.output_tokens AS tokens
    FROM facts f JOIN origins o ON o.id = f.origin_id JOIN places p ON p.id = o.place_id
    WHERE f.estimate <> '')"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Responses of a source whose figures are not exact for one reason; tokens are in and out."""

    source: str
    reason: str
    responses: int
    tokens: int
    models: tuple[str, ...] = ()


def estimates(  # noqa: PLR0917 - what a report is narrowed by
    connection: sqlite3.Connection,
    since_ms: int | None,
    until_ms: int | None,
    source: Source | None,
    projects: Collection[str] = (),
    models: Collection[str] = (),
) -> list[Estimate]:
    """Return what was estimated from `since_ms` to before `until_ms`, by source and reason."""
    where, values = limits(since_ms, until_ms, source, projects, models)
    rows = connection.execute(
        "SELECT source, estimate, model, count(*), sum(tokens) "
        f"FROM {_FACTS} WHERE {where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        values,
    )
    found: dict[tuple[str, str], Estimate] = {}
    for named, reason, model, responses, tokens in rows:
        known = found.get((named, reason), Estimate(named, reason, 0, 0))
        found[named, reason] = Estimate(
            named,
            reason,
            known.responses + responses,
            known.tokens + tokens,
            (*known.models, model),
        )
    return list(found.values())


def estimated_groups(
    connection: sqlite3.Connection,
    group_by: Sequence[str],
    *,
    since_ms: int | None,
    until_ms: int | None,
    timezone: str,
    source: Source | None,
    member: str = "me",
    projects: Collection[str] = (),
    models: Collection[str] = (),
) -> frozenset[tuple[str, ...]]:
    """Return the keys of the groups of a report that hold an estimate."""
    columns = columns_of(connection, group_by, timezone)
    where, values = limits(since_ms, until_ms, source, projects, models)
    names = [member for name in group_by if name == "member"]
    rows = connection.execute(
        f"SELECT DISTINCT {', '.join(columns) or 1} FROM {_FACTS} WHERE {where}", (*names, *values)
    )
    return frozenset(tuple(row) if columns else () for row in rows)
