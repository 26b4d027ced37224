"""Results: tables and pairs for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from telemhq_cli.render.voice import note, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.render.table import Table


class Form(StrEnum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


def form_of(*, as_json: bool, as_csv: bool) -> Form:
    """Return the form that the switches ask for."""
    if as_json:
        return Form.JSON
    return Form.CSV if as_csv else Form.TEXT


def show_json(document: object) -> None:
    """Print one JSON document; records become objects."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")


def show_document(text: str) -> None:
    """Print a text to the letter, for a file."""
    sys.stdout.write(text)


def show_table(table: Table, form: Form, document: object = None) -> None:
    """Print a table in one of its forms; `document` is what JSON shows instead of its rows."""
    match form:
        case Form.JSON:
            show_json(table.records() if document is None else document)
        case Form.CSV:
            show_csv(table)
        case Form.TEXT:
            show_text(table)


def show_csv(table: Table) -> None:
    """Print a table's rows with raw figures, for a spreadsheet; no total, no footnotes."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    writer.writerows(["" if cell is None else cell for cell in row] for row in table.rows)


def show_text(*tables: Table) -> None:
    """Print tables, boxed and coloured on a terminal, plain and aligned anywhere else."""
    for index, table in enumerate(tables):
        if index:
            say("")
        if sys.stdout.isatty():
            from telemhq_cli.render.terminal import print_boxed  # noqa: PLC0415 - rich: 60 ms

            print_boxed(table.for_people())
        else:
            say(*table.for_people().lines())


def show_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    say(*(f"{name:<{width}}  {'' if value is None else value}".rstrip() for name, value in pairs))


def is_terminal() -> bool:
    """Tell whether a person watches stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def _plain(value: object) -> Any:  # noqa: ANN401 - json's own hook
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


__all__ = [
    "Form",
    "form_of",
    "is_terminal",
    "note",
    "say",
    "show_csv",
    "show_document",
    "show_json",
    "show_pairs",
    "show_table",
    "show_text",
]
