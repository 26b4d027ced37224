"""Buckets of turns that one batch holds whole, summed without asking the database. Pure.

A first reading is nearly all such turns, and summing what is in memory anyway takes half as long.
Every other turn is summed by `buckets.recompute`, whose rules these are; a test holds the two
together.
"""

from __future__ import annotations

from collections import defaultdict
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.ledger.packing import FactRow
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from telemhq_agents.ledger.merging import TurnRow
    from telemhq_agents.ledger.origins import OriginRow
    from telemhq_agents.usage import Place


class BucketRow(NamedTuple):
    """A bucket as it is stored."""

    source: str
    session_id: str
    thread_id: str
    turn_key: str
    span: str
    provider: str
    model: str
    project: str
    log_project: str
    quarter_ms: int
    cwd: str
    first_ms: int
    last_ms: int
    responses: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_nano: int
    unpriced_tokens: int
    runs: int = 0
    failures: int = 0
    duration_ms: int = 0


_CWD, _RESPONSES, _RUNS = map(BucketRow._fields.index, ("cwd", "responses", "runs"))
_RANK = ("first_ms", "model", "provider", "log_project", "session_id", "thread_id", "source")
_rank = itemgetter(*map(BucketRow._fields.index, (*_RANK, "project")))
"""Which bucket of a turn the turn itself counts in: the first one, as in `buckets`."""

_ORIGIN, _AT_MS = FactRow._fields.index("origin"), FactRow._fields.index("at_ms")

_Runs = tuple[int, int, int]
_NO_RUN: _Runs = (0, 0, 0)


class _Part(NamedTuple):
    """Facts of one origin in one quarter-hour."""

    origin: OriginRow
    quarter_ms: int
    facts: list[Sequence[Any]]


def buckets_of(
    rows: Iterable[Sequence[Any]],
    turns: Mapping[str, TurnRow],
    origins: Mapping[int, OriginRow],
    places: Mapping[int, Place],
) -> list[BucketRow]:
    """Return the buckets of these turns out of facts, all facts of these turns being among `rows`.

    Rows are in the order of `FactRow`'s fields and lie in no coalescing window; those of other
    turns are passed over.
    """
    parts: dict[str, list[_Part]] = defaultdict(list)
    for (origin_id, quarter_ms), facts in _quarters(rows).items():
        origin = origins[origin_id]
        if origin.turn_key in turns:
            parts[origin.turn_key].append(_Part(origin, quarter_ms, facts))
    found: list[BucketRow] = []
    for key, some in parts.items():
        turn = turns[key]
        runs = (1, int(turn.status == TurnStatus.ERROR), turn.duration_ms or 0)
        if len(some) == 1:
            found.append(_bucket(some[0], places, runs))
        else:
            found += _with_runs([_bucket(part, places, _NO_RUN) for part in some], runs)
    return found


def _quarters(rows: Iterable[Sequence[Any]]) -> dict[tuple[int, int], list[Sequence[Any]]]:
    found: dict[tuple[int, int], list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        at_ms = row[_AT_MS]
        # Before 1970 the database rounds the other way.
        into = at_ms % QUARTER_MS if at_ms >= 0 else -(-at_ms % QUARTER_MS)
        found[row[_ORIGIN], at_ms - into].append(row)
    return found


def _bucket(part: _Part, places: Mapping[int, Place], runs: _Runs) -> BucketRow:
    columns = zip(*part.facts, strict=True)
    _, _, at_ms, used, cached, written, _, made, reasoned, cost, unpriced, *_ = columns
    origin, place = part.origin, places[part.origin.place_id]
    used_sum, made_sum = sum(used), sum(made)
    return BucketRow(
        origin.source,
        origin.session_id,
        origin.thread_id,
        origin.turn_key,
        origin.turn_key,
        origin.provider,
        origin.model,
        place.project,
        place.log_project,
        part.quarter_ms,
        place.cwd,
        min(at_ms),
        max(at_ms),
        len(part.facts),
        used_sum,
        sum(cached),
        sum(written),
        made_sum,
        sum(reasoned),
        used_sum + made_sum,
        sum(cost),
        sum(unpriced),
        *runs,
    )


def _with_runs(buckets: list[BucketRow], runs: _Runs) -> list[BucketRow]:
    """Return the buckets of one turn, each once, the turn counted in the first of them."""
    found: dict[tuple[Any, ...], BucketRow] = {}
    for bucket in buckets:
        known = found.get(bucket[:_CWD])
        found[bucket[:_CWD]] = bucket if known is None else _together(known, bucket)
    first, *others = sorted(found.values(), key=_rank)
    return [BucketRow._make((*first[:_RUNS], *runs)), *others]


def _together(one: BucketRow, other: BucketRow) -> BucketRow:
    """Sum what two directories of one project did in the same bucket."""
    return BucketRow._make(
        (
            *one[:_CWD],
            min(one.cwd, other.cwd),
            min(one.first_ms, other.first_ms),
            max(one.last_ms, other.last_ms),
            *map(add, one[_RESPONSES:], other[_RESPONSES:]),
        )
    )
