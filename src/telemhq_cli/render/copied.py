"""What was copied from one database to another, as a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

CopiedRow = tuple[str, int, int | None, int | None]
"""A table's name, its rows, and what they hold: tokens, nano-USD (None without figures)."""

VERIFIED = "Counts and sums are the same in both databases."


def copied_tables(copied: Sequence[CopiedRow]) -> Table:
    """Return the tables that had rows; empty ones are left to programs."""
    columns = (
        Column("table", "Table"),
        Column("rows", "Rows", whole, is_figure=True),
        Column("total_tokens", "Tokens", _figure, is_figure=True),
        Column("cost_nano", "Nano-USD", _figure, is_figure=True),
    )
    return Table(
        columns,
        [row for row in copied if row[1]],
        notes=(VERIFIED,),
        empty="The database was empty.",
    )


def _figure(value: int | None) -> str:
    return "" if value is None else whole(value)
