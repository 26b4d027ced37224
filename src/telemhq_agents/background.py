"""What a session used beyond the responses that its log tells of. Pure.

Compactions, titles and the like stand in no line, but the session's own total holds them. So what
is left of the total when the session's facts are taken away was work in the background: where the
session ended normally, and no figure of its facts is a lower bound. Elsewhere the rest is shown and
not named, as it may be the unread part of a reply that was cut off.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from telemhq_agents.usage import Place, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemhq_agents.usage import SessionTotal, UsageFact


class Kind(StrEnum):
    """What is known of a rest. UNEXPLAINED is never booked, only shown."""

    BACKGROUND = "background"
    UNEXPLAINED = "unexplained"


class Known(Struct, frozen=True):
    """The sums of a session's facts of one model. Tokens as in `UsageFact`."""

    model: str
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    is_exact: bool = True


class Rest(Struct, frozen=True):
    """What one session used of one model beyond its facts. Tokens as in `UsageFact`."""

    kind: Kind
    source: Source
    session_id: str
    model: str
    place: Place
    at_ms: int
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def rests(totals: Iterable[SessionTotal], known: Iterable[Known]) -> list[Rest]:
    """Return what one session's totals hold beyond its facts, by model.

    Nothing where the totals do not hold all facts (the session went on and never said so, or names
    a model otherwise): then a difference tells nothing.
    """
    latest = _latest(list(totals))
    booked = {each.model: each for each in known}
    if not booked.keys() <= {total.model for total in latest}:
        return []
    is_sure = all(total.is_complete for total in latest)
    is_sure = is_sure and all(each.is_exact for each in booked.values())
    kind = Kind.BACKGROUND if is_sure else Kind.UNEXPLAINED
    found = [_rest(kind, total, booked.get(total.model) or Known(total.model)) for total in latest]
    if any(rest is None for rest in found):
        return []
    return [rest for rest in found if rest and (rest.input_tokens or rest.output_tokens)]


def sums(facts: Iterable[UsageFact]) -> list[Known]:
    """Return what one session's facts add up to, by model."""
    by_model: dict[str, list[UsageFact]] = {}
    for fact in facts:
        by_model.setdefault(fact.model, []).append(fact)
    return [_sum(model, some) for model, some in by_model.items()]


def _sum(model: str, facts: Sequence[UsageFact]) -> Known:
    return Known(
        model,
        input_tokens=sum(fact.input_tokens for fact in facts),
        cached_input_tokens=sum(fact.cached_input_tokens for fact in facts),
        cache_write_tokens=sum(fact.cache_write_tokens for fact in facts),
        cache_write_1h_tokens=sum(fact.cache_write_1h_tokens for fact in facts),
        output_tokens=sum(fact.output_tokens for fact in facts),
        reasoning_tokens=sum(fact.reasoning_tokens for fact in facts),
        is_exact=not any(fact.estimate for fact in facts),
    )


def _latest(totals: Sequence[SessionTotal]) -> list[SessionTotal]:
    """Return what was said last: it holds all models that were ever used."""
    last_ms = max((total.at_ms for total in totals), default=0)
    return [total for total in totals if total.at_ms == last_ms]


def _rest(kind: Kind, total: SessionTotal, known: Known) -> Rest | None:
    """Return the difference, None where the total holds less than the facts."""
    fresh = _fresh(total) - _fresh(known)
    cached = total.cached_input_tokens - known.cached_input_tokens
    written = total.cache_write_tokens - known.cache_write_tokens
    output = total.output_tokens - known.output_tokens
    if min(fresh, cached, written, output) < 0:
        return None
    # Versions differ in whether they tell of these parts.
    written_1h = total.cache_write_1h_tokens - known.cache_write_1h_tokens
    reasoning = total.reasoning_tokens - known.reasoning_tokens
    return Rest(
        kind,
        total.source,
        total.session_id,
        total.model,
        total.place,
        total.at_ms,
        fresh + cached + written,
        cached,
        written,
        min(max(0, written_1h), written),
        output,
        min(max(0, reasoning), output),
    )


def _fresh(told: SessionTotal | Known) -> int:
    return told.input_tokens - told.cached_input_tokens - told.cache_write_tokens
