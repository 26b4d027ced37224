"""Make src/telemhq_agents/prices.json out of the pinned genai-prices.

    python -m tools.make_prices           write the file
    python -m tools.make_prices --check   only tell whether it is what this would write

The table keeps what a token count can be priced with (input, output, cache reads, cache writes of
both lives, tiers by input length, start dates, hours of the day). Prices that hang on something
no log tells (batch, fast and priority tiers) and prices of other units stay out.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_prices import types
from genai_prices.data import providers

if TYPE_CHECKING:
    from decimal import Decimal

TARGET = Path(__file__).parent.parent / "src" / "telemhq_agents" / "prices.json"
TOKEN_PRICES = {
    "input_mtok": "i",
    "output_mtok": "o",
    "cache_read_mtok": "r",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "h",
}
LEFT_OUT = ("huggingface_", "elevenlabs", "voyageai", "ovhcloud", "novita", "quicksilverpro")
"""Resellers and speech that no coding agent is run on; they would be a quarter of the table."""


def table() -> dict[str, Any]:
    """Return the table as it is written."""
    kept = [one for one in providers if not one.id.startswith(LEFT_OUT)]
    found = {provider.id: _provider(provider) for provider in kept}
    return {"from": f"genai-prices {version('genai-prices')}", "providers": found}


def _provider(provider: types.Provider) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if provider.provider_match is not None:
        entry["named"] = _clause(provider.provider_match)
    if provider.model_match is not None:
        entry["models_named"] = _clause(provider.model_match)
    if provider.fallback_model_providers:
        entry["also"] = list(provider.fallback_model_providers)
    models = [_model(model) for model in provider.models]
    entry["models"] = [model for model in models if model["p"]]
    return entry


def _model(model: types.ModelInfo) -> dict[str, Any]:
    prices = model.prices
    if isinstance(prices, types.ModelPrice):
        dated = [_price(prices)]
    else:
        dated = [_constraint(one.constraint) | _price(one.prices) for one in prices]
    return {"m": _clause(model.match), "p": [one for one in dated if {"i", "o"} & one.keys()]}


def _constraint(constraint: object) -> dict[str, Any]:
    match constraint:
        case None:
            return {}
        case types.StartDateConstraint(start_date=start):
            return {"d": start.isoformat()}
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            return {"t": [f"{start:%H:%M}", f"{end:%H:%M}"]}
        case _:
            raise TypeError(f"genai-prices has a new constraint: {constraint!r}")


def _price(price: types.ModelPrice) -> dict[str, Any]:
    named = {short: getattr(price, name) for name, short in TOKEN_PRICES.items()}
    return {short: _amount(value) for short, value in named.items() if value is not None}


def _amount(value: Decimal | types.TieredPrices) -> object:
    if isinstance(value, types.TieredPrices):
        return [_usd(value.base), *([tier.start, _usd(tier.price)] for tier in value.tiers)]
    return _usd(value)


def _usd(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _clause(clause: object) -> list[Any]:  # noqa: PLR0911 - one line per kind
    match clause:
        case types.ClauseEquals(equals=text):
            return ["=", text.lower()]
        case types.ClauseStartsWith(starts_with=text):
            return ["^", text.lower()]
        case types.ClauseEndsWith(ends_with=text):
            return ["$", text.lower()]
        case types.ClauseContains(contains=text):
            return ["~", text.lower()]
        case types.ClauseRegex(regex=text):
            return ["re", text]
        case types.ClauseOr(or_=clauses):
            return ["or", *map(_clause, clauses)]
        case types.ClauseAnd(and_=clauses):
            return ["and", *map(_clause, clauses)]
        case _:
            raise TypeError(f"genai-prices has a new clause: {clause!r}")


def text() -> str:
    """Return the file's content: one provider a line, so that a change can be read."""
    whole = table()
    lines = [
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}"
        for name, entry in whole["providers"].items()
    ]
    joined = ",\n".join(lines)
    return f'{{"from":{json.dumps(whole["from"])},"providers":{{\n{joined}\n}}}}\n'


def main(arguments: list[str]) -> int:
    """Write or check the table."""
    made = text()
    if arguments == ["--check"]:
        same = TARGET.read_text("utf-8") == made
        print("prices.json is up to date" if same else "prices.json is not what genai-prices says")
        return 0 if same else 1
    TARGET.write_text(made, "utf-8")
    print(f"{TARGET}: {len(made)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
