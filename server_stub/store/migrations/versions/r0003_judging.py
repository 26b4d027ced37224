"""Judging: rules and memory of trackers, transitions, alerts, deliveries, and what reads them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _widen()
    _add_judging()
    _add_channels()
    _add_deliveries()
    _add_reading()
    _add_public()
    _add_keeping()


def _widen() -> None:
    """Give accounts, trackers and runs their new columns."""
    op.add_column(
        "accounts", sa.Column("plan", sa.Text(), nullable=False, server_default="unlimited")
    )
    op.add_column("trackers", sa.Column("due_ms", BIG, comment="when the next ping is expected"))
    op.add_column("trackers", sa.Column("wake_ms", BIG, comment="when the sweep has to look at it"))
    for name in ("rules", "memory"):
        op.add_column("trackers", sa.Column(name, sa.Text(), nullable=False, server_default="{}"))
        revision_of = sa.Column(f"{name}_revision", BIG, nullable=False, server_default="0")
        op.add_column("trackers", revision_of)
    # Turns of coding agents fail every day: what a new tracker of a device is judged by.
    op.execute("""UPDATE trackers SET rules = '{"fail_on_status": false}' WHERE device_id <> ''""")
    op.create_index(
        "ix_trackers_wake_ms",
        "trackers",
        ["wake_ms"],
        sqlite_where=sa.text("wake_ms IS NOT NULL"),
        postgresql_where=sa.text("wake_ms IS NOT NULL"),
    )
    op.add_column("runs", sa.Column("outcome", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "runs",
        sa.Column(
            "verdicts", sa.Text(), comment="JSON list of verdicts, null where nothing was asserted"
        ),
    )
    if op.get_bind().dialect.name == "sqlite":
        _keep_runs_as_they_come()


def _keep_runs_as_they_come() -> None:
    """Lay SQLite's runs out by arrival: a run then writes its end of the file, not three pages."""
    bind = op.get_bind()
    definition = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = 'runs'"))
    index = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = 'ix_runs_fact'"))
    op.drop_index("ix_runs_fact", "runs")
    op.rename_table("runs", "runs_by_tracker")
    bind.exec_driver_sql(str(definition).replace("WITHOUT ROWID", "").strip())
    bind.exec_driver_sql("INSERT INTO runs SELECT * FROM runs_by_tracker ORDER BY id")
    op.drop_table("runs_by_tracker")
    bind.exec_driver_sql(str(index))


def _add_judging() -> None:
    op.create_table(
        "transitions",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("at_ms", BIG, nullable=False, comment="the moment it was due"),
        sa.Column("noted_ms", BIG, nullable=False, comment="when the server saw it"),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False, server_default=""),
        sa.Column("run_id", BIG, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", "id", name="pk_transitions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alerts",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("transition_id", BIG, nullable=True, comment="null for a repeated alert"),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("run_id", BIG, nullable=True),
        sa.Column("message", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_ms", BIG, nullable=False),
        sa.Column(
            "withheld", sa.Text(), nullable=False, server_default="", comment="why nobody was told"
        ),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_tracker", "alerts", ["account_id", "tracker_id", "id"])


def _add_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False, server_default=""),
        sa.Column("secret_before", sa.Text(), nullable=False, server_default=""),
        sa.Column("secret_before_until_ms", BIG, nullable=True),
        sa.Column("created_ms", BIG, nullable=False),
        sa.Column("unsubscribed_ms", BIG, nullable=True),
        sa.Column(
            "removed_ms",
            BIG,
            nullable=True,
            comment="since when the rules no longer name it; null: they do",
        ),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", "id", name="pk_channels"),
    )
    op.create_index(
        "ix_channels_target",
        "channels",
        ["account_id", "tracker_id", "kind", "target"],
        unique=True,
    )


def _add_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=True),
        sa.Column("alert_id", BIG, nullable=True),
        sa.Column("channel_id", BIG, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column(
            "content",
            sa.Text(),
            nullable=False,
            comment="JSON: what is sent, without its signature",
        ),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("attempts", BIG, nullable=False, server_default="0"),
        sa.Column("next_ms", BIG, nullable=True, comment="when to try (again); null when done"),
        sa.Column("created_ms", BIG, nullable=False),
        sa.Column("claimed_until_ms", BIG, nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("done_ms", BIG, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_alert", "deliveries", ["account_id", "alert_id"])
    op.create_index("ix_deliveries_tracker", "deliveries", ["account_id", "tracker_id", "id"])
    op.create_index("ix_deliveries_done_ms", "deliveries", ["done_ms"])
    op.create_index(
        "ix_deliveries_next_ms",
        "deliveries",
        ["next_ms"],
        sqlite_where=sa.text("next_ms IS NOT NULL"),
        postgresql_where=sa.text("next_ms IS NOT NULL"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("delivery_id", BIG, nullable=False),
        sa.Column("attempt", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("took_ms", BIG, nullable=False),
        sa.Column("http_status", BIG, nullable=True),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint(
            "account_id", "delivery_id", "attempt", name="pk_delivery_attempts"
        ),
    )


def _add_reading() -> None:
    op.create_table(
        "summaries",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("period", sa.Text(), nullable=False, comment="such as 2026-11-20 or 2026-W47"),
        sa.Column("created_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", "period", name="pk_summaries"),
    )
    op.create_table(
        "archives",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("day_ms", BIG, nullable=False, comment="start of a UTC day, by ended_ms"),
        sa.Column("runs", BIG, nullable=False),
        sa.Column("failed", BIG, nullable=False),
        sa.Column("first_ms", BIG, nullable=False),
        sa.Column("last_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", "day_ms", name="pk_archives"),
    )
    op.create_table(
        "field_choices",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "user_id", "tracker_id", "field", name="pk_field_choices"
        ),
    )


def _add_public() -> None:
    op.create_table(
        "status_pages",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "trackers", sa.Text(), nullable=False, comment="JSON list of [tracker id, label]"
        ),
        sa.Column("public_token", sa.Text(), nullable=False),
        sa.Column("created_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_status_pages"),
        sa.UniqueConstraint("public_token", name="uq_status_pages_public_token"),
    )
    op.create_table(
        "badges",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("tracker_id", BIG, nullable=False),
        sa.Column("public_token", sa.Text(), nullable=False),
        sa.Column("created_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tracker_id", name="pk_badges"),
        sa.UniqueConstraint("public_token", name="uq_badges_public_token"),
    )
    op.create_table(
        "metrics_keys",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", BIG, nullable=False),
        sa.Column("revoked_ms", BIG, nullable=True),
        sa.Column(
            "marks",
            sa.Text(),
            nullable=False,
            server_default="{}",
            comment="JSON: the highest told",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_metrics_keys"),
        sa.UniqueConstraint("digest", name="uq_metrics_keys_digest"),
    )
    op.create_index("ix_metrics_keys_account_id", "metrics_keys", ["account_id"])


def _add_keeping() -> None:
    op.create_table(
        "ping_counts",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("month_ms", BIG, nullable=False, comment="start of a UTC month"),
        sa.Column("pings", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "month_ms", name="pk_ping_counts"),
    )
    op.create_table(
        "uptimes",
        sa.Column("id", BIG, autoincrement=False, nullable=False, comment="always 1"),
        sa.Column(
            "since_ms", BIG, nullable=False, comment="since when the server has been recording"
        ),
        sa.Column("seen_ms", BIG, nullable=False, comment="when it last showed that it does"),
        sa.PrimaryKeyConstraint("id", name="pk_uptimes"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until_ms", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
