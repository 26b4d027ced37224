"""Who is asking, and in which account: the dependencies of every authenticated route."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here. What
# only looks at the request is `async`, which spares a trip through the thread pool.

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from server_stub.api import refusals
from server_stub.domain.membership import Action, Caller, Membership, may
from server_stub.domain.naming import read_id
from server_stub.store import users
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms

if TYPE_CHECKING:
    from server_stub.settings import Settings

_BEARER = HTTPBearer(auto_error=False, description="An API key, `thq_…`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True, slots=True)
class Acting:
    """A caller in one account."""

    caller: Caller
    membership: Membership

    @property
    def account_id(self) -> int:
        """The account that this request is about."""
        return self.membership.account_id

    def require(self, action: Action) -> None:
        """Raise the problem that says which role it takes, unless the caller has it."""
        require(self.membership, action)


def require(membership: Membership, action: Action) -> None:
    """Raise the problem that says which role it takes, unless this membership has it."""
    if not may(membership.role, action):
        raise refusals.role_too_small(membership, action)


async def current_store(request: Request) -> Store:
    """Return the server's store."""
    store: Store = request.app.state.store
    return store


async def public_url(request: Request) -> str:
    """Return how clients reach this server: the setting, else as this request came in."""
    settings: Settings = request.app.state.settings
    return settings.public_url or str(request.base_url).rstrip("/")


async def default_plan(request: Request) -> str:
    """Return the plan of accounts that are made now, by its name."""
    settings: Settings = request.app.state.settings
    return settings.default_plan


CurrentStore = Annotated[Store, Depends(current_store)]
PublicUrl = Annotated[str, Depends(public_url)]
DefaultPlan = Annotated[str, Depends(default_plan)]


def possible_caller(
    store: CurrentStore, credentials: Credentials, request: Request
) -> Caller | None:
    """Return who holds the API key; None where none was sent. Any other key is refused."""
    if credentials is None:
        if request.headers.get("Authorization"):
            raise refusals.key_missing()
        return None
    now = now_ms()
    with store.read() as connection:
        found = users.find_caller(connection, credentials.credentials)
    if found is None:
        raise refusals.key_unknown()
    caller, last_used_ms = found
    if users.use_is_stale(last_used_ms, now):
        # Nobody waits for this: a reader must not fail because a note could not be written.
        store.writer.submit(lambda writing: users.note_key_use(writing, caller.key_id, now))
    return caller


async def current_caller(caller: Annotated[Caller | None, Depends(possible_caller)]) -> Caller:
    """Return who holds the API key, which must be there."""
    if caller is None:
        raise refusals.key_missing()
    return caller


PossibleCaller = Annotated[Caller | None, Depends(possible_caller)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]
AccountChoice = Annotated[
    str | None,
    Query(description="Id of the account to act in; without it, your default account."),
]


async def acting(caller: CurrentCaller, account: AccountChoice = None) -> Acting:
    """Return the caller in the account they chose, or in their default one."""
    if account is None:
        return Acting(caller, membership_of(caller, str(caller.default_account_id), "account"))
    return Acting(caller, membership_of(caller, account, "account"))


CurrentAccount = Annotated[Acting, Depends(acting)]


def membership_of(caller: Caller, account_id: str, noun: str) -> Membership:
    """Return the caller's open membership; to outsiders an account does not exist."""
    number = read_id(account_id)
    membership = None if number is None else caller.membership(number)
    if membership is None:
        raise refusals.not_found(noun, account_id)
    if not membership.active:
        raise refusals.membership_revoked(membership)
    return membership
