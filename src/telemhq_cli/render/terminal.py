"""Tables on a terminal, through rich: boxes and colour unless NO_COLOR; nothing is ever cut."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from telemhq_cli.render.table import GAP, narrowed
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from telemhq_cli.render.table import Table

_BORDER = 3
"""Columns that the box takes per column: a line and two spaces."""
_LEAST = 10
"""How narrow a column may be folded."""
LEFT_OUT = "Left out for want of room: {titles}; --csv and --json have it."


def print_boxed(table: Table, console: Console | None = None) -> None:
    """Print a table as wide as the terminal allows."""
    out = console or Console(highlight=False)
    if table.title:
        out.print(Text(visible(table.title), style="bold"))
    if not table.rows:
        out.print(Text(visible(table.empty)))
        return
    table = fitting(table, out.width)
    out.print(_grid(table, out.width))
    for note in table.notes:
        out.print(Text(visible(note), style="dim"))


def fitting(table: Table, width: int) -> Table:
    """Return the table with what it can spare given up: long figures, then columns, told in a note."""
    if _framed(table.widths()) <= width:
        return table
    kept = narrowed(table)
    while _bare(kept.widths()) > width:
        fewer = kept.without_sparest()
        if fewer is None:
            break
        kept = fewer
    titles = [column.title for column in table.columns]
    gone = [title for title in titles if title not in {column.title for column in kept.columns}]
    if not gone:
        return kept
    return replace(kept, notes=(*kept.notes, LEFT_OUT.format(titles=", ".join(gone))))


def _grid(table: Table, width: int) -> RichTable:
    """Build rich's table; without its box where that makes it fit, folded where nothing else does."""
    grid = RichTable(box=box.ROUNDED, header_style="bold")
    if _framed(table.widths()) > width:
        grid = RichTable(
            box=box.HORIZONTALS,
            show_edge=False,
            pad_edge=False,
            padding=(0, GAP - 1, 0, 0),
            header_style="bold",
        )
    for column, wide in zip(table.columns, _widths(table, width), strict=True):
        grid.add_column(
            Text(column.title),
            justify="right" if column.is_figure else "left",
            overflow="fold",
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


def _widths(table: Table, width: int) -> list[int]:
    """Take what is too wide from the widest words, then from what is copied; never from figures."""
    widths = table.widths()
    words = [at for at, column in enumerate(table.columns) if not column.is_figure]
    for foldable in ([at for at in words if not table.columns[at].copied], words):
        while _bare(widths) > width:
            widest = max(foldable, key=lambda at: widths[at], default=None)
            if widest is None or widths[widest] <= _LEAST:
                break
            widths[widest] -= 1
    return widths


def _framed(widths: list[int]) -> int:
    return sum(widths) + _BORDER * len(widths) + 1


def _bare(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
