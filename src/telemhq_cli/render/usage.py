"""The usage report as a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.contract.usage_report import SHOWN, figures
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import cost, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_agents.contract.usage_report import UsageReport

Row = tuple[str | int, ...]
UNKNOWN = "(none)"
"""How an empty group key reads."""

FOOTNOTE = "* No price is known for {models}; their tokens are counted, their cost is not."


def for_people(
    report: UsageReport, *, title: str = "", unpriced_models: Sequence[str] = ()
) -> Table:
    """Return the columns that fit a terminal of 80: runs, failed, input, cached, output, cost."""
    keys = tuple(Column(name, name.capitalize(), _named) for name in report.group_by)
    columns = (
        *keys,
        Column("runs", "Runs", whole, is_figure=True),
        Column("failures", "Failed", whole, is_figure=True),
        Column("input_tokens", "Input", whole, is_figure=True),
        Column("cached_input_tokens", "Cached", whole, is_figure=True),
        Column("output_tokens", "Output", whole, is_figure=True),
        Column("cost_usd", "Cost", str, is_figure=True),
    )
    total: Row = (*_total_keys(report.group_by), *_figures(report.total))
    rows: list[Row] = [(*row.keys, *_figures(row.amounts)) for row in report.rows]
    if not report.group_by:
        columns = (Column("total", ""), *columns)
        rows = [("Total", *total)]
    return Table(
        columns,
        rows,
        total=total if report.group_by else None,
        title=title,
        notes=_notes(report, unpriced_models),
        empty="No usage in this period.",
    )


def for_programs(report: UsageReport) -> Table:
    """Return every figure of the stable shape, raw, one column each."""
    columns = tuple(Column(name, name) for name in (*report.group_by, *SHOWN))
    rows = [(*row.keys, *figures(row.amounts).values()) for row in report.rows]
    if not report.group_by:
        rows = [tuple(figures(report.total).values())]
    return Table(columns, rows)


def unpriced(by_model: UsageReport) -> list[str]:
    """Return the models that have tokens without a price, from a report by model."""
    at = by_model.group_by.index("model")
    models = {row.keys[at] or UNKNOWN for row in by_model.rows if row.amounts.unpriced_tokens}
    return sorted(models)


def _notes(report: UsageReport, models: Sequence[str]) -> tuple[str, ...]:
    if not report.total.unpriced_tokens:
        return ()
    named = list(models) or (unpriced(report) if "model" in report.group_by else [])
    return (FOOTNOTE.format(models=", ".join(named) or "some models"),)


def _named(key: str) -> str:
    return key or UNKNOWN


def _total_keys(group_by: Sequence[str]) -> list[str]:
    return ["Total" if index == 0 else " " for index in range(len(group_by))]


def _figures(amounts: Amounts) -> tuple[int | str, ...]:
    return (
        amounts.runs,
        amounts.failures,
        amounts.input_tokens,
        amounts.cached_input_tokens,
        amounts.output_tokens,
        cost(amounts.cost_nano, amounts.unpriced_tokens),
    )
