"""Tables on a terminal, through rich: boxes, and colour where it is wanted; nothing is ever cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from telemhq_cli.render import screen
from telemhq_cli.render import table as tables
from telemhq_cli.render.table import GAP, folded
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.render.table import Column, Table

_BORDER = 3
"""Columns that the box takes per column: a line and two spaces."""
_PICTURE_STYLE = "cyan"
_ASCII_HORIZONTALS = box.Box(" -- \n    \n -- \n    \n -- \n -- \n    \n -- \n", ascii=True)


def print_boxed(table: Table, console: Console | None = None) -> None:
    """Print a table as wide as the terminal allows."""
    out = console or _console()
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
    """Return the table with what it can spare given up, so that it fits in its box or without."""
    return tables.fitting(table, width, framed)


def _console() -> Console:
    return Console(width=screen.width(), highlight=False, no_color=not screen.has_colour())


def _grid(table: Table, width: int) -> RichTable:
    """Build rich's table; without its box where that makes it fit, folded where nothing else does."""
    plain = screen.is_ascii()
    grid = RichTable(box=box.ASCII2 if plain else box.ROUNDED, header_style="bold")
    if framed(table.widths()) > width:
        grid = RichTable(
            box=_ASCII_HORIZONTALS if plain else box.HORIZONTALS,
            show_edge=False,
            pad_edge=False,
            padding=(0, GAP - 1, 0, 0),
            header_style="bold",
        )
    for column, wide in zip(table.columns, folded(table, width), strict=True):
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
        cells = (_cell(*one) for one in zip(table.columns, row, strict=True))
        style = "bold" if is_total else "dim" if index in table.faint else None
        grid.add_row(*cells, style=style)
    return grid


def _cell(column: Column, text: str) -> Text:
    return Text(visible(text), style=_PICTURE_STYLE if column.is_picture else "")


def framed(widths: Sequence[int]) -> int:
    """Return how wide a table in its box is."""
    return sum(widths) + _BORDER * len(widths) + 1
