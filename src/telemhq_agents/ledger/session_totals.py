"""What sessions said of themselves at their ends, beside the facts that stand in their lines."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import background
from telemhq_agents.background import Known
from telemhq_agents.ledger.chunks import chunks, marks
from telemhq_agents.ledger.reading import FIRST_MS, LAST_MS
from telemhq_agents.usage import Place, SessionTotal, Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from telemhq_agents.background import Rest
    from telemhq_agents.ledger.places import Places

_TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_COLUMNS = ("source", "session_id", "model", "place_id", "at_ms", "is_complete", *_TOKENS)
# What a session says later holds all that it said before.
_PUT = (
    f"INSERT INTO session_totals ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[3:])} "
    "WHERE excluded.at_ms >= session_totals.at_ms"
)


def book(connection: sqlite3.Connection, totals: Iterable[SessionTotal], places: Places) -> None:
    """Keep the latest word of each session and model."""
    connection.executemany(
        _PUT,
        [
            (
                total.source.value,
                total.session_id,
                total.model,
                places.row(total.place),
                total.at_ms,
                total.is_complete,
                *(getattr(total, name) for name in _TOKENS),
            )
            for total in totals
        ],
    )


def told(connection: sqlite3.Connection, since_ms: int, until_ms: int) -> list[SessionTotal]:
    """Return what sessions said that ended in this time."""
    rows = connection.execute(
        f"SELECT source, session_id, model, p.cwd, p.project, p.log_project, at_ms, is_complete, "
        f"{', '.join(_TOKENS)} FROM session_totals t JOIN places p ON p.id = t.place_id "
        "WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms, session_id, model",
        (since_ms, until_ms),
    )
    return [
        SessionTotal(
            Source(row[0]), row[1], row[2], Place(*row[3:6]), row[6], bool(row[7]), *row[8:]
        )
        for row in rows
    ]


def rests(
    connection: sqlite3.Connection,
    since_ms: int | None,
    until_ms: int | None,
    source: Source | None,
) -> list[Rest]:
    """Return what sessions that ended in this time used beyond their facts, by session and model."""
    by_session: dict[tuple[Source, str], list[SessionTotal]] = {}
    since = FIRST_MS if since_ms is None else since_ms
    until = LAST_MS if until_ms is None else until_ms
    for total in told(connection, since, until):
        if source in (None, total.source):
            by_session.setdefault((total.source, total.session_id), []).append(total)
    known = _sums_of_facts(connection, {session for _, session in by_session})
    found = (background.rests(some, known.get(at, [])) for at, some in by_session.items())
    return [rest for some in found for rest in some]


def _sums_of_facts(
    connection: sqlite3.Connection, sessions: set[str]
) -> dict[tuple[Source, str], list[Known]]:
    found: dict[tuple[Source, str], list[Known]] = {}
    for some in chunks(sessions):
        rows = connection.execute(
            "SELECT o.source, o.session_id, o.model, "
            f"{', '.join(f'sum({name})' for name in _TOKENS)}, max(f.estimate) = '' "
            "FROM origins o JOIN facts f ON f.origin_id = o.id "
            f"WHERE o.session_id IN ({marks(some)}) GROUP BY 1, 2, 3",
            some,
        )
        for row in rows:
            at = Source(row[0]), row[1]
            values = (*row[2:-1], bool(row[-1]))
            found.setdefault(at, []).append(Known(*values))
    return found
