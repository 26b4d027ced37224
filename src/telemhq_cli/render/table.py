"""A table before it is printed: raw cells, and columns that know how a cell reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from telemhq_cli.render.cells import columns as columns_of
from telemhq_cli.render.cells import still
from telemhq_cli.render.words import compact, whole

GAP = 2
EXTRA = 10
"""From here on a spare column is for wide screens alone."""


def as_text(value: Any) -> str:  # noqa: ANN401 - any cell
    """Write a cell that is no figure."""
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `key` heads it for programs, `title` for people; figures stand right.

    A detail is for programs alone: people have something shorter to go by. Where a terminal is too
    narrow, `spare` columns go, the highest first (0 never goes), then words are folded, then
    `grudged` columns go, the highest first, and last of all ids and times, which are `copied` whole,
    are folded too. Before the first that is no extra goes, cells are read `short`. A picture is for
    screens, not for what is piped.
    """

    key: str
    title: str
    reads: Callable[[Any], str] = as_text
    is_figure: bool = False
    is_detail: bool = False
    spare: int = 0
    copied: bool = False
    short: Callable[[Any], str] | None = None
    is_picture: bool = False
    grudged: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of raw cells, and how they read to a person.

    Rows that are `faint`, by their places, stand back on a terminal.
    """

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    total: Sequence[Any] | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    empty: str = "Nothing to show."
    faint: frozenset[int] = frozenset()

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as objects."""
        return [
            {column.key: cell for column, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]

    def for_people(self) -> Table:
        """Return the table without its details."""
        return self._only([at for at, column in enumerate(self.columns) if not column.is_detail])

    def for_pipes(self) -> Table:
        """Return the table without what only a screen has room or eyes for."""
        columns = enumerate(self.columns)
        return self._only([at for at, one in columns if one.spare < EXTRA and not one.is_picture])

    def without(self, *keys: str) -> Table:
        """Return the table without these columns."""
        return self._only([at for at, column in enumerate(self.columns) if column.key not in keys])

    def without_sparest(self, least: int = 1) -> Table | None:
        """Return the table without the column it can spare best; None when it needs all of them.

        A column is spared from `least` on.
        """
        sparest = max(range(len(self.columns)), key=lambda at: self.columns[at].spare, default=None)
        if sparest is None or self.columns[sparest].spare < least:
            return None
        return self._only([at for at in range(len(self.columns)) if at != sparest])

    def without_grudged(self) -> Table | None:
        """Return the table without the first column that it gives up unwillingly; None if none."""
        first = max(range(len(self.columns)), key=lambda at: self.columns[at].grudged, default=None)
        if first is None or not self.columns[first].grudged:
            return None
        return self._only([at for at in range(len(self.columns)) if at != first])

    def _only(self, kept: Sequence[int]) -> Table:
        def some(row: Sequence[Any]) -> list[Any]:
            return [row[index] for index in kept]

        return replace(
            self,
            columns=tuple(some(self.columns)),
            rows=[some(row) for row in self.rows],
            total=None if self.total is None else some(self.total),
        )

    def texts(self) -> list[list[str]]:
        """Return every cell as a person reads it, the total last; none can move another one."""
        rows = [*self.rows, *([] if self.total is None else [self.total])]
        return [
            [still(column.reads(cell)) for column, cell in zip(self.columns, row, strict=True)]
            for row in rows
        ]

    def widths(self) -> list[int]:
        """Return how wide each column must be."""
        texts = [[column.title for column in self.columns], *self.texts()]
        return [max(columns_of(row[at]) for row in texts) for at in range(len(self.columns))]

    def lines(self, width: int | None = None) -> list[str]:
        """Return the plain table: aligned, unboxed, nothing cut.

        As wide as it needs to be, or as `width` allows, with what there is room for.
        """
        if width is None:
            table = self.for_pipes()
            return table._written(table.widths())  # noqa: SLF001 - its own
        table = fitting(self, width, framed=bare)
        title = "\n".join(wrap(table.title, width))
        notes = tuple(line for note in table.notes for line in _wrapped(note, width))
        table = replace(table, title=title, notes=notes)
        return table._written(folded(table, width))  # noqa: SLF001 - its own

    def _written(self, widths: Sequence[int]) -> list[str]:
        heading = [*self.title.split("\n"), ""] if self.title else []
        if not self.rows:
            return [*heading, self.empty]
        rule = "-" * bare(widths)
        body = [self._folded(row, widths) for row in self.texts()]
        titles = self._line([column.title for column in self.columns], widths)
        rules = [[rule]] if self.total is not None else []
        last = len(body) - len(rules)
        rows = [line for row in (*body[:last], *rules, *body[last:]) for line in row]
        notes = ["", *self.notes] if self.notes else []
        return [*heading, titles, rule, *rows, *notes]

    def _folded(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        """Write a row in as many lines as its longest cell takes."""
        cells = [_parts(text, width) for text, width in zip(row, widths, strict=True)]
        return [self._line(parts, widths) for parts in zip_longest(*cells, fillvalue="")]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            f"{' ' * gap}{text}" if column.is_figure else f"{text}{' ' * gap}"
            for column, text, gap in (
                (column, text, width - columns_of(text))
                for column, text, width in zip(self.columns, row, widths, strict=True)
            )
        )
        return (" " * GAP).join(cells).rstrip()


LEFT_OUT = "Left out for want of room: {what}; --csv and --json leave nothing out."
_LEAST = 10
"""How narrow a column may be folded."""

_LONG = 40
"""Up to how many columns a name may have before it costs another column its place."""


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_on_hyphens=False)


