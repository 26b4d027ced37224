"""Lists of keys, in pieces that one statement can hold."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
AT_ONCE = 500


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield the values in lists of at most `AT_ONCE`."""
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def marks(some: list[T]) -> str:
    """Return a question mark for each value, for an SQL list."""
    return ", ".join("?" * len(some))
