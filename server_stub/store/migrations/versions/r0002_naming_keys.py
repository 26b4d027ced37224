"""Naming keys: under which an account's members hash the names of their projects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "naming_keys",
        sa.Column("account_id", BIG, autoincrement=False, nullable=False),
        sa.Column("naming_key", sa.Text(), nullable=False),
        sa.Column("created_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_naming_keys"),
    )
