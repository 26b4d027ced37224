"""How values spread, and which of them stand out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 20
"""Values below which nothing is said to stand out."""

FAR_OUT = 3
"""Times the distance between the quartiles: Tukey's "far out"."""

AT_LEAST_MEDIANS = 2
MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """Average, median and the value that 95 of 100 stay within."""

    count: int
    average: float
    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class Outlier:
    """A value that stands out; the usual ones stay within `usual`. `place` is its number."""

    place: int
    value: int
    usual: float


def spread(values: Sequence[int]) -> Spread | None:
    """Return how values spread, None where there are none."""
    if not values:
        return None
    average = sum(values) / len(values)
    if len(values) == 1:
        return Spread(1, average, float(values[0]), float(values[0]))
    cuts = quantiles(values, n=20, method="inclusive")
    return Spread(len(values), average, cuts[9], cuts[18])


def outliers(values: Sequence[int]) -> list[Outlier]:
    """Return up to three values that stand out, largest first.

    These lie above the upper quartile by more than three times the distance between the quartiles,
    and above twice the median; of fewer than 20 values none does.
    """
    if len(values) < FEWEST:
        return []
    lower, median, upper = quantiles(values, n=4, method="inclusive")
    usual = max(upper + FAR_OUT * (upper - lower), AT_LEAST_MEDIANS * median)
    far = [(value, place) for place, value in enumerate(values) if value > usual]
    far.sort(key=lambda one: (-one[0], one[1]))
    return [Outlier(place, value, usual) for value, place in far[:MOST_TOLD]]
