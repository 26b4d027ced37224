"""A tracker's usage and fields group by group, as tables with bars. Pure, but for the screen."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.series import FieldKind
from telemhq_agents.contract.usage_report import figures
from telemhq_cli.render import screen
from telemhq_cli.render.bars import bar
from telemhq_cli.render.series import reading
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import cost, counted, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_agents.contract.breakdown import Breakdown, FieldSums
    from telemhq_agents.contract.series import Number
    from telemhq_agents.contract.usage_report import UsageReport

NAMELESS = "(none)"
BAR_COLUMNS = 12
SENT_WITHOUT = "* Some of it was sent without a cost."
_NO_SUMS = frozenset({FieldKind.SCORE, FieldKind.RATIO})
"""Fields whose sum says nothing."""

_FIGURES = ("runs", "failures", "total_tokens", "cost_usd", "unpriced_tokens")


def usage_table(report: UsageReport, title: str) -> Table:
    """Return runs, failures, tokens and spend of each group, the costliest first, and all of it."""
    by = report.group_by[0]
    whole_cost, whole_tokens = report.total.cost_nano, report.total.total_tokens
    columns = (
        Column(by, by.capitalize()),
        Column("share", "Of spend" if whole_cost > 0 else "Of tokens", spare=1),
        Column("runs", "Runs", whole, is_figure=True),
        Column("failures", "Failed", whole, is_figure=True, grudged=1),
        Column("total_tokens", "Tokens", whole, is_figure=True),
        Column("cost_usd", "Spend", is_figure=True),
    )

    def share(amounts: Amounts) -> str:
        part, all_of_it = (
            (amounts.cost_nano, whole_cost)
            if whole_cost > 0
            else (amounts.total_tokens, whole_tokens)
        )
        return bar(part / all_of_it, BAR_COLUMNS) if all_of_it > 0 else ""

    rows = [
        (row.keys[0] or NAMELESS, share(row.amounts), *_cells(row.amounts)) for row in report.rows
    ]
    which = "" if by == "model" else " --by model tells for which models."
    notes = (f"{SENT_WITHOUT}{which}",) if report.total.unpriced_tokens else ()
    total = ("Total", "", *_cells(report.total))
    return Table(columns, rows, total, title=title, notes=notes, empty="No usage yet.")


def _cells(amounts: Amounts) -> tuple[Any, ...]:
    spent = cost(amounts.cost_nano, amounts.unpriced_tokens)
    return amounts.runs, amounts.failures, amounts.total_tokens, spent


def field_tables(told: Breakdown) -> list[Table]:
    """Return a table for each field: its sum and what it is of the whole, mean, least, greatest."""
    names = [one.field for one in told.projects[0].fields] if told.projects else []
    return [_field_table(told, place, name) for place, name in enumerate(names)]


def _field_table(told: Breakdown, place: int, name: str) -> Table:
    found = [(one.project, one.fields[place]) for one in told.projects]
    adds_up = found[0][1].kind not in _NO_SUMS
    largest = max((abs(_size(sums, adds_up=adds_up)) for _, sums in found), default=0)
    columns = (
        Column("project", "Project"),
        Column("bar", "Sum" if adds_up else "Mean", spare=1),
        Column("runs", "Runs", whole, is_figure=True),
        Column("sum", "Sum", is_figure=True, is_detail=not adds_up),
        Column("mean", "Mean", is_figure=True),
        Column("min", "Min", is_figure=True, spare=2),
        Column("max", "Max", is_figure=True, spare=2),
    )
    rows = [
        (
            project or NAMELESS,
            bar(abs(_size(sums, adds_up=adds_up)) / largest, BAR_COLUMNS) if largest else "",
            *(
                sums.runs,
                *(_read(value, sums) for value in (sums.sum, sums.mean, sums.min, sums.max)),
            ),
        )
        for project, sums in sorted(found, key=lambda one: -_size(one[1], adds_up=adds_up))
        if sums.runs
    ]
    title = f"{name}, over the latest {counted(told.runs, 'run')}"
    return Table(columns, rows, title=title, empty=f"No run has a number in {name}.")


def _size(sums: FieldSums, *, adds_up: bool) -> float:
    value = sums.sum if adds_up else sums.mean
    return float(value or 0)


def _read(value: Number | None, sums: FieldSums) -> str:
    return reading(value, sums.unit, ascii_only=screen.is_ascii())


def document(report: UsageReport, told: Breakdown | None, about: dict[str, Any]) -> dict[str, Any]:
    """Return all of it for programs; `fields` is null where no field was named."""
    return {
        **about,
        "rows": [
            dict(zip(report.group_by, row.keys, strict=True)) | _shown(row.amounts)
            for row in report.rows
        ],
        "total": _shown(report.total),
        "fields": None if told is None else asdict(told),
    }


def _shown(amounts: Amounts) -> dict[str, int | float]:
    return {name: value for name, value in figures(amounts).items() if name in _FIGURES}


def flat_table(report: UsageReport, told: Breakdown | None) -> Table:
    """Return all of it as one table for programs, a row for each group."""
    columns = [Column(report.group_by[0], ""), *(Column(name, name) for name in _FIGURES)]
    sums = {} if told is None else {one.project: one.fields for one in told.projects}
    fields: Sequence[FieldSums] = next(iter(sums.values()), [])
    kinds = ("runs", "sum", "mean", "min", "max")
    columns += [Column(f"{one.field}:{kind}", kind) for one in fields for kind in kinds]
    known = {row.keys[0]: _shown(row.amounts) for row in report.rows}
    rows = [
        (
            name,
            *(known.get(name, {}).get(figure) for figure in _FIGURES),
            *_flat(sums.get(name), len(fields), kinds),
        )
        for name in dict.fromkeys([*known, *sums])
    ]
    return Table(tuple(columns), rows)


def _flat(found: Sequence[FieldSums] | None, fields: int, kinds: Sequence[str]) -> list[Any]:
    if found is None:
        return [None] * fields * len(kinds)
    return [getattr(one, kind) for one in found for kind in kinds]
