"""In which order the lines of a report stand. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from telemhq_agents.contract.usage_report import SHOWN, figures
from telemhq_agents.errors import UsageError
from telemhq_cli.reports.comparing import figure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.reports.lines import Line, Shown

CHANGE = "change"
PER_RUN = "per_run"
CACHE_SHARE = "cache_share"
SHORT = {
    "cost": "cost_usd",
    "tokens": "total_tokens",
    "input": "input_tokens",
    "cached": "cached_input_tokens",
    "written": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "unpriced": "unpriced_tokens",
    "failed": "failures",
    "per-run": PER_RUN,
    "cache": CACHE_SHARE,
}
"""What figures are called on a command line, besides their names."""

_REVERSED = "-"


@dataclass(frozen=True, slots=True)
class Sort:
    """By what lines are ordered; figures fall and keys rise, unless it is reversed."""

    name: str
    is_reversed: bool = False


def sort_of(text: str, group_by: Sequence[str], *, is_compared: bool) -> Sort:
    """Read `cost` or `-cost`. Raises UsageError for what is no figure or key of the report."""
    name = text.removeprefix(_REVERSED)
    wanted = Sort(SHORT.get(name, name), text.startswith(_REVERSED))
    own = (*SHOWN, PER_RUN, CACHE_SHARE, *group_by)
    if wanted.name in own or (wanted.name == CHANGE and is_compared):
        return wanted
    if wanted.name == CHANGE:
        raise UsageError("There is no change to sort by.", "Give --compare with --sort change.")
    known = [*group_by, *SHORT, "runs", "responses", *([CHANGE] if is_compared else [])]
    from telemhq_agents.nearest import missed  # noqa: PLC0415 - for a slip alone

    raise UsageError(
        missed(f"The report has no {name!r} to sort by", name, known),
        f"Sort by one of: {', '.join(known)}; -cost for the smallest first.",
    )


def ordered(shown: Shown, sort: Sort) -> Shown:
    """Return the report with its lines in this order; what is equal stays as it stood."""
    if sort.name in shown.group_by:
        at = shown.group_by.index(sort.name)
        lines = sorted(shown.lines, key=lambda line: line.keys[at], reverse=sort.is_reversed)
        return replace(shown, lines=tuple(lines))
    about = figure_of(shown.total.amounts, shown.total.before)
    lines = sorted(
        shown.lines,
        key=lambda line: _figure(line, sort.name, about),
        reverse=not sort.is_reversed,
    )
    return replace(shown, lines=tuple(lines))


def _figure(line: Line, name: str, about: str) -> float:
    match name:
        case "change":
            return float(getattr(line.change, about))
        case "per_run":
            return line.amounts.cost_nano / line.amounts.runs if line.amounts.runs else -1.0
        case "cache_share":
            return cache_share(line) or 0.0
        case _:
            return figures(line.amounts)[name]


def cache_share(line: Line) -> float | None:
    """Return which share of all input came out of a cache; None where there was no input."""
    amounts = line.amounts
    return amounts.cached_input_tokens / amounts.input_tokens if amounts.input_tokens else None
