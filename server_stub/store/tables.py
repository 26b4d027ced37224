"""Every table of the server. Times are integers, milliseconds UTC; money is integer nano-USD.

`account_id` leads every key of the big tables and is their distribution column. Ids are 63-bit
integers that sort by time of birth (store/ids.py); the API shows them as strings.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from telemhq_agents.contract.amounts import AMOUNT_FIELDS

Big = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
Json = Text().with_variant(postgresql.JSONB(), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _words(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _number(name: str, default: int | None = None) -> Column[int]:
    shown = None if default is None else str(default)
    return Column(name, Big, nullable=False, server_default=shown)


def _sums() -> list[Column[int]]:
    return [_number(name, 0) for name in AMOUNT_FIELDS]


users = Table(
    "users",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("email", Text, nullable=False, unique=True),
    _words("name"),
    _number("default_account_id"),
    _number("created_ms"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    _words("kind"),
    _words("name"),
    _words("timezone", "UTC"),
    _number("created_ms"),
)

naming_keys = Table(
    "naming_keys",
    metadata,
    Column("account_id", Big, primary_key=True, autoincrement=False),
    _words("naming_key"),
    _number("created_ms"),
)

memberships = Table(
    "memberships",
    metadata,
    _number("account_id"),
    _number("user_id"),
    _words("role"),
    _words("state", "active"),
    _words("billing_kind", "self-billed"),
    _number("joined_ms"),
    PrimaryKeyConstraint("account_id", "user_id"),
    Index("ix_memberships_user_id", "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    _number("user_id"),
    _words("name"),
    _words("prefix"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _number("created_ms"),
    Column("last_used_ms", Big),
    Column("revoked_ms", Big),
    Index("ix_api_keys_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    _number("account_id"),
    _words("email"),
    _words("role"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _number("invited_by"),
    _number("created_ms"),
    _number("expires_ms"),
    Column("accepted_ms", Big),
    Column("accepted_by", Big),
    Index("ix_invitations_account_id", "account_id"),
)

trackers = Table(
    "trackers",
    metadata,
    _number("account_id"),
    _number("id"),
    _number("owner_id"),
    _words("name"),
    _words("state", "new"),
    _words("device_id", ""),
    _words("source", ""),
    _number("created_ms"),
    Column("deleted_ms", Big),
    Column("last_run_ms", Big),
    _words("last_status", ""),
    PrimaryKeyConstraint("account_id", "id"),
    Index("ix_trackers_id", "id"),
    Index(
        "ix_trackers_device",
        "account_id",
        "owner_id",
        "device_id",
        "source",
        unique=True,
        sqlite_where=text("device_id <> '' AND deleted_ms IS NULL"),
        postgresql_where=text("device_id <> '' AND deleted_ms IS NULL"),
    ),
)

tracking_tokens = Table(
    "tracking_tokens",
    metadata,
    Column("token", Text, primary_key=True),
    _number("account_id"),
    _number("tracker_id"),
    _number("created_ms"),
    Column("revoked_ms", Big),
    Index(
        "ix_tracking_tokens_in_force",
        "account_id",
        "tracker_id",
        unique=True,
        sqlite_where=text("revoked_ms IS NULL"),
        postgresql_where=text("revoked_ms IS NULL"),
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _number("account_id"),
    Column("scope", Big, nullable=False, comment="tracker id, or 0 for keys of the whole account"),
    Column("digest", LargeBinary, nullable=False, comment="first 16 bytes of SHA-256 of the key"),
    Column("tracker_id", Big, nullable=False, comment="where the key arrived"),
    _number("run_id"),
    _number("received_ms"),
    PrimaryKeyConstraint("account_id", "scope", "digest"),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    _number("account_id"),
    _number("tracker_id"),
    _number("id"),
    _number("member_id"),
    _words("kind", "run"),
    Column("fact_digest", LargeBinary, comment="digest of the key a collector fact was born with"),
    _number("revision", 0),
    _number("received_ms"),
    _number("ended_ms"),
    Column("clamped", Boolean, nullable=False, server_default=text("false")),
    _words("provider", ""),
    _words("model", ""),
    _words("project", ""),
    _words("status", ""),
    _words("source", ""),
    _words("session_id", ""),
    _words("thread_id", ""),
    Column("tool_tokens", Big),
    Column("has_cost", Boolean, nullable=False, server_default=text("false")),
    Column("has_duration", Boolean, nullable=False, server_default=text("false")),
    *_sums(),
    Column("payload", Json, nullable=False),
    PrimaryKeyConstraint("account_id", "tracker_id", "id"),
    Index(
        "ix_runs_fact",
        "account_id",
        "fact_digest",
        sqlite_where=text("fact_digest IS NOT NULL"),
        postgresql_where=text("fact_digest IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Buckets are STRICT: a sum beyond 64 bits is refused, where SQLite would else keep a rounded float.
BUCKET_KEY = ("account_id", "quarter_ms", "tracker_id", "member_id", "project", "model", "source")
buckets = Table(
    "buckets",
    metadata,
    _number("account_id"),
    Column("quarter_ms", Big, nullable=False, comment="start of a UTC quarter-hour"),
    _number("tracker_id"),
    _number("member_id"),
    _words("project"),
    _words("model"),
    _words("source"),
    *_sums(),
    PrimaryKeyConstraint(*BUCKET_KEY),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

SESSION_BUCKET_KEY = (
    "account_id",
    "quarter_ms",
    "tracker_id",
    "member_id",
    "session_id",
    "thread_id",
    "project",
    "model",
    "source",
)
session_buckets = Table(
    "session_buckets",
    metadata,
    _number("account_id"),
    Column("quarter_ms", Big, nullable=False, comment="start of a UTC quarter-hour"),
    _number("tracker_id"),
    _number("member_id"),
    _words("session_id"),
    _words("thread_id"),
    _words("project"),
    _words("model"),
    _words("source"),
    *_sums(),
    PrimaryKeyConstraint(*SESSION_BUCKET_KEY),
    Index("ix_session_buckets_session", "account_id", "session_id"),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)
