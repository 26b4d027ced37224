"""What JSON documents look like: their fields, found by looking at real ones. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ROOT = ""
NULL = "null"
WHOLE, NUMBER = "whole number", "number"
KINDS = {
    type(None): NULL,
    bool: "true or false",
    int: WHOLE,
    float: NUMBER,
    list: "list",
    dict: "object",
}
ORDER = ("object", "list", "text", "moment", WHOLE, NUMBER, "true or false", NULL)


def kind_of(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return what a reader calls a value."""
    if isinstance(value, str):
        return "moment" if MOMENT.fullmatch(value) else "text"
    return KINDS[type(value)]


class Shape:
    """What was seen of one document's fields, over all samples of it."""

    def __init__(self, opaque: frozenset[str] = frozenset()) -> None:
        self._opaque = opaque
        self._kinds: dict[str, set[str]] = defaultdict(set)
        self._seen: dict[str, int] = defaultdict(int)
        self._objects: dict[str, int] = defaultdict(int)

    def add(self, document: Any) -> None:  # noqa: ANN401 - JSON
        """Look at one more sample."""
        self._look(ROOT, document)

    def kinds(self, path: str) -> str:
        """Say what stands at a path."""
        return _named(self._kinds[path])

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield each field's path and what it holds, in the order they were met."""
        for path, kinds in self._kinds.items():
            if path == ROOT or self._is_told_by_its_parts(path):
                continue
            yield path, _named(kinds) + self._sometimes(path)

    def _look(self, path: str, value: Any) -> None:  # noqa: ANN401 - JSON
        self._kinds[path].add(kind_of(value))
        if path.rpartition(".")[2] in self._opaque:
            return
        if isinstance(value, dict):
            self._objects[path] += 1
            for key, below in value.items():
                place = f"{path}.{key}" if path else key
                self._seen[place] += 1
                self._look(place, below)
        elif isinstance(value, list):
            for below in value:
                self._look(f"{path}[]", below)

    def _is_told_by_its_parts(self, path: str) -> bool:
        parts = any(one.startswith((f"{path}.", f"{path}[]")) for one in self._kinds)
        return parts and not self._kinds[path] - {"object", "list"}

    def _sometimes(self, path: str) -> str:
        parent = path.rpartition(".")[0]
        seen, objects = self._seen.get(path), self._objects.get(parent)
        return ", not always there" if seen and objects and seen < objects else ""


def _named(kinds: set[str]) -> str:
    known = kinds - {WHOLE} if NUMBER in kinds else kinds
    return " or ".join(kind for kind in ORDER if kind in known)


def shape_of(samples: Sequence[Any], opaque: frozenset[str] = frozenset()) -> Shape:
    """Return what these documents have in common, and what they differ in."""
    shape = Shape(opaque)
    for sample in samples:
        shape.add(sample)
    return shape
