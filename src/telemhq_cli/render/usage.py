"""The usage report as a table. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_agents.background import Kind
from telemhq_agents.contract.usage_report import UsageReport
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.usage_table import ESTIMATED, UNKNOWN, table_of
from telemhq_cli.render.words import counted, whole
from telemhq_cli.reports.lines import shown_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_cli.reports.lines import Shown

Report = Callable[[tuple[str, ...]], UsageReport]
"""Makes the report of one period by other groups."""
Footnote = Callable[[UsageReport], str]
"""Says, from a report by model, what its total leaves out."""
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
    report: UsageReport,
    *,
    title: str = "",
    notes: tuple[str, ...] = (),
    empty: str = NO_USAGE,
) -> Table:
    """Return a report as a table: runs, failed, input, cached, output, cost, and what has room."""
    return table_of(shown_of(report), title=title, notes=notes, empty=empty)


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


def unpriced_by_row(
    shown: Shown, by_model: UsageReport
) -> defaultdict[tuple[str, ...] | None, list[str]]:
    """Return the models without a price in each line of a report, by its keys; the rest's by None.

    `by_model` is the same report, broken down by model too where anything in it has no price.
    """
    found: defaultdict[tuple[str, ...] | None, set[str]] = defaultdict(set)
    alone = {line.keys for line in shown.lines if not line.others}
    at = by_model.group_by.index("model") if "model" in by_model.group_by else None
    for row in by_model.rows:
        keys = row.keys[: len(shown.group_by)]
        if row.amounts.unpriced_tokens and at is not None:
            found[keys if keys in alone or not keys else None].add(row.keys[at] or UNKNOWN)
    return defaultdict(list, {keys: sorted(models) for keys, models in found.items()})


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
        f"{ESTIMATED} {counted(each.responses, 'response')} of {each.source.capitalize()} "
        f"({_models(each)}{whole(each.tokens)} tokens) {IS_ARE[each.responses != 1]}: "
        f"{REASONS.get(each.reason, each.reason)}"
        for each in estimates
    )


def _models(each: Estimate) -> str:
    return f"{', '.join(model or UNKNOWN for model in each.models)}; " if each.models else ""


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
