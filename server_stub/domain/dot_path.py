"""Dot paths: where in a payload something stands. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from server_stub.domain.rule_error import RuleError

LONGEST_PATH = 300
DEEPEST_PATH = 20
INDEX = re.compile(r"\[([0-9]{1,9})\]", re.ASCII)


class Missing:
    """Nothing stands at a path: not the same as null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def parsed(path: str) -> tuple[str, ...]:
    r"""Split a dot path: `items.0.cost` and `items[0].cost` are the same, `a\.b` is one name.

    A backslash takes the next character as it is. Raises RuleError for an empty name.
    """
    if not path or len(path) > LONGEST_PATH:
        raise RuleError("path", f"must have 1 to {LONGEST_PATH} characters")
    if not path.isprintable():
        raise RuleError("path", f"{path!r} holds a character that cannot be printed")
    steps = tuple(_steps(path))
    if len(steps) > DEEPEST_PATH:
        raise RuleError("path", f"must not be deeper than {DEEPEST_PATH} names")
    return steps


def _steps(path: str) -> list[str]:
    steps: list[str] = []
    name: list[str] = []
    named = False
    at = 0
    while at < len(path):
        letter = path[at]
        index = INDEX.match(path, at) if letter == "[" else None
        if letter == "\\" and at + 1 == len(path):
            raise RuleError("path", f"{path!r} ends in a lone backslash: write \\\\ for one")
        if index is not None:
            if not named:
                steps.append(_name(path, name))
            steps.append(index[1])
            name, named, at = [], True, index.end()
        elif letter == ".":
            if not named:
                steps.append(_name(path, name))
            name, named, at = [], False, at + 1
        elif named:
            raise RuleError("path", f"{path!r} needs a dot after the brackets")
        else:
            at += letter == "\\"
            name.append(path[at])
            at += 1
    if not named:
        steps.append(_name(path, name))
    return steps


def _name(path: str, letters: list[str]) -> str:
    if not letters:
        raise RuleError("path", f"{path!r} has an empty name; write a\\.b for a name with a dot")
    return "".join(letters)


def find(path: str, payload: object) -> Any:  # noqa: ANN401 - JSON is what it is
    """Return what stands at a dot path, `MISSING` where nothing does."""
    return walk(parsed(path), payload)


def walk(steps: tuple[str, ...], found: Any) -> Any:  # noqa: ANN401 - JSON is what it is
    for step in steps:
        if isinstance(found, dict):
            found = found.get(step, MISSING)
        elif isinstance(found, list) and step.isdecimal() and step.isascii():
            found = found[int(step)] if int(step) < len(found) else MISSING
        else:
            return MISSING
    return found
