"""What a model costs per token: rates, tiers by input length, days and hours. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Cost = tuple[int, str]
"""Nano-USD, and the date of the price (or the table it comes from, where that gives none)."""

Tariff: TypeAlias = "Callable[[int, int, int, int, int, int], Cost | None]"
"""Takes what `cost_of` does, but for the prices."""

SCALE = 10**12
"""Rates are whole numbers of 10^-12 USD, so that sums of them are exact."""
MOST_USD = 4_000
"""No price per million tokens is higher: the cost of the largest response still fits a ledger."""
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
_PER_NANO = SCALE // 1000


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


def cost_of(  # noqa: PLR0917 - called once per fact, and keywords cost as much as the sum
    tariff: Iterable[Price],
    at_ms: int,
    input_tokens: int,
    cached_input_tokens: int,
    cache_write_tokens: int,
    cache_write_1h_tokens: int,
    output_tokens: int,
) -> Cost | None:
    """Return what one response cost at `at_ms`, by the first of these prices that is in force then.

    None where none is, or where it has none for output and there was some. `input_tokens` includes
    cache reads and writes, `cache_write_tokens` those of an hour's life.
    """
    for since_ms, hours, tiers, date in tariff:  # noqa: B007 - what was found is used below
        if (since_ms is None or at_ms >= since_ms) and (hours is None or _is_within(hours, at_ms)):
            break
    else:
        return None
    for start, rate in tiers:  # noqa: B007 - same; the last one starts at 0
        if input_tokens > start:
            break
    fresh, cached, write, write_1h, output = rate
    if output is None:
        if output_tokens:
            return None
        output = 0
    uncached = input_tokens - cached_input_tokens - cache_write_tokens
    total = (
        (uncached * fresh if uncached > 0 else 0)
        + cached_input_tokens * cached
        + (cache_write_tokens - cache_write_1h_tokens) * write
        + cache_write_1h_tokens * write_1h
        + output_tokens * output
    )
    whole, rest = divmod(total, _PER_NANO)
    return (_rounded(whole, rest) if rest else whole), date


def _rounded(whole: int, rest: int) -> int:
    """Return the nearest whole number of nano-USD, half to even."""
    half = _PER_NANO - rest * 2
    return whole + (half < 0 or (half == 0 and whole % 2 == 1))


def _is_within(hours: tuple[int, int], at_ms: int) -> bool:
    """Tell whether a moment lies in these hours of its day, which may go past midnight."""
    start, end = hours
    now = at_ms % DAY_MS
    return start <= now < end if start <= end else now >= start or now < end


def compiled(price: Mapping[str, Any], table: str) -> Price:
    """Return an entry of the table as it is reckoned with; `table` dates what has no day.

    Raises ValueError for what is no day.
    """
    hours = price.get("t")
    return Price(
        since_ms=day_ms(price["d"]) if "d" in price else None,
        hours=(_minutes_ms(hours[0]), _minutes_ms(hours[1])) if hours else None,
        tiers=_tiers(price),
        date=price.get("d", table),
    )


def day_ms(day: str) -> int:
    """Return a day's first moment, UTC. Raises ValueError for what is no day."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def _minutes_ms(text: str) -> int:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE_MS


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
        return int(Decimal(value) * SCALE)
    reached = [step[1] for step in value[1:] if step[0] <= start]
    return int(Decimal(reached[-1] if reached else value[0]) * SCALE)
