"""The first lines of a report, and all others in one. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_cli.reports.lines import NOTHING, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.reports.lines import Shown


def topped(shown: Shown, count: int) -> Shown:
    """Return the report with its first `count` lines; the sum of the others is its last one."""
    first, others = shown.lines[:count], shown.lines[count:]
    rest = [_summed(others, len(shown.group_by), is_compared=shown.is_compared)] if others else []
    return replace(shown, lines=(*first, *rest), is_topped=True)


def _summed(lines: Sequence[Line], width: int, *, is_compared: bool) -> Line:
    before = sum((line.before or NOTHING for line in lines), NOTHING)
    return Line(
        ("",) * width,
        sum((line.amounts for line in lines), NOTHING),
        before if is_compared else None,
        others=len(lines),
        is_estimated=any(line.is_estimated for line in lines),
        was_estimated=any(line.was_estimated for line in lines),
    )
