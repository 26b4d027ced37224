"""Sums that outgrow 64 bits, exact on every database.

SQLite's own `sum` fails beyond 64 bits. The upper and the lower 32 bits of each figure are therefore
added up apart (room for four billion rows) and joined here, where integers have no end. Two's
complement makes that right for negative figures too: the upper half carries the sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement

HALF = 32
LOWER_BITS = (1 << HALF) - 1


def halves(figures: Iterable[ColumnElement[int]]) -> list[ColumnElement[int]]:
    """Return two sums for each figure, to be selected; `joined` reads them."""
    half: ColumnElement[int] = literal_column(str(HALF))
    lower_bits: ColumnElement[int] = literal_column(str(LOWER_BITS))
    return [
        func.sum(part).label(None)
        for figure in figures
        for part in (figure.bitwise_rshift(half), figure.bitwise_and(lower_bits))
    ]


def joined(sums: Sequence[Any]) -> tuple[int, ...]:
    """Return one sum for each two that `halves` asked for; nothing at all adds up to 0."""
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return tuple((int(upper or 0) << HALF) + int(lower or 0) for upper, lower in pairs)
