"""The usage report: one shape for the local ledger, the server and every terminal table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.amounts import Amounts, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = "telemhq.usage/1"
GROUPS: tuple[str, ...] = (
    "day",
    "week",
    "month",
    "hour",
    "model",
    "project",
    "member",
    "session",
    "thread",
    "source",
    "tracker",
)
TIME_GROUPS = frozenset({"day", "week", "month", "hour"})
"""Groups of local time; their keys sort as they pass."""

SHOWN: tuple[str, ...] = (
    "runs",
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_usd",
    "unpriced_tokens",
    "failures",
)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group: its keys, in the order of the report's `group_by`, and its sums."""

    keys: tuple[str, ...]
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Rows in report order and their total. The total is summed over the rows' own source."""

    group_by: tuple[str, ...]
    rows: tuple[UsageRow, ...]
    total: Amounts


def figures(amounts: Amounts) -> dict[str, int | float]:
    """Return the shown figures by name; money in USD."""
    return {
        name: usd(amounts.cost_nano) if name == "cost_usd" else getattr(amounts, name)
        for name in SHOWN
    }


def as_json(report: UsageReport) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.usage/1`."""
    return {
        "schema": SCHEMA,
        "group_by": list(report.group_by),
        "rows": [
            dict(zip(report.group_by, row.keys, strict=True)) | figures(row.amounts)
            for row in report.rows
        ],
        "total": figures(report.total),
    }


def sum_rows(group_by: Sequence[str], rows: Sequence[UsageRow]) -> UsageReport:
    """Sort rows by their keys (times) or by cost and tokens (names) and add them up."""
    total = sum((row.amounts for row in rows), Amounts())
    if group_by and group_by[0] in TIME_GROUPS:
        ordered = sorted(rows, key=lambda row: row.keys)
    else:
        ordered = sorted(
            rows,
            key=lambda row: (-row.amounts.cost_nano, -row.amounts.total_tokens, row.keys),
        )
    return UsageReport(tuple(group_by), tuple(ordered), total)
