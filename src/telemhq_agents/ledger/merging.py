"""What remains when the same fact or turn is seen again. Pure.

The rules are the docstrings of telemhq_agents/usage.py. A stored record carries beside its own
time the time of the sighting that won its session, thread, turn, model and place.
"""

from __future__ import annotations

from typing import NamedTuple

from telemhq_agents.ledger.packing import FactRow
from telemhq_agents.usage import TurnStatus


class TurnRow(NamedTuple):
    """A turn as it is stored."""

    key: str
    source: str
    session_id: str
    thread_id: str
    place: int
    started_ms: int
    ended_ms: int | None
    duration_ms: int | None
    status: str
    agent_version: str
    precedence: int
    sighted_ms: int
    failure: str


TOKENS = slice(3, 9)
"""Of a fact: its counts."""


def merge_facts(known: FactRow, seen: FactRow) -> FactRow:
    """Return what both sightings of one fact amount to, its price left as `known` has it."""
    if seen == known:
        return known
    leads = (seen.precedence, seen.sighted_ms) < (known.precedence, known.sighted_ms)
    winner = seen if leads else known
    return FactRow(
        known.key,
        winner.origin,
        min(known.at_ms, seen.at_ms),
        max(known.input_tokens, seen.input_tokens),
        max(known.cached_input_tokens, seen.cached_input_tokens),
        max(known.cache_write_tokens, seen.cache_write_tokens),
        max(known.cache_write_1h_tokens, seen.cache_write_1h_tokens),
        max(known.output_tokens, seen.output_tokens),
        max(known.reasoning_tokens, seen.reasoning_tokens),
        known.cost_nano,
        known.unpriced_tokens,
        known.price_date,
        _estimate(known, seen),
        winner.precedence,
        winner.sighted_ms,
    )


def _estimate(known: FactRow, seen: FactRow) -> str:
    """Return the doubt about the larger sighting; between equals the smaller doubt."""
    size = known.input_tokens + known.output_tokens
    seen_size = seen.input_tokens + seen.output_tokens
    if size == seen_size:
        return min(known.estimate, seen.estimate)
    return known.estimate if size > seen_size else seen.estimate


def merge_turns(known: TurnRow, seen: TurnRow) -> TurnRow:
    """Return what both sightings of one turn amount to."""
    if seen == known:
        return known
    leads = (seen.precedence, seen.sighted_ms) < (known.precedence, known.sighted_ms)
    winner, other = (seen, known) if leads else (known, seen)
    end, other_end = (seen, known) if _end(seen) > _end(known) else (known, seen)
    duration = end.duration_ms if end.duration_ms is not None else other_end.duration_ms
    return TurnRow(
        known.key,
        winner.source,
        winner.session_id,
        winner.thread_id,
        winner.place,
        min(known.started_ms, seen.started_ms),
        end.ended_ms,
        duration,
        end.status,
        winner.agent_version or other.agent_version,
        winner.precedence,
        winner.sighted_ms,
        end.failure or other_end.failure if end.status == TurnStatus.ERROR else "",
    )


def _end(turn: TurnRow) -> tuple[bool, int]:
    """Return how late a turn ended; one that is still running ended before any other."""
    if turn.status == TurnStatus.RUNNING:
        return False, 0
    return True, turn.ended_ms if turn.ended_ms is not None else turn.started_ms
