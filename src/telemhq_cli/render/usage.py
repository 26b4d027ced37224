"""The usage report as a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.contract.usage_report import SHOWN, figures
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import cost, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_agents.contract.usage_report import UsageReport

Row = tuple[str | int, ...]
UNKNOWN = "(none)"
"""How an empty group key reads."""

NO_PRICE = "* No price is known for {models}; set one: docs/how-to/prices.md"
SENT_WITHOUT = "* Sent without a cost: {models}"
NO_USAGE = "No usage in this period."


def for_people(
    report: UsageReport, *, title: str = "", notes: tuple[str, ...] = (), empty: str = NO_USAGE
) -> Table:
    """Return the columns that fit a terminal of 80: runs, failed, input, cached, output, cost."""
    keys = tuple(Column(name, name.capitalize(), _named) for name in report.group_by)
    columns = (
        *keys,
        Column("runs", "Runs", whole, is_figure=True),
        Column(
            "failures", "Failed", whole, is_figure=True, spare=0 if report.total.failures else 1
        ),
        Column("input_tokens", "Input", whole, is_figure=True),
        Column("cached_input_tokens", "Cached", whole, is_figure=True, spare=2),
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
        notes=notes,
        empty=empty,
    )


def for_programs(report: UsageReport) -> Table:
    """Return every figure of the stable shape, raw, one column each."""
    columns = tuple(Column(name, name) for name in (*report.group_by, *SHOWN))
    rows = [(*row.keys, *figures(row.amounts).values()) for row in report.rows]
    if not report.group_by:
        rows = [tuple(figures(report.total).values())]
    return Table(columns, rows)


def without_price(by_model: UsageReport) -> str:
    """Say which models this machine knows no price for, from a report by model; "" if none."""
    models = ", ".join(_unpriced(by_model))
    return NO_PRICE.format(models=models) if models else ""


def sent_without_cost(by_model: UsageReport) -> str:
    """Say what reached the server without a cost, from a report by model; "" if nothing did."""
    found = _unpriced(by_model).items()
    models = ", ".join(f"{model} ({whole(tokens)} tokens)" for model, tokens in found)
    return SENT_WITHOUT.format(models=models) if models else ""


def nothing_in(places: Sequence[Path]) -> str:
    """Say that there is no usage, and where it was looked for."""
    return f"{NO_USAGE} Looked in {', '.join(str(place) for place in places)}."


def _unpriced(by_model: UsageReport) -> dict[str, int]:
    """Return the tokens without a price or cost, by model."""
    at = by_model.group_by.index("model")
    found: dict[str, int] = {}
    for row in by_model.rows:
        if row.amounts.unpriced_tokens:
            model = row.keys[at] or UNKNOWN
            found[model] = found.get(model, 0) + row.amounts.unpriced_tokens
    return dict(sorted(found.items()))


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
