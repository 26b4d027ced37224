"""Every table of the server. Times are integers, milliseconds UTC; money is integer nano-USD.

`account_id` leads every key of the big tables and is their distribution column. Ids are 63-bit
integers that sort by time of birth (store/ids.py); the API shows them as strings.
"""

from __future__ import annotations

from sqlalchemy import (
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

from server_stub.store.columns import Big, Json, number, sums, words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("email", Text, nullable=False, unique=True),
    words("name"),
    number("default_account_id"),
    number("created_ms"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    words("kind"),
    words("name"),
    words("timezone", "UTC"),
    number("created_ms"),
    words("plan", "unlimited"),
)

naming_keys = Table(
    "naming_keys",
    metadata,
    Column("account_id", Big, primary_key=True, autoincrement=False),
    words("naming_key"),
    number("created_ms"),
)

memberships = Table(
    "memberships",
    metadata,
    number("account_id"),
    number("user_id"),
    words("role"),
    words("state", "active"),
    words("billing_kind", "self-billed"),
    number("joined_ms"),
    PrimaryKeyConstraint("account_id", "user_id"),
    Index("ix_memberships_user_id", "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    number("user_id"),
    words("name"),
    words("prefix"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    number("created_ms"),
    Column("last_used_ms", Big),
    Column("revoked_ms", Big),
    Index("ix_api_keys_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    number("account_id"),
    words("email"),
    words("role"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    number("invited_by"),
    number("created_ms"),
    number("expires_ms"),
    Column("accepted_ms", Big),
    Column("accepted_by", Big),
    Index("ix_invitations_account_id", "account_id"),
)

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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    number("account_id"),
    Column("scope", Big, nullable=False, comment="tracker id, or 0 for keys of the whole account"),
    Column("digest", LargeBinary, nullable=False, comment="first 16 bytes of SHA-256 of the key"),
    Column("tracker_id", Big, nullable=False, comment="where the key arrived"),
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

ping_counts = Table(
    "ping_counts",
    metadata,
    number("account_id"),
    Column("month_ms", Big, nullable=False, comment="start of a UTC month"),
    number("pings"),
    PrimaryKeyConstraint("account_id", "month_ms"),
)

uptimes = Table(
    "uptimes",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False, comment="always 1"),
    Column("since_ms", Big, nullable=False, comment="since when the server has been recording"),
    Column("seen_ms", Big, nullable=False, comment="when it last showed that it does"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    words("holder"),
    number("until_ms"),
)
