"""The first tables: people, accounts, trackers, runs and their buckets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")
DEVICE_TRACKERS = sa.text("device_id <> '' AND deleted_ms IS NULL")
IN_FORCE = sa.text("revoked_ms IS NULL")
COLLECTOR_FACTS = sa.text("fact_digest IS NOT NULL")
SUMS = (
    "runs",
    "failures",
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_nano",
    "unpriced_tokens",
    "duration_ms",
)


def _id() -> sa.Column[int]:
    return sa.Column("id", BIG, autoincrement=False, nullable=False)


def _number(name: str, default: str | None = None, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, BIG, server_default=default, nullable=False, comment=comment)


def _optional(name: str) -> sa.Column[int]:
    return sa.Column(name, BIG, nullable=True)


def _words(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)


def _bytes(name: str, comment: str | None = None) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False, comment=comment)


def _sums() -> list[sa.Column[int]]:
    return [_number(name, "0") for name in SUMS]


def upgrade() -> None:
    _people()
    _trackers()
    _runs()
    _buckets()


def _people() -> None:
    op.create_table(
        "users",
        _id(),
        _words("email"),
        _words("name"),
        _number("default_account_id"),
        _number("created_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "accounts",
        _id(),
        _words("kind"),
        _words("name"),
        _words("timezone", "UTC"),
        _number("created_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_table(
        "memberships",
        _number("account_id"),
        _number("user_id"),
        _words("role"),
        _words("state", "active"),
        _words("billing_kind", "self-billed"),
        _number("joined_ms"),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    _keys_and_invitations()


def _keys_and_invitations() -> None:
    op.create_table(
        "api_keys",
        _id(),
        _number("user_id"),
        _words("name"),
        _words("prefix"),
        _bytes("digest"),
        _number("created_ms"),
        _optional("last_used_ms"),
        _optional("revoked_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "invitations",
        _id(),
        _number("account_id"),
        _words("email"),
        _words("role"),
        _bytes("digest"),
        _number("invited_by"),
        _number("created_ms"),
        _number("expires_ms"),
        _optional("accepted_ms"),
        _optional("accepted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("digest", name="uq_invitations_digest"),
    )
    op.create_index("ix_invitations_account_id", "invitations", ["account_id"])


def _trackers() -> None:
    op.create_table(
        "trackers",
        _number("account_id"),
        _number("id"),
        _number("owner_id"),
        _words("name"),
        _words("state", "new"),
        _words("device_id", ""),
        _words("source", ""),
        _number("created_ms"),
        _optional("deleted_ms"),
        _optional("last_run_ms"),
        _words("last_status", ""),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_trackers"),
    )
    op.create_index("ix_trackers_id", "trackers", ["id"])
    op.create_index(
        "ix_trackers_device",
        "trackers",
        ["account_id", "owner_id", "device_id", "source"],
        unique=True,
        sqlite_where=DEVICE_TRACKERS,
        postgresql_where=DEVICE_TRACKERS,
    )
    op.create_table(
        "tracking_tokens",
        _words("token"),
        _number("account_id"),
        _number("tracker_id"),
        _number("created_ms"),
        _optional("revoked_ms"),
        sa.PrimaryKeyConstraint("token", name="pk_tracking_tokens"),
    )
    op.create_index(
        "ix_tracking_tokens_in_force",
        "tracking_tokens",
        ["account_id", "tracker_id"],
        unique=True,
        sqlite_where=IN_FORCE,
        postgresql_where=IN_FORCE,
    )


def _runs() -> None:
    op.create_table(
        "idempotency_keys",
        _number("account_id"),
        _number("scope", comment="tracker id, or 0 for keys of the whole account"),
        _bytes("digest", comment="first 16 bytes of SHA-256 of the key"),
        _number("tracker_id", comment="where the key arrived"),
        _number("run_id"),
        _number("received_ms"),
        sa.PrimaryKeyConstraint("account_id", "scope", "digest", name="pk_idempotency_keys"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        _number("account_id"),
        _number("tracker_id"),
        _number("id"),
        _number("member_id"),
        _words("kind", "run"),
        sa.Column(
            "fact_digest",
            sa.LargeBinary(),
            comment="digest of the key a collector fact was born with",
        ),
        _number("revision", "0"),
        _number("received_ms"),
        _number("ended_ms"),
        _flag("clamped"),
        *(_words(name, "") for name in ("provider", "model", "project", "status", "source")),
        *(_words(name, "") for name in ("session_id", "thread_id")),
        _optional("tool_tokens"),
        _flag("has_cost"),
        _flag("has_duration"),
        *_sums(),
        sa.Column("payload", JSON, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", "id", name="pk_runs"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_runs_fact",
        "runs",
        ["account_id", "fact_digest"],
        sqlite_where=COLLECTOR_FACTS,
        postgresql_where=COLLECTOR_FACTS,
    )


def _buckets() -> None:
    _bucket_table("buckets", ("project", "model", "source"))
    _bucket_table("session_buckets", ("session_id", "thread_id", "project", "model", "source"))
    op.create_index("ix_session_buckets_session", "session_buckets", ["account_id", "session_id"])


def _bucket_table(name: str, groups: tuple[str, ...]) -> None:
    op.create_table(
        name,
        _number("account_id"),
        _number("quarter_ms", comment="start of a UTC quarter-hour"),
        _number("tracker_id"),
        _number("member_id"),
        *(_words(group) for group in groups),
        *_sums(),
        sa.PrimaryKeyConstraint(
            "account_id", "quarter_ms", "tracker_id", "member_id", *groups, name=f"pk_{name}"
        ),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
