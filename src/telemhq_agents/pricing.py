"""Tokens to money, offline, at the price of the day.

The table (prices.json) is made from genai-prices by tools/make_prices.py; `prices.toml` beside the
user's settings wins over it. A model that nobody knows a price for is unpriced, never free.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Cost = tuple[int, str]
"""Nano-USD, and the date of the price (or the table it comes from, where that gives none)."""

OVERRIDE_FILE = "prices.toml"
TABLE = Path(__file__).with_name("prices.json")
RUN_LOCALLY = frozenset({"ollama", "lmstudio", "lm-studio", "llamacpp", "llama.cpp", "vllm", "oss"})
"""Providers without a price, whatever their models are called."""

_SCALE = 10**12
_PER_NANO = _SCALE // 1000
# Patterns are compiled when the first model is looked up, not when this is imported.
_LONG_CONTEXT = r"\[1m\]$"
_BEDROCK = (
    r"^(?:arn:aws[\w-]*:bedrock:.*/)?(?:[a-z]{2,6}(?:-gov)?\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|"
    r"nvidia|openai|qwen|writer|zai)\."
)
_VERSION = r"-v\d+(?::\d+)?(?::\d+k)?$"
_DATE = r"[-@](20\d\d)-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])$"
_YOURS = {
    "input": "i",
    "output": "o",
    "cached_input": "r",
    "cache_write": "w",
    "cache_write_1h": "h",
}
_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


class Rate(NamedTuple):
    """Prices of one token of each kind, in 10^-12 USD per million."""

    fresh: int
    cached: int
    write: int
    write_1h: int
    output: int | None


class Price(NamedTuple):
    """What a model costs while `since_ms` and `hours` hold.

    `tiers` are (input tokens above which it applies, rate), the longest first, down to 0: the
    whole response is charged at the tier that its input reaches.
    """

    since_ms: int | None
    hours: tuple[int, int] | None
    tiers: tuple[tuple[int, Rate], ...]
    date: str


class Prices:
    """A table of prices; looks each model up once."""

    def __init__(self, table: Mapping[str, Any], yours: Mapping[str, list[Price]]) -> None:
        self._table = table
        self._providers: Mapping[str, Any] = table["providers"]
        self._yours = yours
        self._found: dict[tuple[str, str], list[Price]] = {}

    @classmethod
    def load(cls, override: Path | None = None) -> Self:
        """Return this version's table, under the user's own prices in `override` if it is there.

        Raises SettingsError when that file is wrong.
        """
        return cls(_table(), _read_yours(override) if override is not None else {})

    def cost(  # noqa: PLR0917 - called once per fact, and keywords cost as much as the sum
        self,
        provider: str,
        model: str,
        at_ms: int,
        input_tokens: int,
        cached_input_tokens: int,
        cache_write_tokens: int,
        cache_write_1h_tokens: int,
        output_tokens: int,
    ) -> Cost | None:
        """Return what one response cost at `at_ms`; None when its model has no known price.

        `input_tokens` includes cache reads and writes, `cache_write_tokens` those of an hour's
        life.
        """
        price = self._price(provider, model, at_ms)
        if price is None:
            return None
        fresh, cached, write, write_1h, output = _rate_for(price, input_tokens)
        if output is None and output_tokens:
            return None
        total = (
            max(input_tokens - cached_input_tokens - cache_write_tokens, 0) * fresh
            + cached_input_tokens * cached
            + (cache_write_tokens - cache_write_1h_tokens) * write
            + cache_write_1h_tokens * write_1h
            + output_tokens * (output or 0)
        )
        return _rounded(total), price.date

    def _price(self, provider: str, model: str, at_ms: int) -> Price | None:
        prices = self._found.get((provider, model))
        if prices is None:
            prices = self._found[provider, model] = self._look_up(provider.lower(), model.lower())
        for price in reversed(prices):
            if _holds(price, at_ms):
                return price
        return None

    def _look_up(self, provider: str, model: str) -> list[Price]:
        """Return a model's prices; of those that hold at a time the last one does."""
        return [*self._published(provider, model), *_your_price(self._yours, provider, model)]

    def _published(self, provider: str, model: str) -> list[Price]:
        if provider in RUN_LOCALLY:
            return []
        for name in _spellings(model):
            for entry in self._candidates(provider, name):
                found = next((one for one in entry["models"] if _fits(one["m"], name)), None)
                if found is not None:
                    first, *others = (_compiled(one, self._table["from"]) for one in found["p"])
                    return [first._replace(since_ms=None, hours=None), *others]
        return []

    def _candidates(self, provider: str, model: str) -> Iterator[Mapping[str, Any]]:
        """Yield the providers whose price a model may have, the likeliest first."""
        if re.match(_BEDROCK, model):
            yield self._providers["aws"]
        named = self._named(provider)
        if named is not None:
            yield named
            yield from (
                self._providers[name] for name in named.get("also", ()) if name in self._providers
            )
        for entry in self._providers.values():
            if (
                entry is not named
                and "models_named" in entry
                and _fits(entry["models_named"], model)
            ):
                yield entry

    def _named(self, provider: str) -> Mapping[str, Any] | None:
        if provider in self._providers:
            entry: Mapping[str, Any] = self._providers[provider]
            return entry
        if not provider:
            return None
        named = (one for one in self._providers.values() if "named" in one)
        return next((one for one in named if _fits(one["named"], provider)), None)


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(TABLE.read_bytes())
    return table


