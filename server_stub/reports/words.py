"""How figures read in mail: money, durations, shares, changes. Pure; the same everywhere."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import NANO_PER_USD

if TYPE_CHECKING:
    from datetime import date

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SECOND, _MINUTE, _HOUR = 1000, 60_000, 3_600_000
_SAME = 0.5
_MANY_TIMES = 1000
_CENT = NANO_PER_USD // 100


def written_day(day: date) -> str:
    """Write a day: Friday, 20 November 2026."""
    return f"{_DAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def money(nano: float) -> str:
    """Write nano-USD: cents from a dollar on, finer below it."""
    sign, size = ("-" if nano < 0 else ""), abs(nano)
    if size == 0:
        return "$0.00"
    if size >= NANO_PER_USD:
        return f"{sign}${size / NANO_PER_USD:,.2f}"
    if size < _CENT / 100:
        return f"{sign}<$0.0001"
    return f"{sign}${size / NANO_PER_USD:.4f}"


def length(ms: float) -> str:
    """Write a duration with the two units that matter."""
    if ms < _SECOND:
        return f"{ms:.0f} ms"
    if ms < _MINUTE:
        return f"{ms / _SECOND:.1f} s"
    if ms < _HOUR:
        minutes, seconds = divmod(round(ms / _SECOND), 60)
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(round(ms / _MINUTE), 60)
    return f"{hours:,} h {minutes} min"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in per cent; "" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def change(now: float, before: float) -> str:
    """Write how a figure changed, in per cent of what it was."""
    if not before:
        return "none before" if now else ""
    percent = 100 * (now - before) / before
    if abs(percent) < _SAME:
        return "as before"
    if percent >= _MANY_TIMES:
        return f"{now / before:,.0f} times as before"
    return f"{percent:+.0f} %"


def number(value: float) -> str:
    """Write a figure of a payload: at most four digits behind the point, no needless zeros."""
    if abs(value) >= 10**15:
        # A total of whole numbers may be larger than any float.
        return f"{Decimal(value).normalize():.3g}"
    shown = f"{value:,.4f}".rstrip("0").rstrip(".")
    return "0" if shown in {"", "-0"} else shown


def counted(count: int, noun: str) -> str:
    """Write how many there are of something: 1 run, 2 runs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
