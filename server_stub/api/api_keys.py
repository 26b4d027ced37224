"""API keys: shown once, listed without their secret, revoked by whoever holds them."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals, shapes
from server_stub.api.caller import CurrentCaller, CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Name
from server_stub.domain.credentials import new_api_key
from server_stub.domain.naming import clean_name, read_id
from server_stub.store import users
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import resources, routes

router = APIRouter(tags=["API keys"])


class KeyDraft(BaseModel):
    """A new API key: what it is for."""

    model_config = ConfigDict(extra="forbid")

    name: Name


@router.get(routes.API_KEYS, responses=refusing(401))
def list_keys(caller: CurrentCaller, store: CurrentStore) -> list[resources.ApiKey]:
    """List your API keys, newest first, revoked ones included; `last_used_at` is to the hour."""
    with store.read() as connection:
        return [shapes.api_key(key) for key in users.keys_of(connection, caller.user_id)]


@router.post(routes.API_KEYS, status_code=201, responses=refusing(*BODY, 401))
def create_key(caller: CurrentCaller, store: CurrentStore, draft: KeyDraft) -> resources.NewApiKey:
    """Make an API key. This answer is the only one that ever holds it."""
    with refusals.naming("name"):
        name = clean_name(draft.name)
    secret = new_api_key()
    key = store.write(
        lambda connection: users.add_key(connection, caller.user_id, name, secret, now_ms())
    )
    return resources.NewApiKey(str(key.id), key.name, secret)


@router.delete(routes.API_KEY, status_code=204, responses=refusing(401, 404))
def revoke_key(key_id: str, caller: CurrentCaller, store: CurrentStore) -> None:
    """Revoke one of your API keys, at once; also the one that this request was made with."""
    number = read_id(key_id)
    if number is None or not store.write(
        lambda connection: users.revoke_key(connection, caller.user_id, number, now_ms())
    ):
        raise refusals.not_found("API key", key_id)
