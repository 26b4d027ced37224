"""Accounts and who belongs to them: every question about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from server_stub.domain.membership import ACTIVE
from server_stub.store import dialect
from server_stub.store.tables import accounts, memberships, naming_keys, users
from telemhq_agents.contract.resources import Role
from telemhq_agents.contract.team_usage import BillingKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class AccountMember:
    """Somebody in an account, and who pays for them. `joined_ms` is milliseconds UTC."""

    id: int
    email: str
    name: str
    role: Role
    state: str
    billing: BillingKind
    joined_ms: int


def create(
    connection: Connection, account_id: int, kind: str, name: str, *, plan: str, now_ms: int
) -> None:
    """Add an account with a plan (by its name)."""
    values = {"id": account_id, "kind": kind, "name": name, "plan": plan, "created_ms": now_ms}
    connection.execute(insert(accounts).values(values))


def change(
    connection: Connection, account_id: int, *, name: str | None = None, timezone: str | None = None
) -> None:
    """Set an account's name, its time zone, or both."""
    given = {"name": name, "timezone": timezone}
    values = {column: value for column, value in given.items() if value is not None}
    if values:
        connection.execute(update(accounts).where(accounts.c.id == account_id).values(values))


def naming_key(connection: Connection, account_id: int) -> str | None:
    """Return the key under which an account's project names are hashed; None until one is asked."""
    asked = select(naming_keys.c.naming_key).where(naming_keys.c.account_id == account_id)
    return connection.execute(asked).scalar_one_or_none()


def keep_naming_key(connection: Connection, account_id: int, fresh: str, now_ms: int) -> str:
    """Make `fresh` an account's naming key where it has none; return the one that it has."""
    values = {"account_id": account_id, "naming_key": fresh, "created_ms": now_ms}
    adding = dialect.insert(connection, naming_keys).values(values).on_conflict_do_nothing()
    connection.execute(adding)
    return naming_key(connection, account_id) or fresh


def add_member(
    connection: Connection, account_id: int, user_id: int, role: Role, now_ms: int
) -> bool:
    """Let a user in. False when they are or were a member: nothing is then written."""
    values = {
        "account_id": account_id,
        "user_id": user_id,
        "role": role.value,
        "state": ACTIVE,
        "joined_ms": now_ms,
    }
    adding = (
        dialect.insert(connection, memberships)
        .values(values)
        .on_conflict_do_nothing()
        .returning(memberships.c.user_id)
    )
    return connection.execute(adding).first() is not None


def is_member(connection: Connection, account_id: int, email: str) -> bool:
    """Tell whether the user with this address is, or was, a member."""
    asked = (
        select(memberships.c.user_id)
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.account_id == account_id, users.c.email == email)
    )
    return connection.execute(asked).first() is not None


def members(connection: Connection, account_id: int) -> Sequence[AccountMember]:
    """Return everybody in an account, revoked ones included, in the order they came."""
    asked = (
        select(
            users.c.id,
            users.c.email,
            users.c.name,
            memberships.c.role,
            memberships.c.state,
            memberships.c.billing_kind,
            memberships.c.joined_ms,
        )
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.account_id == account_id)
        .order_by(memberships.c.joined_ms, users.c.email)
    )
    return [_member(row) for row in connection.execute(asked)]


def _member(row: Row[*tuple[Any, ...]]) -> AccountMember:
    return AccountMember(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        state=row.state,
        billing=BillingKind(row.billing_kind),
        joined_ms=row.joined_ms,
    )


def emails(connection: Connection, account_id: int) -> dict[int, str]:
    """Return the addresses of everybody who is, or was, in an account, by id."""
    return {member.id: member.email for member in members(connection, account_id)}


def member_ids(connection: Connection, account_id: int, emails: Collection[str]) -> dict[str, int]:
    """Return the ids of those of these addresses that are, or were, members."""
    asked = (
        select(users.c.email, users.c.id)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(memberships.c.account_id == account_id, users.c.email.in_(emails))
    )
    return {row.email: row.id for row in connection.execute(asked)}
