"""Rows of CSV, for every command that writes them. Pure.

Names come from repositories, directories and payloads that others may have written: a text that a
spreadsheet would take for a formula gets an apostrophe before it. Numbers are written as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide forms
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection)."""


def write(out: TextIO, names: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a line of names, and a line for each row; None is an empty cell."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(defused, names))
    writer.writerows([defused(flat(cell)) for cell in row] for row in rows)


def defused(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def flat(cell: object) -> object:
    """Return a list or a count of things as text, parted by semicolons; None as no text."""
    if isinstance(cell, Mapping):
        return "; ".join(f"{name} {count}" for name, count in cell.items())
    if isinstance(cell, list | tuple):
        return "; ".join(map(str, cell))
    return "" if cell is None else cell
