"""Every way in which the API says no: what happened, to which input, and what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from server_stub.domain.membership import Action, Membership, who_may
from server_stub.domain.problem import ProblemError
from telemhq_agents.contract.problem import FieldProblem, Problem
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def key_missing() -> ProblemError:
    return _refuse(
        401,
        "api-key-missing",
        "This needs an API key",
        step="send one as 'Authorization: Bearer thq_…'; telemhq login keeps it for you",
    )


def key_unknown() -> ProblemError:
    return _refuse(
        401,
        "api-key-unknown",
        "This API key is unknown or was revoked",
        step="log in with another one: telemhq login --url URL",
    )


def metrics_key_missing() -> ProblemError:
    return _refuse(
        401,
        "metrics-key-missing",
        "This needs a metrics key",
        step="send one as 'Authorization: Bearer thqm_…'; telemhq metrics-key create makes it",
    )


def metrics_key_unknown() -> ProblemError:
    return _refuse(
        401,
        "metrics-key-unknown",
        "This metrics key is unknown or was revoked",
        step="make another one: telemhq metrics-key create NAME",
    )


def log_in_first(email: str) -> ProblemError:
    return _refuse(
        401,
        "log-in-first",
        "This address has a user already",
        detail=f"the invitation is for {email}, who has an API key",
        step=f"log in as {email} (telemhq login) and accept the invitation again",
    )


def role_too_small(membership: Membership, action: Action) -> ProblemError:
    instead = " Your own usage: telemhq usage --mine (scope=mine)."
    return _refuse(
        403,
        "role-too-small",
        f"As {membership.role} of {membership.account_name} you may not {action}",
        detail=f"it takes the role {who_may(action)}",
        step=f"ask a {who_may(action)} of {membership.account_name}."
        + (instead if action is Action.SEE_TEAM_USAGE else ""),
    )


def membership_revoked(membership: Membership) -> ProblemError:
    return _refuse(
        403,
        "membership-revoked",
        f"You are no longer a member of {membership.account_name}",
        step="ask a manager to let you in again, or name another account: ?account=ID"
        " (`telemhq whoami` lists yours; `telemhq login --team NAME` acts in another)",
    )


def for_another_address(email: str, caller_email: str) -> ProblemError:
    return _refuse(
        403,
        "invitation-for-another-address",
        f"This invitation is for {email}",
        detail=f"you are signed in as {caller_email}",
        step=f"log in as {email}, or ask for an invitation to {caller_email}",
    )


def not_found(noun: str, name: str) -> ProblemError:
    return _refuse(
        404,
        f"{noun.lower().replace(' ', '-')}-not-found",
        f"There is no {noun} {name} that you can see",
        step="see that the id is whole, and that you act in the right account (`telemhq whoami`)",
    )


def invitation_unknown() -> ProblemError:
    return _refuse(
        404,
        "invitation-not-found",
        "There is no such invitation",
        step="see that the link is whole, or ask for another invitation",
    )


def invitation_used() -> ProblemError:
    return _refuse(
        409,
        "invitation-used",
        "This invitation was accepted before",
        step="log in with the API key that you were given then, or ask for another invitation",
    )


def invitation_expired() -> ProblemError:
    return _refuse(
        410,
        "invitation-expired",
        "This invitation is no longer good",
        step="ask the person who invited you for another one",
    )


def already_member(email: str, account_name: str) -> ProblemError:
    return _refuse(
        409,
        "already-member",
        f"{email} is, or was, a member of {account_name}",
        step="telemhq team members shows everybody and their state",
    )


def personal_account(membership: Membership) -> ProblemError:
    return _refuse(
        409,
        "personal-account",
        f"{membership.account_name} is a personal account: it has no other members",
        step="create a team first: telemhq team create NAME",
    )


def cursor_unknown(cursor: str) -> ProblemError:
    unread = UsageError(
        f"{cursor!r} is no cursor of this list", "Send the next_cursor of the page before."
    )
    return invalid("cursor", unread)


def only_mine() -> ProblemError:
    unread = UsageError(
        "scope=mine is about you alone", "Ask with scope=team for other members (managers, owners)."
    )
    return invalid("member", unread)


def member_unknown(name: str, known: Iterable[str]) -> ProblemError:
    """Refuse the name of nobody; `known` are the e-mails of members whom the caller may see."""
    unread = UsageError(
        f"{name!r} is no member of this account{did_you_mean(name, known)}",
        "Give an e-mail of GET …/members, or 'me'.",
    )
    return invalid("member", unread)


def tracker_unknown(name: str, known: Iterable[str], *, everybody: bool) -> ProblemError:
    """Refuse the name of no tracker; `known` are the names of those that the caller may see."""
    whose = "this account" if everybody else "yours in this account"
    unread = UsageError(
        f"{name!r} is no tracker of {whose}{did_you_mean(name, known)}",
        "Give a name or an id that `telemhq tracker list` shows.",
    )
    return invalid("tracker", unread)


def rules_changed_meanwhile(revision: int) -> ProblemError:
    return _refuse(
        412,
        "rules-changed-meanwhile",
        "These rules were changed since you read them",
        detail=f"they are at revision {revision}",
        step="read them again, make your change in them, and send it with their revision",
    )


def ambiguous_names(names: Sequence[str], whose: str) -> ProblemError:
    listed = ", ".join(repr(name) for name in names)
    return _refuse(
        409,
        "ambiguous-names",
        f"A name stands for one tracker, and {whose} several of the name {listed}",
        step="give them names of their own (`telemhq tracker update ID --name NAME`)",
    )


def too_many_choices(most: int) -> ProblemError:
    return _refuse(
        409,
        "too-many-choices",
        f"You pinned or hid {most} fields of this tracker already",
        step="take some of these choices back first",
    )


def too_many_pages(most: int) -> ProblemError:
    return _refuse(
        409,
        "too-many-status-pages",
        f"This account has {most} status pages already",
        step="remove one that nobody needs, or change it",
    )


def no_badge(name: str) -> ProblemError:
    return _refuse(
        404,
        "badge-not-found",
        f"The tracker {name} has no badge",
        step="give it one with PUT (telemhq tracker badge)",
    )


def busy_elsewhere() -> ProblemError:
    return _refuse(
        409,
        "changed-meanwhile",
        "Somebody else changed this at the same moment",
        step="look again, and repeat the request if it is still needed",
    )


def invalid(field: str, error: UsageError) -> ProblemError:
    problem = Problem(
        type="invalid-fields",
        title=f"{field}: {error.message}",
        status=422,
        next=error.next_step,
        errors=[FieldProblem(field, error.message)],
    )
    return ProblemError(problem)


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Turn a value that a pure function refused into the problem that names its field."""
    try:
        yield
    except UsageError as error:
        raise invalid(field, error) from error


def _refuse(status: int, slug: str, title: str, *, detail: str = "", step: str) -> ProblemError:
    return ProblemError(Problem(slug, title, status, detail, step))
