"""Payloads as they were sent; which processes record; keys of corrections are on no tracker.

Trackers that fail for a run that never ended say so in another word.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "recorders",
        sa.Column(
            "id", BIG, autoincrement=False, nullable=False, comment="one process, while it runs"
        ),
        sa.Column("upto_ms", BIG, nullable=False, comment="until when all that it heard is stored"),
        sa.PrimaryKeyConstraint("id", name="pk_recorders"),
    )
    op.execute(
        # Not by EXISTS: SQLite would look through all runs of the account for each key.
        "UPDATE idempotency_keys SET tracker_id = 0 WHERE (account_id, run_id) IN"
        " (SELECT account_id, id FROM runs WHERE kind = 'correction')"
    )
    op.execute(
        "UPDATE trackers SET memory = replace(memory, '\"stuck\"\\:true', '\"broken\"\\:true')"
        " WHERE memory LIKE '%\"stuck\"\\:true%'"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE runs ALTER COLUMN payload TYPE json USING payload::text::json")
        op.alter_column(
            "idempotency_keys",
            "tracker_id",
            existing_type=BIG,
            existing_nullable=False,
            existing_comment="where the key arrived",
            comment="of its run; 0 for a correction",
        )
