"""The usage report as a table. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from telemhq_agents.background import Kind
from telemhq_agents.contract.usage_report import SHOWN, UsageReport, as_json, figures
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import cost, counted, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_agents.ledger.estimates import Estimate

Row = tuple[str | int, ...]
Report = Callable[[tuple[str, ...]], UsageReport]
"""Makes the report of one period by other groups."""
Footnote = Callable[[UsageReport], str]
"""Says, from a report by model, what its total leaves out."""
UNKNOWN = "(none)"
"""How an empty group key reads."""

NO_PRICE = "* No price is known for {models}. Next: telemhq prices update, or prices set"
SENT_WITHOUT = "* Sent without a cost: {models}"
IS_ARE = ("is an estimate", "are estimates")
REASONS = {"output_lower_bound": "the log tells only a lower bound of the output"}
NO_USAGE = "No usage in this period."
TITLES = {
    Kind.BACKGROUND: "In the background (compaction, titles), in none of the sums above",
    Kind.UNEXPLAINED: "Unexplained: sessions say that they used it, and no line tells of it",
}
CUT_OFF = "* As after an interruption: the session's own figure is a guess. It is counted nowhere."
NO_BACKGROUND = "No session told of work in the background."


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


def with_notes(
    report: Report,
    asked: UsageReport,
    told: Footnote,
    *,
    title: str = "",
    empty: str = NO_USAGE,
) -> Table:
    """Return the table of a report with a note on what has no price."""
    notes = (told(by_model(report, asked)),) if asked.total.unpriced_tokens else ()
    return for_people(asked, title=title, notes=notes, empty=empty)


def by_model(report: Report, asked: UsageReport) -> UsageReport:
    """Return a report broken down by model too, where that tells which of them has no price."""
    if "model" in asked.group_by or not asked.total.unpriced_tokens:
        return asked
    return report((*asked.group_by, "model"))


def for_programs(report: UsageReport, by_model: UsageReport) -> Table:
    """Return every figure of the stable shape, raw, one column each, and models without a price.

    `by_model` is the same report, broken down by model too where anything in it has no price.
    """
    names = (*report.group_by, *SHOWN, "unpriced_models")
    columns = tuple(Column(name, name) for name in names)
    given = [(row.keys, row.amounts) for row in report.rows]
    if not report.group_by:
        given = [((), report.total)]
    rows = [
        (*keys, *figures(amounts).values(), "; ".join(_unpriced_in(report, keys, by_model)))
        for keys, amounts in given
    ]
    return Table(columns, rows)


def document(
    report: Report, asked: UsageReport, estimates: Sequence[Estimate] | None = None
) -> dict[str, Any]:
    """Return the stable shape, with models without a price, and with what is no exact figure.

    The latter only where somebody knows.
    """
    unpriced = {"unpriced_models": unpriced_models(by_model(report, asked))}
    guessed = {} if estimates is None else {"estimates": [asdict(each) for each in estimates]}
    return as_json(asked) | unpriced | guessed


def by_kind(tables: Mapping[str, Table]) -> Table:
    """Return tables for programs as one, each row with its kind."""
    columns = next(iter(tables.values())).columns
    rows = [(kind, *row) for kind, table in tables.items() for row in table.rows]
    return Table((Column("kind", "kind"), *columns), rows)


def beside(kind: Kind, report: Report, asked: UsageReport) -> Table:
    """Return what sessions used beyond their lines, which counts no runs."""
    table = with_notes(report, asked, without_price, title=TITLES[kind])
    notes = (CUT_OFF,) if kind is Kind.UNEXPLAINED else ()
    return replace(table.without("runs", "failures"), notes=(*table.notes, *notes))


def nothing_beside() -> Table:
    """Return the table that says that there is nothing of that."""
    return Table((), (), empty=NO_BACKGROUND)


def unpriced_models(by_model: UsageReport) -> list[dict[str, str | int]]:
    """Return the models that have no price, and their tokens."""
    found = _unpriced(by_model) if "model" in by_model.group_by else {}
    return [{"model": model, "tokens": tokens} for model, tokens in found.items()]


def _unpriced_in(report: UsageReport, keys: tuple[str, ...], by_model: UsageReport) -> list[str]:
    """Return the models without a price in one row of a report."""
    if not report.total.unpriced_tokens or "model" not in by_model.group_by:
        return []
    at = by_model.group_by.index("model")
    return sorted(
        {
            row.keys[at] or UNKNOWN
            for row in by_model.rows
            if row.amounts.unpriced_tokens and row.keys[: len(keys)] == keys
        }
    )


def without_price(by_model: UsageReport) -> str:
    """Say which models this machine knows no price for, from a report by model; "" if none."""
    models = ", ".join(_unpriced(by_model))
    return NO_PRICE.format(models=models) if models else ""


def sent_without_cost(by_model: UsageReport) -> str:
    """Say what reached the server without a cost, from a report by model; "" if nothing did."""
    found = _unpriced(by_model).items()
    models = ", ".join(f"{model} ({whole(tokens)} tokens)" for model, tokens in found)
    return SENT_WITHOUT.format(models=models) if models else ""


def estimated(estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """Say which figures are not exact, and why."""
    return tuple(
        f"{counted(each.responses, 'response')} of {each.source.capitalize()} "
        f"({whole(each.tokens)} tokens) {IS_ARE[each.responses != 1]}: "
        f"{REASONS.get(each.reason, each.reason)}"
        for each in estimates
    )


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
