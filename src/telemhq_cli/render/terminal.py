"""Tables on a terminal, through rich: boxes, colour unless NO_COLOR, cut to the width there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from telemhq_cli.render.table import narrowed
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from telemhq_cli.render.table import Table

_BORDER = 3
"""Columns that the box takes per column: a line and two spaces."""
_LEAST_NAME = 6


def print_boxed(table: Table, console: Console | None = None) -> None:
    """Print a table as wide as the terminal allows, names cut before figures are."""
    out = console or Console(highlight=False)
    if table.title:
        out.print(Text(visible(table.title), style="bold"))
    if not table.rows:
        out.print(Text(table.empty))
        return
    out.print(boxed(table, out.width))
    for note in table.notes:
        out.print(Text(visible(note), style="dim"))


def boxed(table: Table, width: int) -> RichTable:
    """Build rich's table; figures take their short form where they would not fit."""
    if _framed(table.widths()) > width:
        table = narrowed(table)
    grid = RichTable(box=box.ROUNDED, show_footer=False, header_style="bold")
    for column, wide in zip(table.columns, _fitting(table, width), strict=True):
        grid.add_column(
            Text(column.title),
            justify="right" if column.is_figure else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=wide,
        )
    texts = table.texts()
    for index, row in enumerate(texts):
        is_total = table.total is not None and index == len(texts) - 1
        if is_total:
            grid.add_section()
        cells = (Text(visible(cell)) for cell in row)
        grid.add_row(*cells, style="bold" if is_total else None)
    return grid


def _fitting(table: Table, width: int) -> list[int]:
    """Take what is too wide from the widest names; figures are never cut."""
    widths = table.widths()
    names = [index for index, column in enumerate(table.columns) if not column.is_figure]
    while _framed(widths) > width:
        widest = max(names, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= _LEAST_NAME:
            break
        widths[widest] -= 1
    return widths


def _framed(widths: list[int]) -> int:
    return sum(widths) + _BORDER * len(widths) + 1