def _rate_for(price: Price, input_tokens: int) -> Rate:
    """Return the rate of the tier that a response of this length reaches."""
    if len(price.tiers) == 1:
        return price.tiers[0][1]
    return next(rate for start, rate in price.tiers if input_tokens > start or not start)


def _rounded(total: int) -> int:
    """Return nano-USD, rounding half to even."""
    whole, rest = divmod(total, _PER_NANO)
    half = _PER_NANO - rest * 2
    return whole + (half < 0 or (half == 0 and whole % 2 == 1))


def _holds(price: Price, at_ms: int) -> bool:
    since_ms, hours = price[:2]
    if since_ms is not None and at_ms < since_ms:
        return False
    if hours is None:
        return True
    start, end = hours
    now = at_ms % _DAY_MS
    return start <= now < end if start <= end else now >= start or now < end


def _spellings(model: str) -> Iterator[str]:
    """Yield a model's name as it is, then with less and less of what clouds put around it."""
    seen: set[str] = set()
    name = re.sub(_LONG_CONTEXT, "", model)
    for simpler in _SIMPLER:
        name = simpler(name)
        if name and name not in seen:
            seen.add(name)
            yield name


_SIMPLER: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: re.sub(_DATE, r"-\1-\2-\3", name),
    lambda name: name.rpartition("/")[2],
    lambda name: re.sub(_VERSION, "", re.sub(_BEDROCK, "", name)),
    lambda name: re.sub(_DATE, "", name),
)


def _fits(clause: list[Any], text: str) -> bool:  # noqa: PLR0911 - one line per kind
    match clause:
        case ["=", wanted]:
            return bool(text == wanted)
        case ["^", wanted]:
            return text.startswith(wanted)
        case ["$", wanted]:
            return text.endswith(wanted)
        case ["~", wanted]:
            return wanted in text
        case ["re", wanted]:
            return re.search(wanted, text) is not None
        case ["or", *clauses]:
            return any(_fits(one, text) for one in clauses)
        case ["and", *clauses]:
            return all(_fits(one, text) for one in clauses)
        case _:
            raise ValueError(f"prices.json has an unknown clause: {clause!r}")


