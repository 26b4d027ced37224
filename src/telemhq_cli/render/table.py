"""A table before it is printed: raw cells, and columns that know how a cell reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from telemhq_cli.render.words import compact, whole

GAP = 2


def as_text(value: Any) -> str:  # noqa: ANN401 - any cell
    """Write a cell that is no figure."""
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `key` heads it for programs, `title` for people; figures stand right.

    A detail is for programs alone: people have something shorter to go by. Where a terminal is too
    narrow, `spare` columns go, the highest first (0 never goes), then the rest is folded, ids and
    times, which are `copied` whole, last.
    """

    key: str
    title: str
    reads: Callable[[Any], str] = as_text
    is_figure: bool = False
    is_detail: bool = False
    spare: int = 0
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of raw cells, and how they read to a person."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    total: Sequence[Any] | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    empty: str = "Nothing to show."

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as objects."""
        return [
            {column.key: cell for column, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]

    def for_people(self) -> Table:
        """Return the table without its details."""
        return self._only([at for at, column in enumerate(self.columns) if not column.is_detail])

    def without(self, *keys: str) -> Table:
        """Return the table without these columns."""
        return self._only([at for at, column in enumerate(self.columns) if column.key not in keys])

    def without_sparest(self) -> Table | None:
        """Return the table without the column it can spare best; None when it needs all of them."""
        sparest = max(range(len(self.columns)), key=lambda at: self.columns[at].spare, default=None)
        if sparest is None or not self.columns[sparest].spare:
            return None
        return self._only([at for at in range(len(self.columns)) if at != sparest])

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
        """Return every cell as a person reads it, the total last."""
        rows = [*self.rows, *([] if self.total is None else [self.total])]
        return [
            [column.reads(cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in rows
        ]

    def widths(self) -> list[int]:
        """Return how wide each column must be."""
        texts = [[column.title for column in self.columns], *self.texts()]
        return [max(len(row[index]) for row in texts) for index in range(len(self.columns))]

    def lines(self) -> list[str]:
        """Return the plain table: aligned, unboxed, nothing cut."""
        heading = [self.title, ""] if self.title else []
        if not self.rows:
            return [*heading, self.empty]
        widths = self.widths()
        rule = "-" * (sum(widths) + GAP * (len(widths) - 1))
        body = [self._line(row, widths) for row in self.texts()]
        if self.total is not None:
            body.insert(-1, rule)
        titles = self._line([column.title for column in self.columns], widths)
        return [*heading, titles, rule, *body, *(["", *self.notes] if self.notes else [])]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            text.rjust(width) if column.is_figure else text.ljust(width)
            for column, text, width in zip(self.columns, row, widths, strict=True)
        )
        return (" " * GAP).join(cells).rstrip()


def narrowed(table: Table) -> Table:
    """Return the table with its figures in short form, 12.3M, for a narrow terminal."""
    columns = tuple(
        replace(column, reads=compact) if column.reads is whole else column
        for column in table.columns
    )
    return replace(table, columns=columns)
