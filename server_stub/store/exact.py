"""Sums that outgrow 64 bits, exact on every database.

PostgreSQL's own `sum` has no end. SQLite's fails beyond 64 bits, which next to no account reaches:
then the upper and the lower 32 bits of each figure are added up apart (room for four billion rows)
and joined here, where integers have no end. Two's complement makes that right for negative figures
too: the upper half carries the sign. Asking twice at worst costs less than halves do always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, literal_column
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

HALF = 32
LOWER_BITS = (1 << HALF) - 1
TOO_LARGE = "integer overflow"
"""What SQLite says of a sum beyond 64 bits."""

Asking = Callable[[Sequence[Any]], Select[Any]]
"""Makes a question of sums: it selects its keys first, then these."""
Added = tuple[tuple[Any, ...], tuple[int, ...]]


def added_up(
    connection: Connection, figures: Iterable[ColumnElement[int]], ask: Asking
) -> list[Added]:
    """Ask for the sums of some figures; return each row's keys and its sums.

    Nothing at all adds up to 0.
    """
    whole = list(figures)
    try:
        rows = connection.execute(ask([func.sum(one).label(None) for one in whole])).all()
    except OperationalError as error:
        if TOO_LARGE not in str(error.orig):
            raise
        return _by_halves(connection, whole, ask)
    return [_split(row, len(whole)) for row in rows]


def _by_halves(
    connection: Connection, figures: Sequence[ColumnElement[int]], ask: Asking
) -> list[Added]:
    half: ColumnElement[int] = literal_column(str(HALF))
    lower_bits: ColumnElement[int] = literal_column(str(LOWER_BITS))
    parts = [
        func.sum(part).label(None)
        for figure in figures
        for part in (figure.bitwise_rshift(half), figure.bitwise_and(lower_bits))
    ]
    rows = (_split(row, len(parts)) for row in connection.execute(ask(parts)))
    return [
        (keys, tuple((up << HALF) + low for up, low in zip(sums[::2], sums[1::2], strict=True)))
        for keys, sums in rows
    ]


def _split(row: Sequence[Any], width: int) -> Added:
    values = tuple(row)
    return values[:-width], tuple(int(value or 0) for value in values[-width:])
