"""Facts that are packed together say and cost what each does alone."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.ledger.packing import FactRow, pack
from telemhq_agents.pricing import Prices
from telemhq_agents.usage import Place, Source, UsageFact

PRICES = Prices.load()
PLACES = [Place("/a", "a", "a"), Place("/b", "b", "b")]
# With one price, with a price of a day and of a long context, by the hour, and with none.
MODELS = ["claude-opus-4-8", "claude-sonnet-4-6", "o3", "deepseek-chat", "nobody's"]
YEARS = {
    "min_value": int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1000,
    "max_value": int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * 1000,
}
TOKENS = st.integers(min_value=0, max_value=300_000)
FACTS = st.builds(
    UsageFact,
    key=st.text(min_size=1, max_size=3),
    source=st.sampled_from(Source),
    session_id=st.sampled_from(["s1", "s2"]),
    thread_id=st.sampled_from(["", "t"]),
    turn_key=st.sampled_from(["p1", "p2"]),
    provider=st.sampled_from(["", "anthropic"]),
    model=st.sampled_from(MODELS),
    place=st.sampled_from(PLACES),
    at_ms=st.integers(**YEARS),
    input_tokens=TOKENS,
    cached_input_tokens=TOKENS,
    cache_write_tokens=TOKENS,
    cache_write_1h_tokens=TOKENS,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    estimate=st.sampled_from(["", "a guess"]),
    precedence=st.integers(min_value=0, max_value=3),
)


@given(facts=st.lists(FACTS, max_size=8))
def test_a_packed_fact_says_and_costs_what_it_does_alone(facts: list[UsageFact]) -> None:
    packed = pack(facts, PRICES)
    rows = [FactRow(*row) for row in packed.rows]

    assert len(rows) == len(facts)
    assert len({*map(repr, packed.origins)}) == len(packed.origins)
    for row, fact in zip(rows, facts, strict=True):
        origin = packed.origins[row.origin]
        shared = [name for name in origin.__struct_fields__ if hasattr(fact, name)]
        figures = [name for name in FactRow._fields if hasattr(fact, name)]
        cost = PRICES.cost(
            fact.provider,
            fact.model,
            fact.at_ms,
            fact.input_tokens,
            fact.cached_input_tokens,
            fact.cache_write_tokens,
            fact.cache_write_1h_tokens,
            fact.output_tokens,
        )
        unpriced = fact.input_tokens + fact.output_tokens
        assert {*shared, *figures} == {*fact.__struct_fields__}
        assert all(getattr(origin, name) == getattr(fact, name) for name in shared)
        assert all(getattr(row, name) == getattr(fact, name) for name in figures)
        assert row.sighted_ms == fact.at_ms
        assert (row.cost_nano, row.price_date) == (cost or (0, ""))
        assert row.unpriced_tokens == (0 if cost else unpriced)
