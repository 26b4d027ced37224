"""Who may do what: roles, the accounts a caller is in, and the one they act in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telemhq_agents.contract.resources import Role

PERSONAL = "personal"
TEAM = "team"
ACTIVE = "active"
REVOKED = "revoked"


class Action(StrEnum):
    """What a role may or may not do; the value completes the sentence 'you may not …'."""

    CREATE_TRACKER = "create trackers"
    SEE_OWN_TRACKER = "see your trackers"
    CHANGE_OWN_TRACKER = "change your trackers"
    SEE_ANY_TRACKER = "see another member's tracker"
    CHANGE_ANY_TRACKER = "change another member's tracker"
    SEE_OWN_USAGE = "see your usage"
    SEE_TEAM_USAGE = "see the usage of the whole account"
    SEE_MEMBERS = "see the members"
    SEE_INVITATIONS = "see the open invitations"
    INVITE = "invite people"
    MANAGE_METRICS_KEYS = "see or make metrics keys"
    CHANGE_ACCOUNT = "change the account's name or time zone"


LEAST_ROLE: dict[Action, Role] = {
    Action.CREATE_TRACKER: Role.MEMBER,
    Action.SEE_OWN_TRACKER: Role.MEMBER,
    Action.CHANGE_OWN_TRACKER: Role.MEMBER,
    Action.SEE_ANY_TRACKER: Role.MANAGER,
    Action.CHANGE_ANY_TRACKER: Role.MANAGER,
    Action.SEE_OWN_USAGE: Role.MEMBER,
    Action.SEE_TEAM_USAGE: Role.MANAGER,
    Action.SEE_MEMBERS: Role.MEMBER,
    Action.SEE_INVITATIONS: Role.MANAGER,
    Action.INVITE: Role.MANAGER,
    Action.MANAGE_METRICS_KEYS: Role.MANAGER,
    Action.CHANGE_ACCOUNT: Role.MANAGER,
}
"""The least role that each action needs; every role above may do it too."""

_RANK = {Role.MEMBER: 0, Role.MANAGER: 1, Role.OWNER: 2}


@dataclass(frozen=True, slots=True)
class Membership:
    """One account that a user belongs to, and as what."""

    account_id: int
    kind: str
    account_name: str
    timezone: str
    role: Role
    state: str

    @property
    def active(self) -> bool:
        """Whether this membership still opens the account."""
        return self.state == ACTIVE


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind an API key, with every account they are or were in."""

    user_id: int
    email: str
    name: str
    default_account_id: int
    key_id: int
    memberships: tuple[Membership, ...]

    def accounts(self) -> tuple[Membership, ...]:
        """Return the accounts that are open to this caller."""
        return tuple(membership for membership in self.memberships if membership.active)

    def membership(self, account_id: int) -> Membership | None:
        """Return the caller's membership of one account, revoked ones included."""
        found = (one for one in self.memberships if one.account_id == account_id)
        return next(found, None)


def may(role: Role, action: Action) -> bool:
    """Tell whether a role may do something."""
    return _RANK[role] >= _RANK[LEAST_ROLE[action]]


def seeing(*, own: bool) -> Action:
    """Name what it takes to see a tracker."""
    return Action.SEE_OWN_TRACKER if own else Action.SEE_ANY_TRACKER


def changing(*, own: bool) -> Action:
    """Name what it takes to change a tracker."""
    return Action.CHANGE_OWN_TRACKER if own else Action.CHANGE_ANY_TRACKER


def who_may(action: Action) -> str:
    """Name the roles that may do something, for the sentence that refuses it."""
    roles = [role for role in (Role.MEMBER, Role.MANAGER, Role.OWNER) if may(role, action)]
    return " or ".join(roles)
