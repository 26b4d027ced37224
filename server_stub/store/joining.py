"""How people come in: each of these is one transaction over users, accounts and invitations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.credentials import new_api_key
from server_stub.domain.invitation import Acceptance, Guest, Invitation, judge
from server_stub.domain.membership import PERSONAL, TEAM
from server_stub.domain.plan import UNLIMITED
from server_stub.store import accounts, teams, users
from server_stub.store.ids import new_id
from telemhq_agents.contract.resources import Role

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server_stub.domain.membership import Caller
    from server_stub.store.users import User

FIRST_USER_ID = 1
"""The owner's id is not minted: of two set-ups at the same moment the primary key lets one win."""

FIRST_KEY_NAME = "first key"


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a fresh server starts with. `api_key` is shown once; the ids are stored ones."""

    user_id: int
    account_id: int
    api_key: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """What became of an invitation; `api_key` only for somebody who had no user yet."""

    outcome: Acceptance
    api_key: str | None = None


class TakenError(Exception):
    """Somebody with this address came in at the same moment: nothing of this is kept."""


def set_up(
    connection: Connection,
    *,
    email: str,
    name: str,
    team: str | None,
    now_ms: int,
    plan: str = UNLIMITED,
) -> SetUp | None:
    """Make the owner, their first API key and, where named, their team. None: it was done before.

    Their accounts have `plan` (by its name), here and wherever somebody comes in.
    """
    owner = _sign_up(connection, FIRST_USER_ID, email, name, plan=plan, now_ms=now_ms)
    if owner is None:
        return None
    account_id = owner.default_account_id
    if team is not None:
        account_id = found_team(connection, owner.id, team, plan, now_ms)
    api_key = new_api_key()
    users.add_key(connection, owner.id, FIRST_KEY_NAME, api_key, now_ms)
    return SetUp(owner.id, account_id, api_key)


def found_team(connection: Connection, founder_id: int, name: str, plan: str, now_ms: int) -> int:
    """Make a team with its owner and return its id."""
    account_id = new_id()
    accounts.create(connection, account_id, TEAM, name, plan=plan, now_ms=now_ms)
    accounts.add_member(connection, account_id, founder_id, Role.OWNER, now_ms)
    users.leave_personal_default(connection, founder_id, account_id)
    return account_id


def guest(connection: Connection, invitation: Invitation, caller: Caller | None) -> Guest:
    """Tell what is known of whoever stands at the door with an invitation."""
    return Guest(
        signed_in_as=None if caller is None else caller.email,
        address_has_user=users.find_by_email(connection, invitation.email) is not None,
        address_is_member=accounts.is_member(connection, invitation.account_id, invitation.email),
    )


def accept(
    connection: Connection,
    invitation: Invitation,
    caller: Caller | None,
    name: str,
    now_ms: int,
    *,
    plan: str = UNLIMITED,
) -> Welcome:
    """Let a guest in, as a new user or as the one who is signed in; or tell why not.

    What came between is seen: the invitation is read again. Raises TakenError where another
    process wrote at the same moment.
    """
    present = teams.look_again(connection, invitation)
    outcome = judge(present, guest(connection, present, caller), now_ms=now_ms)
    if outcome not in {Acceptance.NEW_USER, Acceptance.JOIN}:
        return Welcome(outcome)
    if caller is None:
        user, api_key = _newcomer(connection, present.email, name, plan, now_ms)
        user_id: int = user.id
    else:
        user_id, api_key = caller.user_id, None
    accepted = teams.accept(connection, present.id, user_id, now_ms)
    if not accepted or not accounts.add_member(
        connection, present.account_id, user_id, present.role, now_ms
    ):
        raise TakenError
    users.leave_personal_default(connection, user_id, present.account_id)
    return Welcome(outcome, api_key)


def _newcomer(
    connection: Connection, email: str, name: str, plan: str, now_ms: int
) -> tuple[User, str]:
    user = _sign_up(connection, new_id(), email, name, plan=plan, now_ms=now_ms)
    if user is None:
        raise TakenError
    api_key = new_api_key()
    users.add_key(connection, user.id, FIRST_KEY_NAME, api_key, now_ms)
    return user, api_key


def _sign_up(
    connection: Connection, user_id: int, email: str, name: str, *, plan: str, now_ms: int
) -> User | None:
    """Add a user with the personal account that each one has. None: the address or id is taken."""
    account_id = new_id()
    user = users.User(user_id, email, name, account_id, now_ms)
    if not users.create(connection, user):
        return None
    accounts.create(connection, account_id, PERSONAL, name, plan=plan, now_ms=now_ms)
    accounts.add_member(connection, account_id, user_id, Role.OWNER, now_ms)
    return user
