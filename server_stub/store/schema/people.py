"""People, their accounts, and how they come in. See store/tables.py."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from server_stub.store.columns import Big, number, words
from server_stub.store.schema.metadata import metadata

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
