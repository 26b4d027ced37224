"""A usage report for programs: `telemhq.usage/1`, and a row of CSV for each line. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.usage_report import SCHEMA, SHOWN, figures
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.usage import unpriced_by_row, unpriced_models
from telemhq_cli.reports.comparing import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_cli.reports.lines import Line, Shown


def document(
    shown: Shown, by_model: UsageReport, estimates: Sequence[Estimate] | None = None
) -> dict[str, Any]:
    """Return the stable shape, with models without a price, and with what is no exact figure.

    The latter only where somebody knows. A row of others has their count as `rest`, and no keys;
    beside an earlier report each row has `before`, `change` and `change_percent`.
    """
    rows = [_keyed(shown, line) | _told(line) | _rest(shown, line) for line in shown.lines]
    guessed = {} if estimates is None else {"estimates": [asdict(each) for each in estimates]}
    if estimates is not None:
        rows = [
            row | {"estimated": line.is_estimated}
            for row, line in zip(rows, shown.lines, strict=True)
        ]
    return {
        "schema": SCHEMA,
        "group_by": list(shown.group_by),
        "rows": rows,
        "total": _told(shown.total),
        "unpriced_models": unpriced_models(by_model),
        **guessed,
    }


def table_of(shown: Shown, by_model: UsageReport, *, knows_estimates: bool = False) -> Table:
    """Return every figure raw, one column each, and the models without a price.

    `by_model` is the same report, broken down by model too where anything in it has no price.
    """
    lines = shown.lines if shown.group_by else (shown.total,)
    unpriced = unpriced_by_row(shown, by_model)
    told = [_flat(line) for line in lines]
    names = list(told[0]) if told else list(_flat(shown.total))
    rest = ["rest"] if shown.is_topped else []
    guessed = ["estimated"] if knows_estimates else []
    columns = (*shown.group_by, *rest, *names, "unpriced_models", *guessed)
    rows = [
        (
            *line.keys,
            *([line.others] if rest else []),
            *row.values(),
            "; ".join(unpriced[line.keys if not line.others else None]),
            *([str(line.is_estimated).lower()] if guessed else []),
        )
        for line, row in zip(lines, told, strict=True)
    ]
    return Table(tuple(Column(name, name) for name in columns), rows)


def _keyed(shown: Shown, line: Line) -> dict[str, str | None]:
    keys = [None] * len(line.keys) if line.others else line.keys
    return dict(zip(shown.group_by, keys, strict=True))


def _rest(shown: Shown, line: Line) -> dict[str, int]:
    return {"rest": line.others} if shown.is_topped else {}


def _told(line: Line) -> dict[str, Any]:
    now = figures(line.amounts)
    if line.before is None:
        return dict(now)
    before = figures(line.before)
    grown = {name: _rounded(percent(now[name], before[name])) for name in SHOWN}
    return now | {"before": before, "change": figures(line.change), "change_percent": grown}


def _flat(line: Line) -> dict[str, Any]:
    told = _told(line)
    beside = {
        f"{kind}_{name}": figure
        for kind in ("before", "change", "change_percent")
        for name, figure in told.pop(kind, {}).items()
    }
    return told | beside


def _rounded(grown: float | None) -> float | None:
    return None if grown is None else round(grown, 2)
