"""From genai-prices' published data to our own compact table. Pure.

The table keeps what a token count can be priced with (input, output, cache reads, cache writes of
both lives, tiers by input length, start dates, hours of the day). Prices that hang on something
no log tells (batch, fast and priority tiers) and prices of other units stay out. Source of the
format: https://github.com/pydantic/genai-prices, prices/new_data/v2/data.schema.json.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from telemhq_agents.rates import MOST_USD, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLISHED_AT = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/"
    "prices/new_data/v2/data.json"
)
"""Where genai-prices itself looks for newer prices."""
LEFT_OUT = ("huggingface_", "elevenlabs", "voyageai", "ovhcloud", "novita", "quicksilverpro")
"""Resellers and speech that no coding agent is run on; they would be a quarter of the table."""
NEEDED = ("anthropic", "openai", "aws")
"""Without these a table is not whole: what the two agents use, and where names of clouds lead."""
TOKEN_PRICES = {
    "input_mtok": "i",
    "output_mtok": "o",
    "cache_read_mtok": "r",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "h",
}
_CLAUSES = {"equals": "=", "starts_with": "^", "ends_with": "$", "contains": "~"}

Table = dict[str, Any]
"""`from`: what it was made of; `made`: the day (or moment) of that, ISO; `providers`."""


def read_published(text: bytes, origin: str, made: str) -> Table:
    """Return the table that published data makes, checked whole.

    Raises ValueError that says what is wrong, and where: nothing of it can be used then.
    """
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is no JSON, or not all of it: {error}") from error
    return table(document, origin, made)


def table(document: object, origin: str, made: str) -> Table:
    """Return the table that a decoded list of providers makes. Raises ValueError as above."""
    if not isinstance(document, list):
        raise ValueError("it is no list of providers")  # noqa: TRY004 - a wrong file, not a wrong call
    entries = dict(_provider(one) for one in document if not _id(one).startswith(LEFT_OUT))
    missing = [name for name in NEEDED if not entries.get(name, {}).get("models")]
    if missing:
        raise ValueError(f"it holds no prices of {', '.join(missing)}")
    return {"from": origin, "made": made, "providers": entries}


def as_text(whole: Table) -> str:
    """Return a table as it is kept: one provider a line, so that a change can be read."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}"
        for name, entry in whole["providers"].items()
    ]
    head = f'"from":{json.dumps(whole["from"])},"made":{json.dumps(whole["made"])}'
    joined = ",\n".join(lines)
    return f'{{{head},"providers":{{\n{joined}\n}}}}\n'


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no price")


def _id(entry: object) -> str:
    name = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError("a provider or a model in it has no id")
    return name


def _provider(provider: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name = _id(provider)
    try:
        entry: dict[str, Any] = {}
        if provider.get("provider_match") is not None:
            entry["named"] = _clause(provider["provider_match"])
        if provider.get("model_match") is not None:
            entry["models_named"] = _clause(provider["model_match"])
        if provider.get("fallback_model_providers"):
            entry["also"] = [str(one) for one in provider["fallback_model_providers"]]
        models = [_model(model) for model in provider.get("models") or ()]
    except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
        raise ValueError(f"provider {name}: {error}") from error
    entry["models"] = [model for model in models if model["p"]]
    return name, entry


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    name = _id(model)
    try:
        prices = model["prices"]
        dated = prices if isinstance(prices, list) else [{"prices": prices}]
        found = [_constraint(one.get("constraint")) | _price(one["prices"]) for one in dated]
        kept = [one for one in found if "i" in one]  # what has no input is no coding agent's
        for one in kept:
            compiled(one, "")
        return {"n": name, "m": _clause(model["match"]), "p": kept}
    except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
        raise ValueError(f"model {name}: {error}") from error


def _constraint(constraint: Mapping[str, Any] | None) -> dict[str, Any]:
    match constraint:
        case None:
            return {}
        case {"start_date": str(start)}:
            return {"d": date.fromisoformat(start).isoformat()}
        case {"start_time": str(start), "end_time": str(end)}:
            return {"t": [_utc(start), _utc(end)]}
        case _:
            raise ValueError(f"its price holds under a condition that is new: {constraint!r}")


def _utc(text: str) -> str:
    """Return a time of day in UTC, to the minute; one without an offset is UTC."""
    moment = datetime.combine(date(2000, 1, 2), time.fromisoformat(text))
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment:%H:%M}"


def _price(price: Mapping[str, Any]) -> dict[str, Any]:
    named = {short: price.get(name) for name, short in TOKEN_PRICES.items()}
    return {short: _amount(value) for short, value in named.items() if value is not None}


def _amount(value: object) -> object:
    if isinstance(value, dict):
        tiers = sorted((_start(one["start"]), one["price"]) for one in value["tiers"])
        return [_usd(value["base"]), *([start, _usd(price)] for start, price in tiers)]
    return _usd(value)


def _start(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no number of tokens")
    return value


def _usd(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{value!r} is no price")  # noqa: TRY004 - a wrong file, not a wrong call
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise ValueError(f"{value} is no price")
    return f"{amount.normalize():f}"


def _clause(clause: object) -> list[Any]:
    match clause:
        case {"regex": str(text)}:
            re.compile(text)
            return ["re", text]
        case {"or": [*clauses]} | {"or_": [*clauses]}:
            return ["or", *map(_clause, clauses)]
        case {"and": [*clauses]} | {"and_": [*clauses]}:
            return ["and", *map(_clause, clauses)]
        case dict():
            (name, text), *others = clause.items()
            if name in _CLAUSES and isinstance(text, str) and not others:
                return [_CLAUSES[name], text.lower()]
    raise ValueError(f"its names are told in a way that is new: {clause!r}")
