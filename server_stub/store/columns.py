"""What every table's columns are made of, on SQLite and on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Text
from sqlalchemy.dialects import postgresql, sqlite

from telemhq_agents.contract.amounts import AMOUNT_FIELDS

Big = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
Json = Text().with_variant(postgresql.JSON(), "postgresql")


def words(name: str, default: str | None = None) -> Column[str]:
    """Return a column of text that is never null."""
    return Column(name, Text, nullable=False, server_default=default)


def number(name: str, default: int | None = None) -> Column[int]:
    """Return a column of 64-bit integers that is never null."""
    shown = None if default is None else str(default)
    return Column(name, Big, nullable=False, server_default=shown)


def sums() -> list[Column[int]]:
    """Return a column for each figure that adds up."""
    return [number(name, 0) for name in AMOUNT_FIELDS]
