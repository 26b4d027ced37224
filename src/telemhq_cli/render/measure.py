"""What a picture of usage shows: tokens, cost, runs or failures. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from telemhq_agents.contract.amounts import usd
from telemhq_cli.render.words import compact, money

if TYPE_CHECKING:
    from telemhq_agents.contract.amounts import Amounts

CENT = 10_000_000
"""Nano-USD."""

_HUNDRED_USD = 100_000_000_000


class Measure(StrEnum):
    """One figure of a report."""

    TOKENS = "tokens"
    COST = "cost"
    RUNS = "runs"
    FAILURES = "failures"


def figure(amounts: Amounts, of: Measure) -> int:
    """Return the figure as it adds up: money in nano-USD."""
    match of:
        case Measure.TOKENS:
            return amounts.total_tokens
        case Measure.COST:
            return amounts.cost_nano
        case Measure.RUNS:
            return amounts.runs
        case Measure.FAILURES:
            return amounts.failures
        case _:
            assert_never(of)


def raw(value: int, of: Measure) -> int | float:
    """Return a figure as programs get it: money in USD."""
    return usd(value) if of is Measure.COST else value


def short(value: int, of: Measure) -> str:
    """Write a figure in a few characters."""
    if of is not Measure.COST:
        return compact(value)
    if abs(value) >= _HUNDRED_USD:
        return f"{'-' if value < 0 else ''}${compact(abs(value) // 1_000_000_000)}"
    if abs(value) >= CENT:
        return f"{'-' if value < 0 else ''}${abs(value) / 1_000_000_000:.2f}"
    return money(value)


def key(of: Measure) -> str:
    """Return what programs call the figure: money names its currency."""
    return "cost_usd" if of is Measure.COST else of.value


def unit(of: Measure) -> str:
    """Return what a figure counts, as an axis names it."""
    return "USD" if of is Measure.COST else of.value
