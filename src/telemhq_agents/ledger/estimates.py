"""Which facts are no exact figures, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from telemhq_agents.usage import Source


@dataclass(frozen=True, slots=True)
class Estimate:
    """Responses of a source whose figures are not exact for one reason; tokens are in and out."""

    source: str
    reason: str
    responses: int
    tokens: int


def estimates(
    connection: sqlite3.Connection,
    since_ms: int | None,
    until_ms: int | None,
    source: Source | None,
) -> list[Estimate]:
    """Return what was estimated from `since_ms` to before `until_ms`, by source and reason."""
    rows = connection.execute(
        "SELECT o.source, f.estimate, count(*), sum(f.input_tokens + f.output_tokens) "
        "FROM facts f JOIN origins o ON o.id = f.origin_id WHERE f.estimate <> '' "
        "AND (:since IS NULL OR f.at_ms >= :since) AND (:until IS NULL OR f.at_ms < :until) "
        "AND (:source IS NULL OR o.source = :source) GROUP BY 1, 2 ORDER BY 1, 2",
        {"since": since_ms, "until": until_ms, "source": source.value if source else None},
    )
    return [Estimate(*row) for row in rows]
