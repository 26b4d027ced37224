"""Invitations into teams: every question about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from server_stub.domain.credentials import digest
from server_stub.domain.invitation import Invitation
from server_stub.domain.message import invitation_letter
from server_stub.store import deliveries
from server_stub.store.tables import accounts, invitations, users
from telemhq_agents.contract.resources import Role
from telemhq_agents.contract.rules import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

INVITED_AGAIN = "they were invited again"
ACCEPTED = "it was accepted before"

_INVITATIONS = (
    select(
        invitations.c.id,
        invitations.c.account_id,
        accounts.c.name.label("account_name"),
        invitations.c.email,
        invitations.c.role,
        users.c.email.label("inviter_email"),
        invitations.c.expires_ms,
        invitations.c.accepted_ms,
    )
    .join_from(invitations, accounts, accounts.c.id == invitations.c.account_id)
    .join(users, users.c.id == invitations.c.invited_by)
)


def invite(
    connection: Connection,
    invitation: Invitation,
    token: str,
    *,
    link: str,
    invited_by: int,
    now_ms: int,
) -> None:
    """Add an invitation and mail its link; close any earlier one to the same address.

    Only one link works, and no mail goes out any more with another.

    Whoever invites into the account at the same moment waits for this one.
    """
    connection.execute(
        select(accounts.c.id).where(accounts.c.id == invitation.account_id).with_for_update()
    )
    connection.execute(
        update(invitations)
        .where(
            invitations.c.account_id == invitation.account_id,
            invitations.c.email == invitation.email,
            invitations.c.accepted_ms.is_(None),
            invitations.c.expires_ms > now_ms,
        )
        .values(expires_ms=now_ms)
    )
    values = {
        "id": invitation.id,
        "account_id": invitation.account_id,
        "email": invitation.email,
        "role": invitation.role.value,
        "digest": digest(token),
        "invited_by": invited_by,
        "created_ms": now_ms,
        "expires_ms": invitation.expires_ms,
    }
    connection.execute(insert(invitations).values(values))
    deliveries.withdraw_invitations(
        connection, invitation.account_id, invitation.email, INVITED_AGAIN, now_ms
    )
    mail = deliveries.row(
        account_id=invitation.account_id,
        kind=ChannelKind.EMAIL.value,
        target=invitation.email,
        event=deliveries.INVITATION_EVENT,
        content=invitation_letter(invitation, link),
        next_ms=now_ms,
        now_ms=now_ms,
    )
    deliveries.add(connection, [mail])


def find_invitation(connection: Connection, token: str) -> Invitation | None:
    """Return the invitation that a link's token opens, whatever became of it."""
    rows = _read(connection, _INVITATIONS.where(invitations.c.digest == digest(token)))
    return rows[0] if rows else None


def look_again(connection: Connection, invitation: Invitation) -> Invitation:
    """Return an invitation as it is now."""
    return _read(connection, _INVITATIONS.where(invitations.c.id == invitation.id))[0]


def open_invitations(connection: Connection, account_id: int, now_ms: int) -> Sequence[Invitation]:
    """Return what has been neither accepted nor left to expire, newest first."""
    asked = _INVITATIONS.where(
        invitations.c.account_id == account_id,
        invitations.c.accepted_ms.is_(None),
        invitations.c.expires_ms > now_ms,
    ).order_by(invitations.c.created_ms.desc(), invitations.c.id.desc())
    return _read(connection, asked)


def accept(connection: Connection, invitation_id: int, user_id: int, now_ms: int) -> bool:
    """Mark an invitation as accepted. False when somebody else was faster."""
    changed = (
        update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.accepted_ms.is_(None))
        .values(accepted_ms=now_ms, accepted_by=user_id)
    )
    accepted = connection.execute(changed).rowcount == 1
    row = connection.execute(
        select(invitations.c.account_id, invitations.c.email).where(
            invitations.c.id == invitation_id
        )
    ).one()
    deliveries.withdraw_invitations(connection, row.account_id, row.email, ACCEPTED, now_ms)
    return accepted


def _read(connection: Connection, asked: Select[Any]) -> list[Invitation]:
    return [_invitation(row) for row in connection.execute(asked)]


def _invitation(row: Row[*tuple[Any, ...]]) -> Invitation:
    return Invitation(
        id=row.id,
        account_id=row.account_id,
        account_name=row.account_name,
        email=row.email,
        role=Role(row.role),
        inviter_email=row.inviter_email,
        expires_ms=row.expires_ms,
        accepted_ms=row.accepted_ms,
    )
