"""The person behind an API key, and their accounts."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals, shapes
from server_stub.api.caller import CurrentCaller, CurrentStore, membership_of, require
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Name, Zone
from server_stub.domain.credentials import new_naming_key
from server_stub.domain.membership import Action, Caller
from server_stub.domain.naming import clean_name
from server_stub.domain.usage_window import find_zone
from server_stub.store import accounts, users
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import resources, routes

router = APIRouter(tags=["people"])


class MeChange(BaseModel):
    """What you may change of yourself."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    default_account: str | None = None


class AccountChange(BaseModel):
    """What a manager may change of an account: days in reports follow its time zone."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    timezone: Zone | None = None


@router.get(routes.ME, responses=refusing(401))
async def show_me(caller: CurrentCaller) -> resources.Me:
    """Tell who the API key belongs to, their accounts and the one used by default."""
    return shapes.me(caller)


@router.patch(routes.ME, responses=refusing(*BODY, 401, 403, 404))
def change_me(caller: CurrentCaller, store: CurrentStore, change: MeChange) -> resources.Me:
    """Change your name, or the account that is meant when a request names none."""
    name, default = None, None
    if change.name is not None:
        with refusals.naming("name"):
            name = clean_name(change.name)
    if change.default_account is not None:
        default = membership_of(caller, change.default_account, "account").account_id
    store.write(
        lambda connection: users.change(connection, caller.user_id, name=name, default=default)
    )
    return shapes.me(_again(store, caller))


@router.patch(routes.ACCOUNT, responses=refusing(*BODY, 401, 403, 404))
def change_account(
    account_id: str, caller: CurrentCaller, store: CurrentStore, change: AccountChange
) -> resources.Account:
    """Change an account's name or its time zone (an IANA name); managers and owners may."""
    membership = membership_of(caller, account_id, "account")
    require(membership, Action.CHANGE_ACCOUNT)
    name, zone = None, None
    if change.name is not None:
        with refusals.naming("name"):
            name = clean_name(change.name)
    if change.timezone is not None:
        with refusals.naming("timezone"):
            zone = find_zone(change.timezone).key
    number = membership.account_id
    store.write(lambda connection: accounts.change(connection, number, name=name, timezone=zone))
    return shapes.account(membership_of(_again(store, caller), account_id, "account"))


@router.get(routes.NAMING_KEY, responses=refusing(401, 403, 404))
def show_naming_key(
    account_id: str, caller: CurrentCaller, store: CurrentStore
) -> resources.NamingKey:
    """Tell the key under which an account's members hash project names; every member may ask.

    It is made the first time somebody asks and stays: names that were hashed go on to agree.
    """
    number = membership_of(caller, account_id, "account").account_id
    with store.read() as connection:
        known = accounts.naming_key(connection, number)
    if known is None:
        fresh = new_naming_key()
        known = store.write(
            lambda connection: accounts.keep_naming_key(connection, number, fresh, now_ms())
        )
    return resources.NamingKey(known)


def _again(store: Store, caller: Caller) -> Caller:
    with store.read() as connection:
        return users.look_again(connection, caller)
