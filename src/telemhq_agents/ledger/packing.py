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
    from telemhq_agents.rates import Tariff
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


_SHARED = slice(1, 8)
"""Where a fact's values lie that make its origin, in the order of Origin's."""


def pack(facts: Iterable[UsageFact], prices: Prices) -> Packed:
    """Return the facts with what each cost at its own time."""
    packed = Packed()
    take = packed.rows.append
    known: dict[tuple[Any, ...], tuple[int, Tariff]] = {}
    before: tuple[Any, ...] = ()
    for fact in facts:
        values = astuple(fact)
        shared = values[_SHARED]
        # Most follow one of the same origin, and to compare is quicker than to look up.
        if shared != before:
            before, found = shared, known.get(shared)
            if found is None:
                found = known[shared] = len(known), prices.tariff(fact.provider, fact.model)
                packed.origins.append(Origin(*shared))
            origin, tariff = found
        # All at once, here and below: this is done for each fact there is.
        key, _, _, _, _, _, _, _, at_ms, fresh, cached, write, long, out, thought, doubt, rank = (
            values
        )
        cost = tariff(at_ms, fresh, cached, write, long, out)
        if cost is None:
            nano, unpriced, date = 0, fresh + out, ""
        else:
            (nano, date), unpriced = cost, 0
        row = key, origin, at_ms, fresh, cached, write, long, out, thought, nano, unpriced, date
        take([*row, doubt, rank, at_ms])
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
