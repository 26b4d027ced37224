"""The prices in force as a list, for people. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from telemhq_agents.pricing import Prices
from telemhq_agents.rates import DAY_MS, MINUTE_MS, SCALE, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from telemhq_agents.own_prices import OwnPrice
    from telemhq_agents.rates import Price, Rate

YOURS = "yours"
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What tokens of a model cost, in USD per million, above so many input tokens a response.

    `since` is the day from which it holds ("" for ever), `hours` when it holds each day (UTC).
    What a table gives no price of its own for costs what `input` does.
    """

    model: str
    provider: str
    since: str
    hours: str
    above_input_tokens: int
    input: float
    output: float | None
    cached_input: float
    cache_write: float
    cache_write_1h: float
    date: str
    source: str


def listed(
    table: Mapping[str, Any], source: str, own: Sequence[OwnPrice], pattern: str = "*"
) -> list[ListedPrice]:
    """Return the user's prices, then the table's, of the models that fit a pattern.

    `source` is what the table is called. A name without wildcards that no entry has is looked up
    as a response's model would be: claude-opus-4-8-20260101 shows what it is priced by.
    """
    wanted = pattern.lower()
    yours = [one for one in own if fnmatchcase(one.model.lower(), wanted)]
    rows = [
        row
        for one in yours
        for row in _rows(one.model, one.provider, one.since, one.compiled, YOURS)
    ]
    entries = [found for found in _entries(table) if fnmatchcase(found[1]["n"].lower(), wanted)]
    if not entries and not _WILD.search(wanted):
        found = Prices(table, {}).entry("", wanted)
        entries = [] if found is None else [found]
    return rows + [row for at, entry in entries for row in _of_entry(table, source, at, entry)]


def _entries(table: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for provider, entry in sorted(table["providers"].items()):
        for model in sorted(entry["models"], key=lambda one: str(one["n"])):
            yield provider, model


def _of_entry(
    table: Mapping[str, Any], source: str, provider: str, entry: Mapping[str, Any]
) -> Iterator[ListedPrice]:
    for price in entry["p"]:
        price_of = compiled(price, table["from"])
        yield from _rows(entry["n"], provider, price.get("d", ""), price_of, source)


def _rows(
    model: str, provider: str, since: str, price: Price, source: str
) -> Iterator[ListedPrice]:
    for above, rate in reversed(price.tiers):
        amounts = _amounts(rate)
        yield ListedPrice(
            model,
            provider,
            since,
            _hours(price.hours),
            above,
            *amounts,
            date=price.date,
            source=source,
        )


def _amounts(rate: Rate) -> tuple[float, float | None, float, float, float]:
    output = None if rate.output is None else rate.output / SCALE
    fresh, cached, write, write_1h = (
        amount / SCALE for amount in (rate.fresh, rate.cached, rate.write, rate.write_1h)
    )
    return fresh, output, cached, write, write_1h


def _hours(hours: tuple[int, int] | None) -> str:
    if hours is None:
        return ""
    start, end = ((at % DAY_MS) // MINUTE_MS for at in hours)
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
