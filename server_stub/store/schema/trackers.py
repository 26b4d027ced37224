"""Trackers, their tokens, and how each user and the public see them. See store/tables.py."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from server_stub.store.columns import Big, number, words
from server_stub.store.schema.metadata import metadata

trackers = Table(
    "trackers",
    metadata,
    number("account_id"),
    number("id"),
    number("owner_id"),
    words("name"),
    words("state", "new"),
    words("device_id", ""),
    words("source", ""),
    number("created_ms"),
    Column("deleted_ms", Big),
    Column("last_run_ms", Big),
    words("last_status", ""),
    Column("due_ms", Big, comment="when the next ping is expected"),
    Column("wake_ms", Big, comment="when the sweep has to look at it"),
    words("rules", "{}"),
    number("rules_revision", 0),
    words("memory", "{}"),
    number("memory_revision", 0),
    PrimaryKeyConstraint("account_id", "id"),
    Index("ix_trackers_id", "id"),
    Index(
        "ix_trackers_wake_ms",
        "wake_ms",
        sqlite_where=text("wake_ms IS NOT NULL"),
        postgresql_where=text("wake_ms IS NOT NULL"),
    ),
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
    number("account_id"),
    number("tracker_id"),
    number("created_ms"),
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

field_choices = Table(
    "field_choices",
    metadata,
    number("account_id"),
    number("user_id"),
    number("tracker_id"),
    Column("field", Text, nullable=False),
    words("choice"),
    PrimaryKeyConstraint("account_id", "user_id", "tracker_id", "field"),
)

status_pages = Table(
    "status_pages",
    metadata,
    number("account_id"),
    number("id"),
    words("title"),
    Column("trackers", Text, nullable=False, comment="JSON list of [tracker id, label]"),
    Column("public_token", Text, nullable=False, unique=True),
    number("created_ms"),
    PrimaryKeyConstraint("account_id", "id"),
)

badges = Table(
    "badges",
    metadata,
    number("account_id"),
    number("tracker_id"),
    Column("public_token", Text, nullable=False, unique=True),
    number("created_ms"),
    PrimaryKeyConstraint("account_id", "tracker_id"),
)

metrics_keys = Table(
    "metrics_keys",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    number("account_id"),
    words("name"),
    words("prefix"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    number("created_ms"),
    Column("revoked_ms", Big),
    Column("marks", Text, nullable=False, server_default="{}", comment="JSON: the highest told"),
    Index("ix_metrics_keys_account_id", "account_id"),
)
