"""What a ledger holds, where all of it was booked a moment ago: who remembers need not look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class Seen:
    """All keys of facts and turns in the ledger, and the turns that have an origin there."""

    facts: set[str] = field(default_factory=set)
    turns: set[str] = field(default_factory=set)
    turns_of_origins: set[str] = field(default_factory=set)


def perhaps_known(keys: set[str], seen: set[str] | None) -> AbstractSet[str]:
    """Return which of these keys to look up; all of them where nobody remembers."""
    return keys if seen is None else keys & seen
