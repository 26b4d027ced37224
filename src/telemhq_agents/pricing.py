"""Tokens to money, offline, at the price of the day.

The table is this version's or a newer one that was downloaded (price_table); `prices.toml` beside the
user's settings wins over it. A model that nobody knows a price for is unpriced, never free.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from telemhq_agents import price_table
from telemhq_agents.own_prices import read_own
from telemhq_agents.rates import compiled, cost_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from telemhq_agents.rates import Cost, Price, Tariff

RUN_LOCALLY = frozenset({"ollama", "lmstudio", "lm-studio", "llamacpp", "llama.cpp", "vllm", "oss"})
"""Providers without a price, whatever their models are called."""

# Patterns are compiled when the first model is looked up, not when this is imported.
_LONG_CONTEXT = r"\[1m\]$"
_BEDROCK = (
    r"^(?:arn:aws[\w-]*:bedrock:.*/)?(?:[a-z]{2,6}(?:-gov)?\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|"
    r"nvidia|openai|qwen|writer|zai)\."
)
_VERSION = r"-v\d+(?::\d+)?(?::\d+k)?$"
_DATE = r"[-@](20\d\d)-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])$"


class Prices:
    """A table of prices; looks each model up once."""

    def __init__(self, table: Mapping[str, Any], yours: Mapping[str, list[Price]]) -> None:
        self._table = table
        self._providers: Mapping[str, Any] = table["providers"]
        self._yours = yours
        self._found: dict[tuple[str, str], Tariff] = {}

    @classmethod
    def load(cls, override: Path | None = None, downloaded: Path | None = None) -> Self:
        """Return the newer of this version's table and the `downloaded` one, if that is there.

        The user's own prices in `override` win over it, if there are any. Raises SettingsError
        when one of the files is wrong.
        """
        table = price_table.newest(downloaded)
        return cls(table, read_own(override) if override is not None else {})

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

        Tokens as `cost_of` takes them.
        """
        return self.tariff(provider, model)(
            at_ms,
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            cache_write_1h_tokens,
            output_tokens,
        )

    def tariff(self, provider: str, model: str) -> Tariff:
        """Return what tells the cost of a model's responses, for whoever asks for many."""
        found = self._found.get((provider, model))
        if found is None:
            prices = self._look_up(provider.lower(), model.lower())
            found = self._found[provider, model] = partial(cost_of, prices[::-1])
        return found

    def _look_up(self, provider: str, model: str) -> list[Price]:
        """Return a model's prices; of those that hold at a time the last one does."""
        return [*self._published(provider, model), *_your_price(self._yours, provider, model)]

    def _published(self, provider: str, model: str) -> list[Price]:
        found = self.entry(provider, model)
        if found is None:
            return []
        first, *others = (compiled(one, self._table["from"]) for one in found[1]["p"])
        return [first._replace(since_ms=None, hours=None), *others]

    def entry(self, provider: str, model: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return the provider and the table's entry that a model in lower case is priced by."""
        if provider in RUN_LOCALLY:
            return None
        for name in _spellings(model):
            for at, entry in self._candidates(provider, name):
                found = next((one for one in entry["models"] if _fits(one["m"], name)), None)
                if found is not None:
                    return at, found
        return None

    def _candidates(self, provider: str, model: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the providers whose price a model may have, the likeliest first."""
        if re.match(_BEDROCK, model):
            yield "aws", self._providers["aws"]
        named = self._named(provider)
        if named:
            yield named, self._providers[named]
            also = self._providers[named].get("also", ())
            yield from ((name, self._providers[name]) for name in also if name in self._providers)
        for name, entry in self._providers.items():
            if name != named and "models_named" in entry and _fits(entry["models_named"], model):
                yield name, entry

    def _named(self, provider: str) -> str:
        if not provider or provider in self._providers:
            return provider
        named = ((name, one) for name, one in self._providers.items() if "named" in one)
        return next((name for name, one in named if _fits(one["named"], provider)), "")


class PricesInForce:
    """The prices of the user's own file and of the downloaded one, read again when either changes.

    An agent runs for weeks, and a price that is set holds for whatever is read from then on.
    """

    def __init__(self, override: Path, downloaded: Path) -> None:
        self._files = (override, downloaded)
        self._seen: tuple[object, ...] = ()
        self._prices: Prices | None = None

    def now(self) -> Prices:
        """Return the prices as the files hold them. Raises SettingsError when one is wrong."""
        seen = tuple(_version(file) for file in self._files)
        if self._prices is None or seen != self._seen:
            self._prices, self._seen = Prices.load(*self._files), seen
        return self._prices


def _version(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


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
            raise ValueError(f"the table of prices has an unknown clause: {clause!r}")


def _your_price(yours: Mapping[str, list[Price]], provider: str, model: str) -> list[Price]:
    """Return the user's prices; at one provider goes before anywhere, as long as it holds."""
    names = dict.fromkeys((re.sub(_LONG_CONTEXT, "", model), model))
    wanted = (*names, *(f"{provider}/{name}" for name in names))
    return [price for name in wanted for price in yours.get(name, ())]
