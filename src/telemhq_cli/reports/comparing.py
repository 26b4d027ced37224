"""A report beside that of the time before. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from telemhq_agents.contract.usage_report import TIME_GROUPS, UsageReport, UsageRow
from telemhq_agents.errors import UsageError
from telemhq_cli.reports.lines import NOTHING, Line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_cli.reports.lines import Shown

NEW, GONE = "new", "gone"
DAY = "day"


def compared(
    shown: Shown, before: UsageReport, estimated: Collection[tuple[str, ...]] = ()
) -> Shown:
    """Return the report with what each group was before; those that are gone stand last.

    Among groups of time each stands where its own time lies. `estimated` are the keys of groups
    that were not exact.
    """
    was = {row.keys: row.amounts for row in before.rows}
    here = {line.keys for line in shown.lines}
    gone = [Line(row.keys, NOTHING) for row in before.rows if row.keys not in here]
    lines = [
        replace(line, before=was.get(line.keys, NOTHING), was_estimated=line.keys in estimated)
        for line in (*shown.lines, *gone)
    ]
    if shown.group_by and shown.group_by[0] in TIME_GROUPS:
        lines.sort(key=lambda line: line.keys)
    total = replace(shown.total, before=before.total, was_estimated=bool(estimated))
    return replace(shown, lines=tuple(lines), total=total)


def check_groups(group_by: Sequence[str], days: int | None) -> None:
    """Raise UsageError for groups that have no counterpart in the time before.

    `days` is by how many whole days that lies earlier; None where it is none.
    """
    for name in group_by:
        if name in TIME_GROUPS - {DAY} or (name == DAY and days is None):
            raise UsageError(
                f"No {name} of this time is one of the time before.",
                "Compare by project, model, member … or, over whole days, by day.",
            )


def moved(report: UsageReport, days: int) -> UsageReport:
    """Return a report of the time before with its days called what they are compared with."""
    rows = tuple(
        UsageRow(later(report.group_by, row.keys, days), row.amounts) for row in report.rows
    )
    return replace(report, rows=rows)


def later(group_by: Sequence[str], keys: tuple[str, ...], days: int) -> tuple[str, ...]:
    """Return the keys of a group with its day so many days later."""
    if DAY not in group_by:
        return keys
    at = group_by.index(DAY)
    day = (date.fromisoformat(keys[at]) + timedelta(days=days)).isoformat()
    return (*keys[:at], day, *keys[at + 1 :])


def percent(now: float, before: float) -> float | None:
    """Return by how many percent a figure grew; None where there was nothing to grow from."""
    return (now - before) / before * 100 if before else None


def fate(line: Line) -> str:
    """Return NEW for a group that was not there before, GONE for one that is not any more."""
    if not line.keys or line.before is None or (line.amounts and line.before):
        return ""
    if line.amounts:
        return NEW
    return GONE if line.before else ""


def figure_of(total: Amounts, before: Amounts | None) -> str:
    """Return what a report is measured by: its cost, or tokens where nothing of it has one."""
    return "cost_nano" if total.cost_nano or (before or NOTHING).cost_nano else "total_tokens"
