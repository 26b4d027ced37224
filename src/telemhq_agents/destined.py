"""Which destination a moment belongs to. Pure.

A history is kept beside the credentials and followed by the ledger, so that a ledger that is lost
and read again sends to the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Destined:
    """From `since_ms` on, what a source adds is told to `destination`. "" tells nobody."""

    destination: str
    since_ms: int


History = tuple[Destined, ...]
"""In the order in which they were set."""


def destination_at(history: Sequence[Destined], at_ms: int) -> str:
    """Return where a moment belongs, "" for nowhere: to the last one set that reaches back to it."""
    reaching = [one.destination for one in history if one.since_ms <= at_ms]
    return reaching[-1] if reaching else ""


def pointed(history: History, destination: str, since_ms: int) -> History:
    """Return the history with `destination` from `since_ms` on.

    Setting the one that is set already only ever moves its beginning back.
    """
    if history and history[-1].destination == destination:
        since_ms = min(since_ms, history[-1].since_ms)
        history = history[:-1]
    return (*history, Destined(destination, since_ms))


def backfilled(history: History, destination: str, since_ms: int) -> History:
    """Return the history with `destination` wherever nobody was told, from `since_ms` on.

    What lies in another destination's time stays that one's, which may have been told already.
    """
    steps = [
        Destined(destination_at(history, at) or (destination if at >= since_ms else ""), at)
        for at in sorted({since_ms, *(one.since_ms for one in history)})
    ]
    return tuple(next(same) for _, same in groupby(steps, key=lambda one: one.destination))


def first_difference(one: Sequence[Destined], other: Sequence[Destined]) -> int | None:
    """Return the first moment that belongs elsewhere in the other history; None without any."""
    moments = sorted(step.since_ms for step in (*one, *other))
    differ = (at for at in moments if destination_at(one, at) != destination_at(other, at))
    return next(differ, None)
