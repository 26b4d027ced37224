"""Many values as few points: none of the extremes is lost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from telemhq_agents.contract.series import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    Values = Sequence[Number | None]


@dataclass(frozen=True, slots=True)
class Sampled:
    """A few points, each for many values; all null (and a count of 0) where these are all gaps."""

    averages: list[Number | None]
    least: list[Number | None]
    most: list[Number | None]
    counts: list[int]


def bounds(length: int, width: int) -> list[tuple[int, int]]:
    """Cut `length` values into at most `width` slices that differ by one value at most."""
    count = min(length, width)
    edges = [length * place // count for place in range(count + 1)] if count else []
    return list(pairwise(edges))


def sampled(values: Values, slices: Sequence[tuple[int, int]]) -> Sampled:
    """Return average, minimum, maximum and count of each slice; gaps count nowhere."""
    result = Sampled([], [], [], [])
    for start, end in slices:
        there = [value for value in values[start:end] if value is not None]
        result.counts.append(len(there))
        result.averages.append(_average(there))
        result.least.append(min(there, default=None))
        result.most.append(max(there, default=None))
    return result


def _average(there: Sequence[Number]) -> Number | None:
    """Return the average; it lies between the extremes whatever rounding does."""
    if not there:
        return None
    try:
        average = sum(there) / len(there)
    except OverflowError:
        average = sum(value / len(there) for value in there)
    return min(max(average, min(there)), max(there))
