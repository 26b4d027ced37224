"""The lines of a report as they are shown: in an order, beside earlier ones, the rest in one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import Amounts

if TYPE_CHECKING:
    from collections.abc import Collection

    from telemhq_agents.contract.usage_report import UsageReport

NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Line:
    """One group of a report, or so many `others` in one; `before` is None where none is beside it.

    A group that is not there any more, or was not yet, has amounts of nothing.
    """

    keys: tuple[str, ...]
    amounts: Amounts
    before: Amounts | None = None
    others: int = 0
    is_estimated: bool = False
    was_estimated: bool = False

    @property
    def change(self) -> Amounts:
        """How much more it is than before."""
        return self.amounts - (self.before or NOTHING)


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as it is shown. Its total is that of all lines, whatever was asked for of them."""

    group_by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line
    is_topped: bool = False

    @property
    def is_compared(self) -> bool:
        """Whether an earlier report stands beside it."""
        return self.total.before is not None


def shown_of(report: UsageReport, estimated: Collection[tuple[str, ...]] = ()) -> Shown:
    """Return a report to be shown; `estimated` are the keys of groups that are not exact."""
    lines = tuple(
        Line(row.keys, row.amounts, is_estimated=row.keys in estimated) for row in report.rows
    )
    return Shown(report.group_by, lines, Line((), report.total, is_estimated=bool(estimated)))
