"""Axes: from values and moments to places between 0 and 1, and ticks that read well. Pure."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

Ticks = tuple[tuple[float, str], ...]
"""Places between 0 and 1, and what stands there."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
_SAME = 1e-12
"""Values that differ by less, in proportion, are drawn as equal."""

_TIMES = {"ns": 1.0, "µs": 1e3, "us": 1e3, "ms": 1e6, "s": 1e9, "min": 6e10, "h": 3.6e12}
_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_PLAIN_FROM, _PLAIN_TO = 1e-5, 1e16
_MOST_TICKS = 200
_CLOCK_STEPS = (
    *(1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
)
_DAY_STEPS = (1, 2, 7, 14)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12_000, 60_000)
_DAYS_OF_A_MONTH = 31
_MONTHS_OF_A_YEAR = 12
FIRST_S, LAST_S = -62_000_000_000, 253_000_000_000
"""What a calendar of the years 5 to 9987 can name."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` at 0 to `high` at 1; where both are the same everything stands in the middle."""

    low: float
    high: float
    ticks: Ticks
    divisor: float = 1.0

    def place(self, value: float) -> float:
        """Return where a value stands, between 0 and 1."""
        if self.high <= self.low:
            return 0.5
        share = (value / self.divisor - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """How figures of one size are written: divided, with a sign before and a unit after."""

    divisor: float = 1.0
    before: str = ""
    after: str = ""

    def write(self, scaled: float, decimals: int | None) -> str:
        """Write a figure that is divided already; without `decimals` in powers of ten."""
        size = abs(scaled)
        if not size:
            return f"{self.before}0"
        if decimals is None:
            return f"{self.before}{scaled:.6g}{self.after}"
        sign = "-" if scaled < 0 else ""
        return f"{sign}{self.before}{size:,.{decimals}f}{self.after}"


def measure_of(unit: str, largest: float, *, ascii_only: bool) -> Measure:
    """Choose how figures up to `largest` of a unit are written: 1,500 ms in seconds."""
    if unit in _TIMES:
        return _in_units(_TIMES, unit, largest, ascii_only=ascii_only)
    if unit in _BYTES:
        return _in_units(_BYTES, unit, largest, ascii_only=ascii_only)
    before, after = ("$", "") if unit == "USD" else ("", "%" if unit == "%" else "")
    if largest >= _PLAIN_TO:
        return Measure(1.0, before, after)
    name, divisor = _fitting(_COUNTS, largest)
    return Measure(divisor, before, f"{name}{after}")


def says_unit(unit: str) -> bool:
    """Tell whether the figures of an axis name their unit themselves."""
    return unit in {"", "USD", "%"} or is_scaled(unit)


def is_scaled(unit: str) -> bool:
    """Tell whether figures of a unit are written in one of their size: times and bytes."""
    return unit in _TIMES or unit in _BYTES


def value_axis(
    values: Sequence[float], unit: str, *, ticks: int, zero: bool, ascii_only: bool
) -> Axis:
    """Return an axis for finite values; `zero` says that it must be on it."""
    low, high = min(values), max(values)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else _with_zero_near(low, high)
    largest = max(abs(low), abs(high))
    measure = measure_of(unit, largest, ascii_only=ascii_only)
    if high - low < measure.divisor * _PLAIN_FROM * 100:  # 1,000,001, not 1.000001M
        measure = measure_of(unit, 1.0, ascii_only=ascii_only)
    divisor = measure.divisor * _ten_power(largest / measure.divisor)
    lower, upper = low / divisor, high / divisor
    if upper - lower <= _SAME * max(abs(lower), abs(upper)):
        return Axis(lower, lower, ((0.5, _alone(measure, low)),), divisor)
    step, first, last = _steps(lower, upper, ticks)
    power = divisor / measure.divisor
    decimals = _decimals(step * power, max(abs(upper), abs(lower)) * power)
    named = tuple(
        (
            min(max((number * step - lower) / (upper - lower), 0.0), 1.0),
            measure.write(number * step * power, decimals),
        )
        for number in range(first, last + 1)
    )
    return Axis(lower, upper, named, divisor)


def _steps(lower: float, upper: float, ticks: int) -> tuple[float, int, int]:
    """Return a round step, and the first and last multiple of it between two ends: two at least."""
    most = max(ticks - 1, 1)
    while True:
        step = _nice((upper - lower) / most)
        first, last = math.ceil(lower / step - _SAME), math.floor(upper / step + _SAME)
        if last > first:
            return step, first, last
        most *= 2


def time_axis(moments: Sequence[float], zone: ZoneInfo, *, ticks: int) -> Axis:
    """Return an axis for seconds since 1970 UTC, with ticks at round times of a zone."""
    low, high = (min(max(at, FIRST_S), LAST_S) for at in (min(moments), max(moments)))
    if high <= low:
        only = datetime.fromtimestamp(low, zone)
        return Axis(low, low, ((0.5, f"{only:%Y-%m-%d %H:%M}"),))
    for most in (ticks, 2 * ticks, 4 * ticks):
        named = _named(low, high, zone, most)
        if len(named) > 1:
            return Axis(low, high, named)
    ends = ((0.0, low), (1.0, high))
    return Axis(low, high, tuple((place, _end(at, zone, high - low)) for place, at in ends))


def _end(at: float, zone: ZoneInfo, span: float) -> str:
    """Name an end of an axis so that the other one reads differently."""
    moment = datetime.fromtimestamp(at, zone)
    if span >= MINUTE:
        return f"{moment:%m-%d %H:%M}"
    return f"{moment:%H:%M:%S}" if span >= 1 else f"{moment:%H:%M:%S.%f}"[:-3]


def _named(low: float, high: float, zone: ZoneInfo, most: int) -> Ticks:
    return tuple(
        ((at - low) / (high - low), label)
        for at, label in _time_ticks(low, high, zone, most)
        if low <= at <= high
    )


def _in_units(units: dict[str, float], unit: str, largest: float, *, ascii_only: bool) -> Measure:
    whole = units[unit]
    name, size = _fitting(units, largest * whole if largest < _PLAIN_TO else whole)
    shown = ("us" if ascii_only else "µs") if name in {"us", "µs"} else name
    return Measure(size / whole, "", f" {shown}")


def _fitting(units: dict[str, float], largest: float) -> tuple[str, float]:
    """Return the largest unit that `largest` is at least one of; the smallest for less."""
    least = min(units.items(), key=lambda one: one[1])
    return max(
        (one for one in units.items() if one[1] <= largest), key=lambda one: one[1], default=least
    )


def _with_zero_near(low: float, high: float) -> tuple[float, float]:
    """Begin at zero where that costs less than half of the room."""
    if 0 < low <= high / 2:
        return 0.0, high
    if low / 2 <= high < 0:
        return low, 0.0
    return low, high


def _ten_power(size: float) -> float:
    """Return the power of ten that brings a size to between 1 and 10, where it is extreme."""
    if not size or _PLAIN_FROM <= size < _PLAIN_TO:
        return 1.0
    return max(10.0 ** math.floor(math.log10(size)), sys.float_info.min)


def _nice(step: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 … at or above a step."""
    power = 10.0 ** math.floor(math.log10(step))
    share = step / power
    return next((factor for factor in (1, 2, 5) if share <= factor + _SAME), 10) * power


def _decimals(step: float, largest: float) -> int | None:
    """Return how many decimals steps differ in; None where it takes powers of ten."""
    if not _PLAIN_FROM <= step <= largest < _PLAIN_TO:
        return None
    return max(0, -math.floor(math.log10(step) + _SAME))


def _alone(measure: Measure, value: float) -> str:
    """Write the one figure of an axis: as exactly as it takes, within six digits."""
    scaled = value / measure.divisor
    text = f"{scaled:.6g}"
    return measure.write(scaled, None if "e" in text else len(text.partition(".")[2]))


def _time_ticks(low: float, high: float, zone: ZoneInfo, most: int) -> Iterator[tuple[float, str]]:
    span = high - low
    clock = next((step for step in _CLOCK_STEPS if span <= step * most), None)
    if clock is not None:
        return _clock_ticks(low, high, zone, clock)
    days = next((step for step in _DAY_STEPS if span <= step * DAY * most), None)
    if days is not None:
        return _day_ticks(low, high, zone, days)
    months = span / (DAY * _DAYS_OF_A_MONTH)
    return _month_ticks(
        low, high, zone, next((one for one in _MONTH_STEPS if months <= one * most), 60_000)
    )


def _clock_ticks(low: float, high: float, zone: ZoneInfo, step: int) -> Iterator[tuple[float, str]]:
    """Yield round times of day; one that a change of the clocks leaves out is left out."""
    begun = datetime.fromtimestamp(low, zone).replace(tzinfo=None)
    midnight = begun.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + timedelta(seconds=(begun - midnight).seconds // step * step)
    form = "%H:%M:%S" if step < MINUTE else "%H:%M"
    for number in range(_MOST_TICKS):
        wall = first + timedelta(seconds=number * step)
        at = wall.replace(tzinfo=zone).timestamp()
        if at > high:
            return
        if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall:
            is_midnight = (wall.hour, wall.minute, wall.second) == (0, 0, 0)
            yield at, wall.strftime("%m-%d" if is_midnight else form)


def _day_ticks(low: float, high: float, zone: ZoneInfo, step: int) -> Iterator[tuple[float, str]]:
    first = datetime.fromtimestamp(low, zone).toordinal() // step * step
    days = (datetime.fromordinal(first + number * step) for number in range(_MOST_TICKS))
    starts = ((day.replace(tzinfo=zone).timestamp(), day) for day in days)
    for at, day in takewhile(lambda one: one[0] <= high, starts):
        yield at, day.strftime("%m-%d")


def _month_ticks(low: float, high: float, zone: ZoneInfo, step: int) -> Iterator[tuple[float, str]]:
    begun = datetime.fromtimestamp(low, zone)
    first = (begun.year * _MONTHS_OF_A_YEAR + begun.month - 1) // step * step
    for number in range(_MOST_TICKS):
        year, month = divmod(first + number * step, _MONTHS_OF_A_YEAR)
        if not MINYEAR <= year <= MAXYEAR:
            continue
        start = datetime(year, month + 1, 1, tzinfo=zone)
        if start.astimezone(UTC).timestamp() > high:
            return
        yield (
            start.timestamp(),
            f"{year:04}" if step >= _MONTHS_OF_A_YEAR else f"{year:04}-{month + 1:02}",
        )
