"""Prices as a table. Pure."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.price_list import ListedPrice

NO_SUCH = (
    "No price is known for such a model. Set one: telemhq prices set MODEL --input … --output …"
)
PER_MILLION = (
    "USD per million tokens. A response is charged whole at the tier that its input reaches."
)


def listed_prices(found: Sequence[ListedPrice]) -> Table:
    """Return prices as a table; what none of them has is left to programs."""
    columns = (
        Column("model", "Model", copied=True),
        Column("provider", "Provider", spare=3),
        Column("since", "Since", is_detail=not any(one.since for one in found), spare=1),
        Column("hours", "Hours", is_detail=not any(one.hours for one in found)),
        Column(
            "above_input_tokens",
            "Above",
            lambda tokens: whole(tokens) if tokens else "",
            is_figure=True,
            is_detail=not any(one.above_input_tokens for one in found),
        ),
        Column("input", "Input", per_million, is_figure=True),
        Column("output", "Output", per_million, is_figure=True),
        Column("cached_input", "Cached", per_million, is_figure=True),
        Column("cache_write", "Write", per_million, is_figure=True),
        Column("cache_write_1h", "Write 1h", per_million, is_figure=True, spare=2),
        Column("date", "Date", is_detail=True),
        Column("source", "Source", spare=4),
    )
    return Table(columns, [astuple(one) for one in found], notes=(PER_MILLION,), empty=NO_SUCH)


def per_million(amount: float | None) -> str:
    """Write a price without needless digits; "" where there is none."""
    return "" if amount is None else f"{amount:.6f}".rstrip("0").rstrip(".")
