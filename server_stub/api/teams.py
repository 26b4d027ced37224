"""Teams: founding one, its members, and the invitations into it."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals, shapes
from server_stub.api.caller import (
    CurrentCaller,
    CurrentStore,
    DefaultPlan,
    PublicUrl,
    membership_of,
    require,
)
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Email, Name
from server_stub.domain.credentials import new_token
from server_stub.domain.invitation import LIFETIME_MS, Invitation
from server_stub.domain.membership import TEAM, Action, Caller, Membership
from server_stub.domain.naming import clean_email, clean_name
from server_stub.store import accounts, joining, teams, users
from server_stub.store.ids import new_id
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import resources, routes
from telemhq_agents.contract.resources import Role

router = APIRouter(tags=["teams"])


class TeamDraft(BaseModel):
    """A new team: its name."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class InvitationDraft(BaseModel):
    """Who is invited, and as what. An owner is made by founding a team, not by invitation."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    role: Literal["member", "manager"] = "member"


@router.post(routes.TEAMS, status_code=201, responses=refusing(*BODY, 401))
def create_team(
    caller: CurrentCaller, store: CurrentStore, plan: DefaultPlan, draft: TeamDraft
) -> resources.Account:
    """Found a team as its owner.

    It becomes your default account where that was your personal one until now.
    """
    with refusals.naming("name"):
        name = clean_name(draft.name)
    account_id = store.write(
        lambda connection: joining.found_team(connection, caller.user_id, name, plan, now_ms())
    )
    with store.read() as connection:
        founder = users.look_again(connection, caller)
    return shapes.account(membership_of(founder, str(account_id), "team"))


@router.get(routes.TEAMS, responses=refusing(401))
async def list_teams(caller: CurrentCaller) -> list[resources.Account]:
    """List the teams that you are in, with your role in each."""
    return [shapes.account(one) for one in caller.accounts() if one.kind == TEAM]


@router.get(routes.TEAM_MEMBERS, responses=refusing(401, 403, 404))
def list_members(
    team_id: str, caller: CurrentCaller, store: CurrentStore
) -> list[resources.Member]:
    """List everybody in a team, revoked members included, in the order they came."""
    membership = membership_of(caller, team_id, "team")
    require(membership, Action.SEE_MEMBERS)
    with store.read() as connection:
        found = accounts.members(connection, membership.account_id)
    return [shapes.member(one) for one in found]


@router.post(
    routes.TEAM_INVITATIONS, status_code=201, responses=refusing(*BODY, 401, 403, 404, 409)
)
def invite(
    team_id: str,
    caller: CurrentCaller,
    store: CurrentStore,
    public_url: PublicUrl,
    draft: InvitationDraft,
) -> resources.Invitation:
    """Invite somebody by e-mail address; managers and owners may.

    `link` is whole in this answer alone: pass it on, it is good for seven days and for one person.
    It is mailed to them too. An earlier open invitation to the same address ends.
    """
    membership = _inviting(caller, team_id)
    with refusals.naming("email"):
        email = clean_email(draft.email)
    with store.read() as connection:
        if accounts.is_member(connection, membership.account_id, email):
            raise refusals.already_member(email, membership.account_name)
    token, now = new_token(), now_ms()
    invitation = Invitation(
        id=new_id(),
        account_id=membership.account_id,
        account_name=membership.account_name,
        email=email,
        role=Role(draft.role),
        inviter_email=caller.email,
        expires_ms=now + LIFETIME_MS,
        accepted_ms=None,
    )
    link = public_url + routes.INVITATION_PAGE.format(invitation_token=token)
    store.write(
        lambda connection: teams.invite(
            connection, invitation, token, link=link, invited_by=caller.user_id, now_ms=now
        )
    )
    return shapes.invitation(invitation, link)


@router.get(routes.TEAM_INVITATIONS, responses=refusing(401, 403, 404))
def list_invitations(
    team_id: str, caller: CurrentCaller, store: CurrentStore
) -> list[resources.Invitation]:
    """List a team's open invitations, newest first, without their links."""
    membership = membership_of(caller, team_id, "team")
    require(membership, Action.SEE_INVITATIONS)
    with store.read() as connection:
        found = teams.open_invitations(connection, membership.account_id, now_ms())
    return [shapes.invitation(one) for one in found]


def _inviting(caller: Caller, team_id: str) -> Membership:
    membership = membership_of(caller, team_id, "team")
    require(membership, Action.INVITE)
    if membership.kind != TEAM:
        raise refusals.personal_account(membership)
    return membership
