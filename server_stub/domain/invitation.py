"""What becomes of an invitation when somebody accepts it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from telemhq_agents.contract.resources import Role

LIFETIME_MS = 7 * 24 * 60 * 60 * 1000
"""An invitation is good for seven days."""


class Acceptance(Enum):
    """The outcome of accepting; only the first two change anything."""

    NEW_USER = auto()
    JOIN = auto()
    ALREADY_ACCEPTED = auto()
    EXPIRED = auto()
    LOG_IN_FIRST = auto()
    OTHER_EMAIL = auto()
    ALREADY_MEMBER = auto()


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as it is stored; its token is kept only as a digest."""

    id: int
    account_id: int
    account_name: str
    email: str
    role: Role
    inviter_email: str
    expires_ms: int
    accepted_ms: int | None


@dataclass(frozen=True, slots=True)
class Guest:
    """Who stands at the door, and what is known of the invited address.

    `signed_in_as` is None without an API key; `address_is_member` is true for a revoked one too.
    """

    signed_in_as: str | None
    address_has_user: bool
    address_is_member: bool


def judge(invitation: Invitation, guest: Guest, *, now_ms: int) -> Acceptance:
    """Decide what accepting does. An existing user never gets a key this way: they sign in first.

    A revoked member stays one: an invitation from before does not bring them back.
    """
    if invitation.accepted_ms is not None:
        return Acceptance.ALREADY_ACCEPTED
    if now_ms >= invitation.expires_ms:
        return Acceptance.EXPIRED
    if guest.signed_in_as is None:
        return Acceptance.LOG_IN_FIRST if guest.address_has_user else Acceptance.NEW_USER
    if guest.signed_in_as != invitation.email:
        return Acceptance.OTHER_EMAIL
    return Acceptance.ALREADY_MEMBER if guest.address_is_member else Acceptance.JOIN
