"""Users and their API keys: every question about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from server_stub.domain.credentials import digest, shown_prefix
from server_stub.domain.membership import PERSONAL, Caller, Membership
from server_stub.store import dialect
from server_stub.store.ids import new_id
from server_stub.store.tables import accounts, api_keys, memberships, users
from telemhq_agents.contract.resources import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

KEY_USE_GRANULARITY_MS = 60 * 60 * 1000
"""The last use of a key is kept to the hour, so that reading does not become writing."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in."""

    id: int
    email: str
    name: str
    default_account_id: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key without its secret. Times are milliseconds UTC."""

    id: int
    user_id: int
    name: str
    prefix: str
    created_ms: int
    last_used_ms: int | None
    revoked_ms: int | None


_KEY_HOLDERS = (
    select(
        api_keys.c.id.label("key_id"),
        api_keys.c.last_used_ms,
        users.c.id,
        users.c.email,
        users.c.name,
        users.c.default_account_id,
        memberships.c.account_id,
        memberships.c.role,
        memberships.c.state,
        accounts.c.kind,
        accounts.c.name.label("account_name"),
        accounts.c.timezone,
    )
    .join_from(api_keys, users, users.c.id == api_keys.c.user_id)
    .join(memberships, memberships.c.user_id == users.c.id)
    .join(accounts, accounts.c.id == memberships.c.account_id)
    .order_by(accounts.c.kind, memberships.c.joined_ms, memberships.c.account_id)
)
_BY_DIGEST = _KEY_HOLDERS.where(
    api_keys.c.digest == bindparam("digest"), api_keys.c.revoked_ms.is_(None)
)
_BY_ID = _KEY_HOLDERS.where(api_keys.c.id == bindparam("key_id"))


def find_caller(connection: Connection, api_key: str) -> tuple[Caller, int | None] | None:
    """Return who holds an API key and when it was last seen in use.

    None for an unknown or revoked key. One query by a unique index: every request asks this.
    """
    rows = connection.execute(_BY_DIGEST, {"digest": digest(api_key)}).all()
    return (_caller(rows), rows[0].last_used_ms) if rows else None


def holder(connection: Connection, api_key: str) -> Caller:
    """Return who holds a key that was made just now."""
    return _caller(connection.execute(_BY_DIGEST, {"digest": digest(api_key)}).all())


def look_again(connection: Connection, caller: Caller) -> Caller:
    """Return a caller as they are now, after a change to them or their accounts."""
    return _caller(connection.execute(_BY_ID, {"key_id": caller.key_id}).all())


def _caller(rows: Sequence[Row[*tuple[Any, ...]]]) -> Caller:
    first = rows[0]
    return Caller(
        user_id=first.id,
        email=first.email,
        name=first.name,
        default_account_id=first.default_account_id,
        key_id=first.key_id,
        memberships=tuple(_membership(row) for row in rows),
    )


def _membership(row: Row[*tuple[Any, ...]]) -> Membership:
    return Membership(
        account_id=row.account_id,
        kind=row.kind,
        account_name=row.account_name,
        timezone=row.timezone,
        role=Role(row.role),
        state=row.state,
    )


def find_by_email(connection: Connection, email: str) -> User | None:
    """Return the user with this (cleaned) address."""
    row = connection.execute(select(users).where(users.c.email == email)).one_or_none()
    return None if row is None else User(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def create(connection: Connection, user: User) -> bool:
    """Add a user. False when the address or the id is taken: nothing is then written."""
    values = {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "default_account_id": user.default_account_id,
        "created_ms": user.created_ms,
    }
    adding = (
        dialect.insert(connection, users)
        .values(values)
        .on_conflict_do_nothing()
        .returning(users.c.id)
    )
    return connection.execute(adding).first() is not None


def change(
    connection: Connection, user_id: int, *, name: str | None = None, default: int | None = None
) -> None:
    """Set a user's name, their default account, or both."""
    given = {"name": name, "default_account_id": default}
    values = {column: value for column, value in given.items() if value is not None}
    if values:
        connection.execute(update(users).where(users.c.id == user_id).values(values))


def leave_personal_default(connection: Connection, user_id: int, account_id: int) -> None:
    """Make an account the user's default if until now that was their personal one."""
    personal = select(accounts.c.id).where(accounts.c.kind == PERSONAL)
    changed = (
        update(users)
        .where(users.c.id == user_id, users.c.default_account_id.in_(personal))
        .values(default_account_id=account_id)
    )
    connection.execute(changed)


def add_key(
    connection: Connection, user_id: int, name: str, api_key: str, now_ms: int
) -> StoredKey:
    """Add an API key; only its digest and a recognisable prefix are kept."""
    key = StoredKey(new_id(), user_id, name, shown_prefix(api_key), now_ms, None, None)
    values = {
        "id": key.id,
        "user_id": key.user_id,
        "name": key.name,
        "prefix": key.prefix,
        "digest": digest(api_key),
        "created_ms": key.created_ms,
    }
    connection.execute(insert(api_keys).values(values))
    return key


def keys_of(connection: Connection, user_id: int) -> Sequence[StoredKey]:
    """Return a user's keys, revoked ones included, newest first."""
    shown = [column for column in api_keys.c if column.name != "digest"]
    asked = (
        select(*shown)
        .where(api_keys.c.user_id == user_id)
        .order_by(api_keys.c.created_ms.desc(), api_keys.c.id.desc())
    )
    return [StoredKey(**row._mapping) for row in connection.execute(asked)]  # noqa: SLF001 - as above


def revoke_key(connection: Connection, user_id: int, key_id: int, now_ms: int) -> bool:
    """Revoke a key of this user's; a key revoked before keeps its date. False: no such key."""
    changed = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
        .values(revoked_ms=func.coalesce(api_keys.c.revoked_ms, now_ms))
    )
    return connection.execute(changed).rowcount == 1


def use_is_stale(last_used_ms: int | None, now_ms: int) -> bool:
    """Tell whether a key's last use is so long ago that this one should be noted."""
    return last_used_ms is None or now_ms - last_used_ms >= KEY_USE_GRANULARITY_MS


def note_key_use(connection: Connection, key_id: int, now_ms: int) -> None:
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_ms=now_ms))