def _compiled(price: Mapping[str, Any], table: str) -> Price:
    hours = price.get("t")
    return Price(
        since_ms=_day_ms(price["d"]) if "d" in price else None,
        hours=(_minutes_ms(hours[0]), _minutes_ms(hours[1])) if hours else None,
        tiers=_tiers(price),
        date=price.get("d", table),
    )


def _day_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def _minutes_ms(text: str) -> int:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * _MINUTE_MS


def _tiers(price: Mapping[str, Any]) -> tuple[tuple[int, Rate], ...]:
    stepped = [value for value in price.values() if isinstance(value, list)]
    starts = {0} | {start for value in stepped for start in _starts(value)}
    return tuple((start, _rate(price, start)) for start in sorted(starts, reverse=True))


def _starts(value: list[Any]) -> list[int]:
    return [step[0] for step in value[1:] if isinstance(step, list)]


def _rate(price: Mapping[str, Any], start: int) -> Rate:
    """Return the rate above `start` input tokens; what has no price of its own is plain input."""
    fresh = _amount(price["i"], start)
    write = _amount(price["w"], start) if "w" in price else fresh
    return Rate(
        fresh=fresh,
        cached=_amount(price["r"], start) if "r" in price else fresh,
        write=write,
        write_1h=_amount(price["h"], start) if "h" in price else write,
        output=_amount(price["o"], start) if "o" in price else None,
    )


def _amount(value: str | list[Any], start: int) -> int:
    if not isinstance(value, list):
        return int(Decimal(value) * _SCALE)
    reached = [step[1] for step in value[1:] if step[0] <= start]
    return int(Decimal(reached[-1] if reached else value[0]) * _SCALE)


def _your_price(yours: Mapping[str, list[Price]], provider: str, model: str) -> list[Price]:
    plain = re.sub(_LONG_CONTEXT, "", model)
    wanted = (f"{provider}/{plain}", plain)
    return next((yours[name] for name in wanted if name in yours), [])


def _read_yours(path: Path) -> dict[str, list[Price]]:
    """Read the user's prices: `[[price]]` tables, in USD per million tokens."""
    import tomllib  # noqa: PLC0415 - few people have such a file, everybody books

    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(path, str(error)) from error
    entries = read.pop("price", [])
    if read or not isinstance(entries, list):
        raise _wrong(path, f"only [[price]] tables belong there, not {', '.join(read) or 'price'}")
    found: dict[str, list[Price]] = {}
    for entry in entries:
        name, price = _your_entry(path, entry)
        found.setdefault(name, []).append(price)
    return {
        name: sorted(prices, key=lambda one: one.since_ms or 0) for name, prices in found.items()
    }


def _your_entry(path: Path, entry: object) -> tuple[str, Price]:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        raise _wrong(path, "a [[price]] needs a model")
    unknown = entry.keys() - {"model", "provider", "since", *_YOURS}
    if unknown:
        raise _wrong(path, f"a [[price]] has no {', '.join(sorted(unknown))}")
    model = entry["model"].lower()
    price: dict[str, Any] = {
        short: _your_amount(path, f"{name} of {entry['model']}", entry[name])
        for name, short in _YOURS.items()
        if name in entry
    }
    if "i" not in price or "o" not in price:
        raise _wrong(path, f"the price of {entry['model']} needs both input and output")
    if "since" in entry:
        price["d"] = str(entry["since"])[:10]
    try:
        compiled = _compiled(price, OVERRIDE_FILE)
    except ValueError as error:
        raise _wrong(path, f"since of {entry['model']} is not a day: {entry['since']!r}") from error
    provider = str(entry.get("provider", "")).lower()
    return f"{provider}/{model}" if provider else model, compiled


def _your_amount(path: Path, what: str, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return str(value)
    raise _wrong(path, f"{what} is not a price: {value!r}")


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The prices in {path} cannot be used: {what}.",
        'A price looks like: [[price]] model = "my-model" input = 1.25 output = 10.0 '
        "(USD per million tokens; also cached_input, cache_write, cache_write_1h, since).",
    )
