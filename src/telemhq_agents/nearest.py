"""What somebody meant who named something that is not there. Pure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LIKENESS = 0.6
"""How alike two names are, from 0 to 1, before one is taken for the other mistyped."""
LONGEST = 60
"""Characters of a name that are compared; the time it takes grows with their square."""
FEW = 3
MOST = 1000
"""Names that are looked through: 30 ms."""


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return the known name that is most like the one wanted; "" where none is like it.

    Case does not count: `Nightly` is the nearest there is to `nightly`.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only where something is wrong

    asked = _core(wanted)
    names: dict[str, str] = {}
    for name in islice(known, MOST):
        if name and name != wanted:
            names.setdefault(_core(name), name)
    for found in get_close_matches(asked, names, FEW, LIKENESS):
        if _is_meant(asked, found):
            return names[found]
    return _begun(asked, names)


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """Return what to add to "there is no such …": `; did you mean 'x'?`, or ""."""
    near = nearest(wanted, known)
    return f"; did you mean {near!r}?" if near else ""


def missed(statement: str, wanted: str, known: Iterable[str]) -> str:
    """Return a statement that something is not there as a sentence, with what was meant instead."""
    return f"{statement}{did_you_mean(wanted, known) or '.'}"


def _is_meant(asked: str, found: str) -> bool:
    """Tell whether two addresses are alike beyond their domain; other names are as they are."""
    from difflib import get_close_matches  # noqa: PLC0415 - as above

    local, _, domain = asked.partition("@")
    other, _, place = found.partition("@")
    if not domain or domain != place:
        return True
    return bool(get_close_matches(local, [other], 1, LIKENESS))


def _core(name: str) -> str:
    """Return what of a name is compared: options are not alike because of their dashes."""
    return name[:LONGEST].casefold().lstrip("-")


def _begun(asked: str, names: dict[str, str]) -> str:
    """Return the one name that begins as asked: a long name cut short is not like itself."""
    begun = [name for folded, name in names.items() if asked and folded.startswith(asked)]
    return begun[0] if len(begun) == 1 else ""
