"""What changed, who is to be told of it, and how that went. See store/tables.py."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, Text, text

from server_stub.store.columns import Big, number, words
from server_stub.store.schema.metadata import metadata

transitions = Table(
    "transitions",
    metadata,
    number("account_id"),
    number("tracker_id"),
    number("id"),
    words("from_state"),
    words("to_state"),
    Column("at_ms", Big, nullable=False, comment="the moment it was due"),
    Column("noted_ms", Big, nullable=False, comment="when the server saw it"),
    words("cause"),
    words("message", ""),
    Column("run_id", Big),
    PrimaryKeyConstraint("account_id", "tracker_id", "id"),
    sqlite_with_rowid=False,
)

alerts = Table(
    "alerts",
    metadata,
    number("account_id"),
    number("id"),
    number("tracker_id"),
    Column("transition_id", Big, comment="null for a repeated alert"),
    words("event"),
    Column("run_id", Big),
    words("message", ""),
    number("created_ms"),
    Column("withheld", Text, nullable=False, server_default="", comment="why nobody was told"),
    PrimaryKeyConstraint("account_id", "id"),
    Index("ix_alerts_tracker", "account_id", "tracker_id", "id"),
)

channels = Table(
    "channels",
    metadata,
    number("account_id"),
    number("tracker_id"),
    number("id"),
    words("kind"),
    words("target"),
    words("secret", ""),
    words("secret_before", ""),
    Column("secret_before_until_ms", Big),
    number("created_ms"),
    Column("unsubscribed_ms", Big),
    Column("removed_ms", Big, comment="since when the rules no longer name it; null: they do"),
    PrimaryKeyConstraint("account_id", "tracker_id", "id"),
    Index("ix_channels_target", "account_id", "tracker_id", "kind", "target", unique=True),
)

deliveries = Table(
    "deliveries",
    metadata,
    number("account_id"),
    number("id"),
    Column("tracker_id", Big),
    Column("alert_id", Big),
    Column("channel_id", Big),
    words("kind"),
    words("target"),
    words("event"),
    Column("content", Text, nullable=False, comment="JSON: what is sent, without its signature"),
    words("state", "waiting"),
    number("attempts", 0),
    Column("next_ms", Big, comment="when to try (again); null when done"),
    number("created_ms"),
    Column("claimed_until_ms", Big),
    words("claimed_by", ""),
    Column("done_ms", Big),
    words("last_error", ""),
    PrimaryKeyConstraint("account_id", "id"),
    Index("ix_deliveries_alert", "account_id", "alert_id"),
    Index("ix_deliveries_tracker", "account_id", "tracker_id", "id"),
    Index("ix_deliveries_done_ms", "done_ms"),
    Index(
        "ix_deliveries_next_ms",
        "next_ms",
        sqlite_where=text("next_ms IS NOT NULL"),
        postgresql_where=text("next_ms IS NOT NULL"),
    ),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    number("account_id"),
    number("delivery_id"),
    number("attempt"),
    number("at_ms"),
    number("took_ms"),
    Column("http_status", Big),
    words("error", ""),
    PrimaryKeyConstraint("account_id", "delivery_id", "attempt"),
)

summaries = Table(
    "summaries",
    metadata,
    number("account_id"),
    number("tracker_id"),
    Column("period", Text, nullable=False, comment="such as 2026-11-20 or 2026-W47"),
    number("created_ms"),
    PrimaryKeyConstraint("account_id", "tracker_id", "period"),
)
