"""What the processes of a server tell each other. See store/tables.py."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from server_stub.store.columns import Big, number, words
from server_stub.store.schema.metadata import metadata

uptimes = Table(
    "uptimes",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False, comment="always 1"),
    Column("since_ms", Big, nullable=False, comment="since when the server has been recording"),
    Column("seen_ms", Big, nullable=False, comment="when it last showed that it does"),
)

recorders = Table(
    "recorders",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False, comment="one process, while it runs"),
    Column("upto_ms", Big, nullable=False, comment="until when all that it heard is stored"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    words("holder"),
    number("until_ms"),
)
