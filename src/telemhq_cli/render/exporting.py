"""Rows as files for other programs: CSV, JSON, JSON lines, Markdown. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

from telemhq_cli.render import envelope, spreadsheet
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = ("usage", "export")
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\|`*[]"} | {"<": "&lt;", "&": "&amp;"})


class FileFormat(StrEnum):
    """What an export is written in."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Rows:
    """What is exported: rows with the same names each, and the document that JSON holds instead."""

    names: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any]


def written(what: Rows, form: FileFormat, warnings: Sequence[str] = ()) -> str:
    """Return the text of an export, its last line ended."""
    match form:
        case FileFormat.CSV:
            return _csv(what)
        case FileFormat.JSON:
            return f"{envelope.encoded(envelope.made(WORDS, dict(what.document), warnings))}\n"
        case FileFormat.JSONL:
            return "".join(f"{envelope.line(dict(row))}\n" for row in what.rows)
        case FileFormat.MARKDOWN:
            return _markdown(what)
        case _:
            assert_never(form)


def _csv(what: Rows) -> str:
    out = io.StringIO()
    spreadsheet.write(out, what.names, ([row[name] for name in what.names] for row in what.rows))
    return out.getvalue()


def _markdown(what: Rows) -> str:
    figures = {name for name in what.names if _is_figure(row[name] for row in what.rows)}
    rule = ["---:" if name in figures else "---" for name in what.names]
    rows = [[_marked(spreadsheet.flat(row[name])) for name in what.names] for row in what.rows]
    lines = [[_marked(name) for name in what.names], rule, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _is_figure(cells: Iterable[object]) -> bool:
    found = list(cells)
    return bool(found) and all(isinstance(cell, int | float) for cell in found)


def _marked(cell: object) -> str:
    """Write a cell so that none of it marks up the table, or a page around it."""
    return visible(" ".join(str(cell).splitlines())).translate(_MARKS)
