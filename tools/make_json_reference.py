"""Writes docs/reference/json.md from what every command really says: `python -m tools.make_json_reference`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools.json_shapes import ROOT, Shape, shape_of
from tools.json_story import Book, told

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "json.md"
OPAQUE = frozenset({"payload", "body", "known", "sent", "sends_to", "capabilities"})
"""Objects whose keys are yours or a collector's, and no part of the shape."""
HEAD = """\
# The JSON of every command

Written by `python -m tools.make_json_reference` from what each command says; a test fails when it is out of date.

`--json` makes any command answer with one document, on stdout, whatever happens:

```json
{
  "schema": "telemhq.tracker-list/1",
  "data": [],
  "messages": [{"level": "warning", "text": "one log cannot be read"}],
  "error": null
}
```

| field | |
|---|---|
| `schema` | what `data` is, and its version. It is `telemhq.` and the command's words joined by `-`, unless the document has a name of its own (`telemhq.usage/1`); where no command was recognised, `telemhq/1`. Fields may be added to a version; one that goes or changes its meaning makes the next version |
| `data` | what the command answers, as below; null where it failed before it had an answer |
| `messages` | what was warned of meanwhile; the same is on stderr |
| `error` | null, or what went wrong: `kind` (a name that stays), `message`, `next_step` (the command that mends it, or ""), `exit_code`; `status` and `type` of a server's refusal too. The [exit codes](exit-codes.md) list the kinds |

That holds for mistakes too that keep a command from beginning: an unknown option, broken settings. Ctrl-C prints no
document. Without `--json` a failure is told on stderr alone.

Some things are no answer of a command, and come without an envelope: files (`telemhq tracker export`, also with
`--json`; `telemhq ledger export -`), CSV, and streams (`--follow --json`), which are one object a line; where a stream fails, its
last line is an envelope with `error`. `telemhq ping` puts its envelope on one line; around a job on stderr, as stdout is the job's.

`jq` reads an answer so: `telemhq usage --json | jq '.data.total.cost_usd'`.

CSV (`--csv`) has a line with the names of the columns, then raw figures, no totals and no units. Nothing is written in
place of what there is not. Times are RFC 3339 in UTC, unless a time zone was asked for; `cost_usd` is US dollars. Lists stand in
one cell, parted by semicolons. A text that a spreadsheet would compute (it begins with `=`, `+`, `-` or `@`) has an
[apostrophe before it](../how-to/export.md#spreadsheets).

## What `data` is

A *moment* is RFC 3339 text. `[]` stands for each element of a list. Fields of `payload`, `body`, `sent` and `known` are not
listed: they are what was sent. What stands here was seen where two people and a server went through every command; a
text, moment or number that is not known is null.
"""


def page() -> str:
    """Play the story and return the page."""
    with tempfile.TemporaryDirectory() as root:
        return page_of(told(Path(root)))


def page_of(book: Book) -> str:
    """Return the page of what was answered."""
    return "\n".join([HEAD, *_sections(book)]).rstrip() + "\n"


def _sections(book: Book) -> Iterator[str]:
    for words in sorted(book.samples):
        for schema, samples in book.samples[words].items():
            yield f"### telemhq {words}"
            yield ""
            yield from _section(schema, shape_of(samples, OPAQUE))
            columns = book.columns.get(words)
            if columns and schema == next(iter(book.samples[words])):
                yield f"CSV: {', '.join(f'`{name}`' for name in columns)}"
                yield ""


def _section(schema: str, shape: Shape) -> Iterator[str]:
    rows = list(shape.rows())
    yield f"`{schema}`: {_article(shape.kinds(ROOT))}."
    yield ""
    if rows:
        yield "| field | what it holds |"
        yield "|---|---|"
        yield from (f"| `{path}` | {_anything(schema, path) or kinds} |" for path, kinds in rows)
        yield ""


def _anything(schema: str, path: str) -> str:
    """Say of what somebody else chose that it may be anything."""
    return "any JSON" if "assertion" in schema + path and path.endswith(".value") else ""


def _article(kinds: str) -> str:
    return f"an {kinds}" if kinds.startswith("object") else f"a {kinds}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
