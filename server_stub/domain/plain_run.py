"""Judging a run that is told in the plainest way, as nearly all are, in a fifth of the time. Pure.

Every field that is judged has its proper JSON type and needs no correction: then there is nothing
to warn about and nothing to refuse, and payload.py would come to the same. Anything else is left to
payload.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from server_stub.domain.payload import (
    CLOCK_TOLERANCE_MS,
    LAST_MS,
    MAX_COST_USD,
    MAX_COUNT,
    MAX_NUMBER,
    MAX_TEXT_BYTES,
    STARTED_STATUSES,
)
from server_stub.domain.run import RunFacts
from telemhq_agents.clock import from_iso
from telemhq_agents.contract.amounts import Amounts, nano
from telemhq_agents.contract.ping import FAILED_STATUSES

Word = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_BYTES // 4)]
"""Short enough whatever its characters are."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_COUNT)]
WRITTEN_OUT = len("2026-11-20T07:35:28")
"""A text that is shorter may be a number, or a date without its time."""


class Plain(msgspec.Struct):
    """The fields that are judged. What is left out counts as it does in payload.py."""

    project: Word
    kind: Literal["run"] = "run"
    provider: Word = ""
    model: Word = ""
    status: Word = ""
    source: Word = ""
    session_id: Word = ""
    thread_id: Word = ""
    input_tokens: Count = 0
    cached_input_tokens: Count = 0
    cache_write_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_tokens: Count = 0
    tool_tokens: Count | None = None
    total_tokens: Count | None = None
    responses: Count = 0
    unpriced_tokens: Count | None = None
    items_processed: Count = 0
    items_failed: Count = 0
    records_processed: Count = 0
    duration_ms: Milliseconds | None = None
    latency_ms: Milliseconds | None = None
    duration: Milliseconds | None = None
    cost_usd: Annotated[float, msgspec.Meta(ge=0, le=MAX_COST_USD)] | None = None
    eval_score: Annotated[float, msgspec.Meta(ge=0, le=MAX_NUMBER)] = 0.0
    exit_code: Annotated[int, msgspec.Meta(ge=-MAX_COUNT, le=MAX_COUNT)] = 0
    primary: bool = True
    ended_at: str | None = None


def plain_run(payload: dict[str, Any], received_ms: int, key: str) -> RunFacts | None:
    """Return what is booked of a run, None where payload.py has to look at it."""
    try:
        plain = msgspec.convert(payload, Plain)
        ended_ms = received_ms if plain.ended_at is None else _moment(plain.ended_at)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    status = plain.status
    words = (
        *(plain.provider, plain.model, plain.project, status),
        *(plain.source, plain.session_id, plain.thread_id),
    )
    if (
        any([word != word.strip() for word in words])  # noqa: C419 - a list is faster
        or not plain.project
        or (status and status.lower() in STARTED_STATUSES)
        or not 0 <= ended_ms <= received_ms + CLOCK_TOLERANCE_MS
    ):
        return None
    took_ms = _took_ms(plain)
    return RunFacts(
        ended_ms=ended_ms,
        amounts=_amounts(plain, took_ms),
        payload=msgspec.json.encode(payload).decode(),
        provider=plain.provider,
        model=plain.model,
        project=plain.project,
        status=status,
        source=plain.source,
        session_id=plain.session_id,
        thread_id=plain.thread_id,
        tool_tokens=plain.tool_tokens,
        has_cost=plain.cost_usd is not None,
        has_duration=took_ms is not None,
        pair_key=key,
    )


def _moment(text: str) -> int:
    """Read RFC 3339. Raises ValueError for whatever else may be meant."""
    if len(text) < WRITTEN_OUT or "-" not in text:
        raise ValueError(text)
    return min(from_iso(text), LAST_MS)


def _took_ms(plain: Plain) -> float | None:
    if plain.duration_ms is not None:
        return plain.duration_ms
    return plain.latency_ms if plain.latency_ms is not None else plain.duration


def _amounts(plain: Plain, took_ms: float | None) -> Amounts:
    runs = int(plain.primary)
    failed = plain.exit_code != 0 or (plain.status and plain.status.lower() in FAILED_STATUSES)
    total = plain.total_tokens
    if total is None:
        total = plain.input_tokens + plain.output_tokens
    unpriced = plain.unpriced_tokens
    if unpriced is None:
        unpriced = total if plain.cost_usd is None else 0
    return Amounts(
        runs,
        int(bool(failed)) if runs else 0,
        plain.responses,
        plain.input_tokens,
        plain.cached_input_tokens,
        plain.cache_write_tokens,
        plain.output_tokens,
        plain.reasoning_tokens,
        total,
        0 if plain.cost_usd is None else nano(plain.cost_usd),
        unpriced,
        0 if took_ms is None else round(took_ms),
    )
