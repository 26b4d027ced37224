"""Results: tables and pairs for people, JSON and CSV for programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from telemhq_cli.render import envelope, screen, spreadsheet
from telemhq_cli.render.voice import note, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    """Answer with a JSON document, in the envelope that all share; records become objects."""
    envelope.show(document)


def show_json_line(document: object) -> None:
    """Print one object of a stream, on a line of its own and without an envelope."""
    envelope.show_line(document)


def show_json_file(document: object) -> None:
    """Print a JSON document to the letter, for a file that a command of ours reads."""
    sys.stdout.write(f"{envelope.encoded(document)}\n")


def show_document(text: str) -> None:
    """Print a text to the letter, for a file."""
    sys.stdout.write(text)


def show_file(parts: Iterable[bytes]) -> None:
    """Print a file to the letter, part by part as it is made."""
    sys.stdout.flush()
    for part in parts:
        sys.stdout.buffer.write(part)


def say_now(*lines: str) -> None:
    """Print lines of something that goes on: whoever reads has them at once, through a pipe too."""
    say(*lines)
    sys.stdout.flush()


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
    spreadsheet.write(sys.stdout, [column.key for column in table.columns], table.rows)


def show_text(*tables: Table) -> None:
    """Print tables, boxed and coloured on a terminal, plain and aligned anywhere else."""
    for index, table in enumerate(tables):
        if index:
            say("")
        if sys.stdout.isatty():
            from telemhq_cli.render.terminal import print_boxed  # noqa: PLC0415 - rich: 60 ms

            print_boxed(table.for_people())
        else:
            width = screen.width() if screen.width_was_asked() else None
            say(*table.for_people().lines(width))


def show_pairs(pairs: Sequence[tuple[str, object]], indent: str = "") -> None:
    """Print names and values, one pair a line, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    texts = ((name, "" if value is None else value) for name, value in pairs)
    say(*(f"{indent}{name:<{width}}  {text}".rstrip() for name, text in texts))


def is_terminal() -> bool:
    """Tell whether a person watches stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


__all__ = [
    "Form",
    "form_of",
    "is_terminal",
    "note",
    "say",
    "say_now",
    "show_csv",
    "show_document",
    "show_file",
    "show_json",
    "show_json_file",
    "show_json_line",
    "show_pairs",
    "show_table",
    "show_text",
]
