"""An invitation's link: what it offers, and accepting it."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from html import escape
from string import Template
from typing import NoReturn

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals, shapes
from server_stub.api.caller import (
    CurrentStore,
    DefaultPlan,
    PossibleCaller,
    PublicUrl,
    membership_of,
)
from server_stub.api.documented import BODY, refusing
from server_stub.domain.invitation import Acceptance, Invitation, judge
from server_stub.domain.membership import Caller
from server_stub.domain.naming import clean_name
from server_stub.store import joining, teams, users
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import resources, routes

router = APIRouter(tags=["invitations"])

_WELCOMING = frozenset({Acceptance.NEW_USER, Acceptance.JOIN})
_PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex">
<title>Join $team</title></head>
<body>
<h1>Join $team</h1>
<p>$inviter invites $email to $team as $role. The invitation is good until $expires.</p>
<p>Accept it in a terminal (with the <code>telemhq</code> command installed):</p>
<pre>telemhq team accept $link</pre>
</body>
</html>
""")


class Guestbook(BaseModel):
    """How a newcomer wants to be called; without it, by the front of their address."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None


@router.get(routes.INVITATION, responses=refusing(404))
def show_invitation(invitation_token: str, store: CurrentStore) -> resources.Invitation:
    """Tell what a link offers: team, role, address, who invites, until when. No key needed."""
    return shapes.invitation(_find(store, invitation_token))


@router.get(routes.INVITATION_PAGE, response_class=HTMLResponse, responses=refusing(404))
def invitation_page(
    invitation_token: str, store: CurrentStore, public_url: PublicUrl
) -> HTMLResponse:
    """Tell a person who opened the link in a browser how to accept it; accepts nothing."""
    invitation = _find(store, invitation_token)
    link = public_url + routes.INVITATION_PAGE.format(invitation_token=invitation_token)
    words = {
        "team": invitation.account_name,
        "inviter": invitation.inviter_email,
        "email": invitation.email,
        "role": invitation.role.value,
        "expires": to_iso(invitation.expires_ms),
        "link": link,
    }
    page = _PAGE.substitute({name: escape(word) for name, word in words.items()})
    # The link is a secret: no page that is opened from here is to learn it.
    return HTMLResponse(page, headers={"Referrer-Policy": "no-referrer"})


@router.post(
    routes.INVITATION_ACCEPT,
    responses=refusing(*BODY, 401, 403, 404, 409, 410),
    # Added to the bearer key that FastAPI names: this works without one too.
    openapi_extra={"security": [{}]},
)
def accept_invitation(
    invitation_token: str,
    store: CurrentStore,
    caller: PossibleCaller,
    plan: DefaultPlan,
    guestbook: Guestbook | None = None,
) -> resources.Joined:
    """Join the team.

    Without an API key, an address that is new here gets its user, its personal account and its
    first API key, shown in this answer alone. An address that has a user must send its API key.
    The team becomes the default account where that was the personal one until now.
    """
    with store.read() as connection:
        invitation = _known(teams.find_invitation(connection, invitation_token))
        guest = joining.guest(connection, invitation, caller)
    name = _name(invitation, guestbook)
    outcome = judge(invitation, guest, now_ms=now_ms())
    if outcome not in _WELCOMING:
        _refuse(outcome, invitation, caller)
    try:
        welcome = store.write(
            lambda connection: joining.accept(
                connection, invitation, caller, name, now_ms(), plan=plan
            )
        )
    except joining.TakenError as error:
        raise refusals.busy_elsewhere() from error
    if welcome.outcome not in _WELCOMING:
        _refuse(welcome.outcome, invitation, caller)
    return _joined(store, invitation, caller, welcome.api_key)


def _find(store: Store, invitation_token: str) -> Invitation:
    with store.read() as connection:
        return _known(teams.find_invitation(connection, invitation_token))


def _known(invitation: Invitation | None) -> Invitation:
    if invitation is None:
        raise refusals.invitation_unknown()
    return invitation


def _name(invitation: Invitation, guestbook: Guestbook | None) -> str:
    if guestbook is None or not guestbook.name:
        return invitation.email.partition("@")[0]
    with refusals.naming("name"):
        return clean_name(guestbook.name)


def _refuse(outcome: Acceptance, invitation: Invitation, caller: Caller | None) -> NoReturn:
    match outcome:
        case Acceptance.ALREADY_ACCEPTED:
            raise refusals.invitation_used()
        case Acceptance.EXPIRED:
            raise refusals.invitation_expired()
        case Acceptance.LOG_IN_FIRST:
            raise refusals.log_in_first(invitation.email)
        case Acceptance.OTHER_EMAIL:
            signed_in_as = "" if caller is None else caller.email
            raise refusals.for_another_address(invitation.email, signed_in_as)
        case Acceptance.ALREADY_MEMBER:
            raise refusals.already_member(invitation.email, invitation.account_name)
        case Acceptance.NEW_USER | Acceptance.JOIN:
            raise ValueError(f"{outcome} is no refusal")


def _joined(
    store: Store, invitation: Invitation, caller: Caller | None, api_key: str | None
) -> resources.Joined:
    with store.read() as connection:
        if caller is not None:
            member = users.look_again(connection, caller)
        else:
            member = users.holder(connection, api_key or "")
    account = membership_of(member, str(invitation.account_id), "team")
    return resources.Joined(shapes.account(account), member.email, api_key)