def _parts(text: str, width: int) -> list[str]:
    """Return a text in parts of at most so many columns; at least one part."""
    if columns_of(text) <= width:
        return [text]
    parts, wide = [""], 0
    for letter in text:
        takes = columns_of(letter)
        if wide + takes > width and parts[-1]:
            parts.append("")
            wide = 0
        parts[-1] += letter
        wide += takes
    return parts


def narrowed(table: Table) -> Table:
    """Return the table with its cells in short form, 12.3M, for a narrow terminal."""
    columns = tuple(replace(column, reads=_short(column)) for column in table.columns)
    return replace(table, columns=columns)


def _short(column: Column) -> Callable[[Any], str]:
    if column.short is not None:
        return column.short
    return compact if column.reads is whole else column.reads


def bare(widths: Sequence[int]) -> int:
    """Return how wide a table without a box is."""
    return sum(widths) + GAP * (len(widths) - 1)


def fitting(table: Table, width: int, framed: Callable[[Sequence[int]], int]) -> Table:
    """Return the table with what it can spare given up, told in a note.

    Extras first, which nobody misses who never had a wide screen, then long figures, then other
    columns. `framed` is how wide it is in its box, which goes with the long figures.
    """
    kept = _spared(table, width, lambda one: framed(one.widths()), EXTRA)
    if kept is None:
        table = narrowed(table)
        kept = _spared(table, width, lambda one: bare(_patient(one, width)), 1) or _bones(table)
        while not _reads_well(kept, width) and (fewer := kept.without_grudged()):
            kept = fewer
    keys = {column.key for column in kept.columns}
    gone = [one.title for one in table.columns if one.key not in keys and one.spare < EXTRA]
    if not gone:
        return kept
    return replace(kept, notes=(*kept.notes, LEFT_OUT.format(what=", ".join(gone))))


def _spared(table: Table, width: int, measure: Callable[[Table], int], least: int) -> Table | None:
    """Return the table with no more columns than fit; None where it does not fit that way."""
    kept: Table | None = table
    while kept is not None and measure(kept) > width:
        kept = kept.without_sparest(least)
    return kept


def _patient(table: Table, width: int) -> list[int]:
    """Return how wide each column is with the longest names folded."""
    most = max(_LONG, width // 2)
    return [
        min(wide, most) if _is_word(column) else wide
        for column, wide in zip(table.columns, table.widths(), strict=True)
    ]


def _reads_well(table: Table, width: int) -> bool:
    """Tell whether a table fits with its words folded alone, and all that is copied whole."""
    widths, needed = folded(table, width), table.widths()
    copied = [at for at, column in enumerate(table.columns) if column.copied]
    return bare(widths) <= width and all(widths[at] == needed[at] for at in copied)


def _is_word(column: Column) -> bool:
    return not column.is_figure and not column.copied


def _bones(table: Table) -> Table:
    """Return the table without any column that it can spare."""
    while (fewer := table.without_sparest()) is not None:
        table = fewer
    return table


def folded(table: Table, width: int) -> list[int]:
    """Return how wide each column is; what is too wide is taken from the widest words.

    Then from what is copied; never from figures.
    """
    widths = table.widths()
    words = [at for at, column in enumerate(table.columns) if not column.is_figure]
    for foldable in ([at for at in words if _is_word(table.columns[at])], words):
        while bare(widths) > width:
            widest = max(foldable, key=lambda at: widths[at], default=None)
            if widest is None or widths[widest] <= _LEAST:
                break
            widths[widest] -= 1
    return widths
