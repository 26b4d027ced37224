"""Frozen costs beside the present ones, as a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.amounts import nano
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.usage import NO_PRICE, NO_USAGE
from telemhq_cli.render.usage_table import UNKNOWN
from telemhq_cli.render.words import money, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.ledger.repricing import Repriced, RepricedReport

UNPRICED = "unpriced*"
_KEPT = "Costs stay as they were frozen; nothing was changed."


def repriced_table(report: RepricedReport) -> Table:
    """Return groups with what they cost, what they would, and the difference."""
    columns = (
        *(Column(name, name.capitalize(), lambda key: key or UNKNOWN) for name in report.group_by),
        Column("responses", "Responses", is_detail=True),
        Column("total_tokens", "Tokens", whole, is_figure=True, spare=1),
        Column("cost_usd", "Cost", _money, is_figure=True),
        Column("repriced_usd", "Today", _money, is_figure=True),
        Column("difference_usd", "Difference", _signed, is_figure=True),
        Column("unpriced_tokens", "Unpriced", whole, is_figure=True, spare=3),
        Column("still_unpriced_tokens", "Unpriced today", whole, is_figure=True, spare=2),
        Column("price_dates", "Priced by", spare=4),
    )
    rows = [(*keys, *_cells(one)) for keys, one in report.rows]
    keys = ["Total" if index == 0 else " " for index in range(len(report.group_by))]
    return Table(
        columns,
        rows,
        total=(*keys, *_cells(report.total)),
        notes=(_KEPT, *_unpriced(report)),
        empty=NO_USAGE,
    )


def _cells(one: Repriced) -> Sequence[Any]:
    figures = one.figures()
    if one.unpriced_tokens and not figures["cost_usd"]:
        figures["cost_usd"] = None
    if one.still_unpriced_tokens and not figures["repriced_usd"]:
        figures["repriced_usd"] = None
    if None in figures.values():
        figures["difference_usd"] = None
    *others, dates = figures.values()
    return [*others, "; ".join(dates)]


def _unpriced(report: RepricedReport) -> list[str]:
    at = report.group_by.index("model")
    models = sorted({keys[at] or UNKNOWN for keys, one in report.rows if one.still_unpriced_tokens})
    return [NO_PRICE.format(models=", ".join(models))] if models else []


def _money(usd_amount: float | None) -> str:
    return UNPRICED if usd_amount is None else money(nano(usd_amount))


def _signed(usd_amount: float | None) -> str:
    if usd_amount is None:
        return ""
    text = _money(usd_amount)
    return f"+{text}" if usd_amount > 0 else text
