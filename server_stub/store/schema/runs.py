"""Runs, the keys that book them once, and the sums that outlive them. See store/tables.py."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from server_stub.store.columns import Big, Json, number, sums, words
from server_stub.store.schema.metadata import metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    number("account_id"),
    Column("scope", Big, nullable=False, comment="tracker id, or 0 for keys of the whole account"),
    Column("digest", LargeBinary, nullable=False, comment="first 16 bytes of SHA-256 of the key"),
    Column("tracker_id", Big, nullable=False, comment="of its run; 0 for a correction"),
    number("run_id"),
    number("received_ms"),
    PrimaryKeyConstraint("account_id", "scope", "digest"),
    sqlite_with_rowid=False,
)

# On SQLite rows lie as they came (no WITHOUT ROWID): a run adds to the end of the file, where among
# the others of its tracker it would write three pages of 4 KB.
runs = Table(
    "runs",
    metadata,
    number("account_id"),
    number("tracker_id"),
    number("id"),
    number("member_id"),
    words("kind", "run"),
    Column("fact_digest", LargeBinary, comment="digest of the key a collector fact was born with"),
    number("revision", 0),
    number("received_ms"),
    number("ended_ms"),
    Column("clamped", Boolean, nullable=False, server_default=text("false")),
    words("provider", ""),
    words("model", ""),
    words("project", ""),
    words("status", ""),
    words("source", ""),
    words("session_id", ""),
    words("thread_id", ""),
    Column("tool_tokens", Big),
    Column("has_cost", Boolean, nullable=False, server_default=text("false")),
    Column("has_duration", Boolean, nullable=False, server_default=text("false")),
    *sums(),
    Column("payload", Json, nullable=False),
    words("outcome", ""),
    Column("verdicts", Text, comment="JSON list of verdicts, null where nothing was asserted"),
    PrimaryKeyConstraint("account_id", "tracker_id", "id"),
    Index(
        "ix_runs_fact",
        "account_id",
        "fact_digest",
        sqlite_where=text("fact_digest IS NOT NULL"),
        postgresql_where=text("fact_digest IS NOT NULL"),
    ),
)

# Buckets are STRICT: a sum beyond 64 bits is refused, where SQLite would else keep a rounded float.
BUCKET_KEY = ("account_id", "quarter_ms", "tracker_id", "member_id", "project", "model", "source")
buckets = Table(
    "buckets",
    metadata,
    number("account_id"),
    Column("quarter_ms", Big, nullable=False, comment="start of a UTC quarter-hour"),
    number("tracker_id"),
    number("member_id"),
    words("project"),
    words("model"),
    words("source"),
    *sums(),
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
    number("account_id"),
    Column("quarter_ms", Big, nullable=False, comment="start of a UTC quarter-hour"),
    number("tracker_id"),
    number("member_id"),
    words("session_id"),
    words("thread_id"),
    words("project"),
    words("model"),
    words("source"),
    *sums(),
    PrimaryKeyConstraint(*SESSION_BUCKET_KEY),
    Index("ix_session_buckets_session", "account_id", "session_id"),
    sqlite_with_rowid=False,
    sqlite_strict=True,
)

archives = Table(
    "archives",
    metadata,
    number("account_id"),
    number("tracker_id"),
    Column("day_ms", Big, nullable=False, comment="start of a UTC day, by ended_ms"),
    number("runs"),
    number("failed"),
    number("first_ms"),
    number("last_ms"),
    PrimaryKeyConstraint("account_id", "tracker_id", "day_ms"),
)

ping_counts = Table(
    "ping_counts",
    metadata,
    number("account_id"),
    Column("month_ms", Big, nullable=False, comment="start of a UTC month"),
    number("pings"),
    PrimaryKeyConstraint("account_id", "month_ms"),
)
