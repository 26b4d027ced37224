"""Adding to and taking from JSON text, leaving every other byte where its owner put it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import Any

DEFAULT_INDENT = "  "
_SPACE = re.compile(r"[ \t\r\n]*")
_decoder = JSONDecoder()


@dataclass(frozen=True, slots=True)
class Item:
    """A member of an object or an element of an array (`key` ""), where it lies in the text."""

    key: str
    start: int
    value_start: int
    end: int
    value: Any


def items(text: str, start: int) -> list[Item]:
    """Return the items of the object or array that opens at `start` of a valid JSON text."""
    is_object = text[start] == "{"
    found = []
    at = _skip(text, start + 1)
    while text[at] not in "}]":
        key, value_start = "", at
        if is_object:
            key, after = _decoder.raw_decode(text, at)
            value_start = _skip(text, _skip(text, after) + 1)
        value, end = _decoder.raw_decode(text, value_start)
        found.append(Item(key, at, value_start, end, value))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def root(text: str) -> int:
    """Return where the text's value begins (after a byte order mark and white space)."""
    return _skip(text, 1 if text.startswith("\ufeff") else 0)


def member(text: str, start: int, key: str) -> Item | None:
    """Return the member that counts under this key (the last one), if there is any."""
    return next((item for item in reversed(items(text, start)) if item.key == key), None)


def add(text: str, start: int, value: Any, key: str | None = None) -> str:  # noqa: ANN401 - JSON
    """Put a value at the end of the object or array that opens at `start`, in its own style."""
    present = items(text, start)
    name = "" if key is None else json.dumps(key, ensure_ascii=False) + ": "
    if present and "\n" not in text[start : present[0].start]:
        new = ", " + name + json.dumps(value, ensure_ascii=False)
        return text[: present[-1].end] + new + text[present[-1].end :]
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _unit(text)
    inner = _indent_of(text, present[0].start) if present else _indent_of(text, start) + unit
    body = json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + inner)
    if present:
        return text[: present[-1].end] + f",{newline}{inner}{name}{body}" + text[present[-1].end :]
    closing = _skip(text, start + 1)
    outer = newline + _indent_of(text, start)
    return text[: start + 1] + f"{newline}{inner}{name}{body}{outer}" + text[closing:]


def remove(text: str, start: int, index: int) -> str:
    """Take one item out of the object or array that opens at `start`, and the comma it needed."""
    present = items(text, start)
    item = present[index]
    if index > 0:
        return text[: present[index - 1].end] + text[item.end :]
    if len(present) > 1:
        return text[: item.start] + text[present[1].start :]
    return text[: start + 1] + text[_skip(text, item.end) :]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _unit(text: str) -> str:
    """Return one step of indentation, as the outermost object shows it."""
    present = items(text, root(text))
    indent = _indent_of(text, present[0].start) if present else ""
    return indent or DEFAULT_INDENT


def _indent_of(text: str, at: int) -> str:
    """Return the white space that begins the line of `at`."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
