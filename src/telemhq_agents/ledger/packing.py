"""Facts on their way into the ledger: priced, and what they share said once. Pure.

A reading of many logs makes tens of thousands of facts, most of which share their turn, model and
place with the one before. Packed, they cross from a reading process to the booking one cheaply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import astuple

from telemhq_agents.usage import Place, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import UsageFact


class Origin(Struct, frozen=True, array_like=True, gc=False):
    """What the responses of one turn to one model at one place share."""

    source: Source
    session_id: str
    thread_id: str
    turn_key: str
    provider: str
    model: str
    place: Place


class FactRow(NamedTuple):
    """One fact beside its origin, which is an index of `Packed.origins` or a row of the ledger."""

    key: str
    origin: int
    at_ms: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano: int
    unpriced_tokens: int
    price_date: str
    estimate: str
    precedence: int
    sighted_ms: int


class Packed(Struct, array_like=True):
    """Facts, each a list in the order of `FactRow`'s fields; `origin` counts from 0."""

    origins: list[Origin] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)


# Where a fact's values lie, and that Origin's and FactRow's follow each other in the same order.
_SHARED = slice(1, 8)
_PRICED_BY = slice(5, 7)
_FIGURES = slice(8, 15)
_PRICED = slice(8, 14)
_DOUBTS = slice(15, 17)


def pack(facts: Iterable[UsageFact], prices: Prices) -> Packed:
    """Return the facts with what each cost at its own time."""
    known: dict[tuple[Any, ...], int] = {}
    packed = Packed()
    for fact in facts:
        values = astuple(fact)
        shared = values[_SHARED]
        origin = known.get(shared)
        if origin is None:
            origin = known[shared] = len(packed.origins)
            packed.origins.append(Origin(*shared))
        price = priced(prices, *values[_PRICED_BY], *values[_PRICED])
        row = [fact.key, origin, *values[_FIGURES], *price, *values[_DOUBTS], fact.at_ms]
        packed.rows.append(row)
    return packed


def priced(  # noqa: PLR0917 - called once per fact, and keywords cost as much as the sum
    prices: Prices,
    provider: str,
    model: str,
    at_ms: int,
    input_tokens: int,
    cached_input_tokens: int,
    cache_write_tokens: int,
    cache_write_1h_tokens: int,
    output_tokens: int,
) -> tuple[int, int, str]:
    """Return cost in nano-USD, tokens that nobody knew a price for, and the price's date."""
    cost = prices.cost(
        provider,
        model,
        at_ms,
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        cache_write_1h_tokens,
        output_tokens,
    )
    if cost is None:
        return 0, input_tokens + output_tokens, ""
    return cost[0], 0, cost[1]
