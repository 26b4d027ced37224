"""The text of a settings file: where a setting stands in it, and the same text with one changed.

What else is in the text, comments above all, stays as it is. Pure.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Place = tuple[str, ...]
"""A setting's name with the tables that it stands in: ("profiles", "work", "url")."""

_MARK = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"{3,5}|\'\'\'[\s\S]*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
    r"|(?P<comment>#[^\r\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<end>\n)"
)
"""What tells where a statement ends; within a text or a comment nothing does."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line as TOML has it: other signs that part lines elsewhere may stand in a text or a comment."""


class _Statement(NamedTuple):
    """Lines `first` to `last` (not included), and the settings that they give or the table."""

    first: int
    last: int
    places: tuple[Place, ...]
    is_header: bool


def line_of(text: str, place: Place) -> int:
    """Return the line on which a setting or a table stands, the first for one that is not there."""
    for one in _statements(text):
        if any(found[: len(place)] == place for found in one.places):
            return one.first + 1
    return 1


def with_value(text: str, place: Place, value: object) -> str:
    """Return the text with one setting set: on its own line, else after those of its table."""
    if "\r\n" in text:
        return with_value(text.replace("\r\n", "\n"), place, value).replace("\n", "\r\n")
    wanted = _changed(tomllib.loads(text), place, value)
    return _proven(_by_lines(text, place, _dumped({place[-1]: value})), wanted)


def without_value(text: str, place: Place) -> str:
    """Return the text without a setting."""
    wanted = _changed(tomllib.loads(text), place, None)
    lines = _LINE.findall(text)
    held = next((one for one in _statements(text) if one.places == (place,)), None)
    return _proven("" if held is None else "".join(_cut(lines, held)), wanted)


def lost_comments(before: str, after: str) -> list[str]:
    """Return the comments that stood in a text and don't any more."""
    return [*(Counter(_comments(before)) - Counter(_comments(after))).elements()]


def _proven(text: str, wanted: Mapping[str, Any]) -> str:
    """Return the text where it says what is wanted, else all of it written anew."""
    try:
        if _without_empty_tables(tomllib.loads(text)) == _without_empty_tables(wanted):
            return text
    except tomllib.TOMLDecodeError:
        pass  # an unusual spelling, such as a table within braces
    return _dumped(wanted)


def _dumped(wanted: Mapping[str, Any]) -> str:
    import tomli_w  # noqa: PLC0415 - only where something is written

    return tomli_w.dumps(wanted)


def _without_empty_tables(read: Mapping[str, Any]) -> dict[str, Any]:
    inner = {
        name: _without_empty_tables(value) if isinstance(value, dict) else value
        for name, value in read.items()
    }
    return {name: value for name, value in inner.items() if value != {}}


def _changed(written: Mapping[str, Any], place: Place, value: object) -> dict[str, Any]:
    name, *deeper = place
    if deeper:
        inner = written.get(name)
        held = inner if isinstance(inner, dict) else {}
        value = _changed(held, tuple(deeper), value) or None
    rest = {one: held for one, held in written.items() if one != name or value is not None}
    return rest if value is None else {**rest, name: value}


def _by_lines(text: str, place: Place, said: str) -> str:
    lines = _LINE.findall(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    statements = [*_statements(text)]
    held = next((one for one in statements if one.places == (place,)), None)
    if held is not None:
        return "".join([*lines[: held.first], _commented(said, lines, held), *lines[held.last :]])
    table = place[:-1]
    ends = [one.last for one in statements if _is_of(one, table)]
    if table and not ends:
        gap = "\n" if lines else ""
        return "".join([*lines, f"{gap}[{'.'.join(map(_bare, table))}]\n", said])
    at = ends[-1] if ends else _above_tables(statements, lines)
    return "".join([*lines[:at], said, *lines[at:]])


def _is_of(statement: _Statement, table: Place) -> bool:
    if statement.is_header:
        return statement.places == (table,)
    return any(place[:-1] == table for place in statement.places)


def _above_tables(statements: Sequence[_Statement], lines: Sequence[str]) -> int:
    """Return where a first setting goes: below the comments that begin a file without tables."""
    header = next((one.first for one in statements if one.is_header), len(lines))
    while 0 < header < len(lines) and lines[header - 1].lstrip().startswith("#"):
        header -= 1
    return header


def _commented(said: str, lines: Sequence[str], held: _Statement) -> str:
    """Return a line with the comment that ended the one in its place."""
    comments = _comments("".join(lines[held.first : held.last]))
    if held.last - held.first > 1 or not comments:
        return said
    return f"{said.rstrip()}  {comments[0]}\n" if said.count("\n") == 1 else said


def _cut(lines: Sequence[str], held: _Statement) -> list[str]:
    return [*lines[: held.first], *lines[held.last :]]


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _comments(text: str) -> list[str]:
    return [found["comment"] for found in _MARK.finditer(text) if found["comment"]]


def _statements(text: str) -> Iterator[_Statement]:
    """Cut a text into what each setting and each table's name takes up; comments are between."""
    lines = _LINE.findall(text)
    table: Place = ()
    first = 0
    for last in _ends(text):
        read = _read(lines[first:last])
        is_header = lines[first].lstrip().startswith("[")
        if is_header:
            table = next(_leaves(read), ())
            yield _Statement(first, last, (table,), is_header=True)
        elif read:
            places = tuple((*table, *leaf) for leaf in _leaves(read))
            yield _Statement(first, last, places, is_header=False)
        first = last


def _ends(text: str) -> Iterator[int]:
    """Yield the number of the line with which each statement ends, in one pass over the text."""
    line = depth = 0
    for mark in _MARK.finditer(text):
        line += mark[0].count("\n")
        depth += bool(mark["open"]) - bool(mark["close"])
        if mark["end"] and depth == 0:
            yield line
    if text and not text.endswith("\n"):
        yield line + 1


def _read(lines: Sequence[str]) -> dict[str, Any]:
    try:
        return tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return {}


def _leaves(read: object) -> Iterator[Place]:
    if isinstance(read, dict) and read:
        for name, inner in read.items():
            yield from ((name, *deeper) for deeper in _leaves(inner))
    else:
        yield ()
