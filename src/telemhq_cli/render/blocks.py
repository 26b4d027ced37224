"""Tables on a screen that holds so many lines and no more: what gives way, and what stays. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Span, Text

from telemhq_cli.render.table import GAP, Column, Table
from telemhq_cli.render.voice import visible
from telemhq_cli.render.words import in_ascii

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_CELL = 6
FEWEST = 14
"""So much of a word is left before a column goes that can be spared."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the screen: what heads it, its lines, and how gladly it gives them up."""

    title: str
    table: Table
    style: str = ""
    is_urgent: bool = False


def kept(blocks: list[Block], room: int) -> tuple[list[Block], list[int]]:
    """Return the blocks that a screen has room for, and how many lines of rows each of them gets.

    A block takes a blank line, its titles, and a line at least. The last ones go first.
    """
    frame = 2
    while len(blocks) > 1 and len(blocks) * (frame + 1) > room:
        blocks = blocks[:-1]
    wanted = [max(len(block.table.rows), 1) for block in blocks]
    shares = [1] * len(blocks)
    left = room - len(blocks) * (frame + 1)
    urgent = [at for at, block in enumerate(blocks) if block.is_urgent]
    for chosen in (urgent, range(len(blocks))):
        while left > 0 and any(shares[at] < wanted[at] for at in chosen):
            for at in chosen:
                if left > 0 and shares[at] < wanted[at]:
                    shares[at] += 1
                    left -= 1
    return blocks, shares


def drawn(block: Block, share: int, width: int) -> list[Text]:
    """Draw a block: its title heads the first column; of too many rows the last line tells."""
    if not block.table.rows:
        return [Text(block.title, style="bold"), Text(f"  {visible(block.table.empty)}", "dim")]
    first, *others = block.table.columns
    headed = replace(block.table, columns=(replace(first, title=block.title), *others))
    rows = list(headed.rows)
    more = len(rows) - share
    if more > 0:
        rows = rows[: max(share - 1, 0)]
    table, widths = _fitted(replace(headed, rows=headed.rows[: max(share, 1)]), width)
    titles = [column.title for column in table.columns]
    texts = table.texts()[: len(rows)]
    found = [_row(titles, table, widths, "bold"), *(_row(one, table, widths, "") for one in texts)]
    found[0].stylize(block.style)
    if more > 0:
        found.append(Text(f"  … {more + 1} more", style="dim"))
    return found


def _row(cells: Sequence[str], table: Table, widths: Sequence[int], style: str) -> Text:
    found = Text(style=style)
    for column, cell, width in zip(table.columns, cells, widths, strict=True):
        text = Text(visible(cell))
        text.truncate(width, overflow="ellipsis")
        padding = " " * (width - text.cell_len)
        found.append(padding if column.is_figure else "").append_text(text)
        found.append(" " * GAP if column.is_figure else padding + " " * GAP)
    found.rstrip()
    return found


def _fitted(table: Table, width: int) -> tuple[Table, list[int]]:
    """Return a table that fits, and how wide its columns are.

    Long words are cut first, then columns go that can be spared; figures and times stay whole.
    """
    while True:
        widths = _widths(table)
        least = [
            max(min(wide, FEWEST), len(column.title)) if _is_word(column) else wide
            for column, wide in zip(table.columns, widths, strict=True)
        ]
        fewer = None if _line(least) <= width else table.without_sparest()
        if fewer is None:
            return table, _shrunk(table, widths, width)
        table = fewer


def _is_word(column: Column) -> bool:
    return not (column.is_figure or column.copied)


def _widths(table: Table) -> list[int]:
    cells = [[column.title for column in table.columns], *table.texts()]
    return [max(Text(row[at]).cell_len for row in cells) for at in range(len(table.columns))]


def _line(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shrunk(table: Table, widths: list[int], width: int) -> list[int]:
    """Take what is too wide from the widest words."""
    words = {at: len(one.title) for at, one in enumerate(table.columns) if _is_word(one)}
    while _line(widths) > width:
        over = [at for at in words if widths[at] > max(words[at], LEAST_CELL)]
        if not over:
            break
        widths[max(over, key=lambda at: widths[at])] -= 1
    return widths


def cut(line: Text, width: int, *, ascii_only: bool) -> Text:
    """Return a line that is no wider than the screen, in characters that it has."""
    if ascii_only:
        line = _in_ascii(line)
    line.truncate(width)
    return line


def _in_ascii(line: Text) -> Text:
    """Return a line in ASCII, each letter as wide as it was: columns stay where they are."""
    letters = [in_ascii(one) * cell_len(one) for one in line.plain]
    places = [0, *accumulate(map(len, letters))]
    spans = [
        Span(places[one.start], places[min(one.end, len(letters))], one.style) for one in line.spans
    ]
    return Text("".join(letters), style=line.style, spans=spans)
