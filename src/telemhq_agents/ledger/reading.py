"""Facts and turns out of the ledger again, as they were booked.

The one place that knows how they lie on disk, for whoever reads them all: exports, checks, prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.usage import Activity, ActivityKind, Place, Source, Turn, TurnStatus, UsageFact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

FIRST_MS, LAST_MS = -(2**62), 2**62


class BookedFact(NamedTuple):
    """A fact and what booking added: its frozen cost, and where it counts.

    `sighted_ms` is the time of the sighting that won its turn, model and place; `slot_ms` the
    coalescing window it lies in, -1 for none.
    """

    fact: UsageFact
    cost_nano: int
    unpriced_tokens: int
    price_date: str
    sighted_ms: int
    slot_ms: int


class BookedTurn(NamedTuple):
    """A turn, and the same of it."""

    turn: Turn
    sighted_ms: int
    slot_ms: int


_FACTS = """
    SELECT f.key, o.source, o.session_id, o.thread_id, o.turn_key, o.provider, o.model,
        p.cwd, p.project, p.log_project, f.at_ms, f.input_tokens, f.cached_input_tokens,
        f.cache_write_tokens, f.cache_write_1h_tokens, f.output_tokens, f.reasoning_tokens,
        f.estimate, f.precedence,
        f.cost_nano, f.unpriced_tokens, f.price_date, f.sighted_ms, f.slot_ms
    FROM origins o CROSS JOIN facts f ON f.origin_id = o.id CROSS JOIN places p ON p.id = o.place_id
    WHERE f.at_ms >= ? AND f.at_ms < ? AND ? IN ('', o.source) ORDER BY o.id"""
_TURNS = """
    SELECT t.key, t.source, t.session_id, t.thread_id, p.cwd, p.project, p.log_project,
        t.started_ms, t.ended_ms, t.duration_ms, t.status, t.agent_version, t.precedence,
        t.sighted_ms, t.slot_ms, t.failure
    FROM turns t JOIN places p ON p.id = t.place_id"""


def facts(
    connection: sqlite3.Connection,
    since_ms: int | None = None,
    until_ms: int | None = None,
    source: Source | None = None,
) -> Iterator[BookedFact]:
    """Yield what ended from `since_ms` to before `until_ms`, those of a turn together."""
    bounds = (
        FIRST_MS if since_ms is None else since_ms,
        LAST_MS if until_ms is None else until_ms,
        "" if source is None else source.value,
    )
    for row in connection.execute(_FACTS, bounds):
        key, name, session, thread, turn, provider, model, *rest = row
        fact = UsageFact(
            key,
            Source(name),
            session,
            thread,
            turn,
            provider,
            model,
            Place(*rest[:3]),
            *rest[3:12],
        )
        yield BookedFact(fact, *rest[12:])


def turns(connection: sqlite3.Connection) -> Iterator[BookedTurn]:
    """Yield every turn."""
    for row in connection.execute(_TURNS):
        key, name, session, thread, *rest = row
        started, ended, duration, status, version, precedence, sighted, slot, failure = rest[3:]
        turn = Turn(
            key,
            Source(name),
            session,
            thread,
            Place(*rest[:3]),
            started,
            ended,
            duration,
            TurnStatus(status),
            version,
            precedence,
            failure,
        )
        yield BookedTurn(turn, sighted, slot)


def activities(connection: sqlite3.Connection) -> Iterator[Activity]:
    """Yield what hooks told of turns, summed by turn."""
    rows = connection.execute("SELECT turn_key, kind, name, count, duration_ms FROM activities")
    for turn_key, kind, name, count, duration_ms in rows:
        yield Activity(turn_key, ActivityKind(kind), name, count, duration_ms)
