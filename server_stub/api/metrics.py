"""Metrics for Prometheus, and the keys that open them and nothing else."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals
from server_stub.api.caller import CurrentAccount, CurrentCaller, CurrentStore, require
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Name
from server_stub.domain.credentials import new_metrics_key
from server_stub.domain.membership import Action
from server_stub.domain.naming import clean_name, read_id
from server_stub.reports.metrics import metrics_text
from server_stub.store import metrics_keys
from server_stub.store.metrics_keys import StoredMetricsKey
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.public import MetricsKey, NewMetricsKey

router = APIRouter(tags=["metrics"])

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="MetricsKey", description="A metrics key, `thqm_…`."
)
TEXT = "text/plain"


class MetricsKeyDraft(BaseModel):
    """A new metrics key: what it is for."""

    model_config = ConfigDict(extra="forbid")

    name: Name


def metrics_key(
    store: CurrentStore,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> StoredMetricsKey:
    """Return the metrics key that was sent, which must be in force."""
    if credentials is None:
        raise refusals.metrics_key_missing()
    with store.read() as connection:
        found = metrics_keys.find(connection, credentials.credentials)
    if found is None:
        raise refusals.metrics_key_unknown()
    return found


@router.get(
    routes.METRICS,
    response_class=Response,
    responses=refusing(401)
    | {200: {"content": {TEXT: {}}, "description": "Prometheus' text format, or OpenMetrics"}},
)
def show_metrics(
    request: Request,
    store: CurrentStore,
    key: Annotated[StoredMetricsKey, Depends(metrics_key)],
) -> Response:
    """Show the account's trackers, runs, tokens and cost to Prometheus."""
    body, media_type = metrics_text(store, key, request.headers.get("Accept", ""), now_ms())
    return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


@router.get(routes.METRICS_KEYS, responses=refusing(401, 403, 404))
def list_metrics_keys(acting: CurrentAccount, store: CurrentStore) -> list[MetricsKey]:
    """List the account's metrics keys, newest first, revoked ones included."""
    acting.require(Action.MANAGE_METRICS_KEYS)
    with store.read() as connection:
        found = metrics_keys.of_account(connection, acting.account_id)
    return [_shown(key) for key in found]


@router.post(routes.METRICS_KEYS, status_code=201, responses=refusing(*BODY, 401, 403, 404))
def create_metrics_key(
    acting: CurrentAccount, store: CurrentStore, body: MetricsKeyDraft
) -> NewMetricsKey:
    """Make a metrics key, which opens the account's /metrics and nothing else; shown this once."""
    acting.require(Action.MANAGE_METRICS_KEYS)
    with refusals.naming("name"):
        name = clean_name(body.name)
    secret = new_metrics_key()
    account_id = acting.account_id
    key = store.write(
        lambda connection: metrics_keys.add(connection, account_id, name, secret, now_ms())
    )
    return NewMetricsKey(str(key.id), str(account_id), key.name, secret)


@router.delete(routes.METRICS_KEY, status_code=204, responses=refusing(401, 403, 404))
def revoke_metrics_key(key_id: str, caller: CurrentCaller, store: CurrentStore) -> None:
    """Revoke a metrics key, at once."""
    open_accounts = {membership.account_id: membership for membership in caller.accounts()}
    number = read_id(key_id)
    with store.read() as connection:
        account_id = (
            None if number is None else metrics_keys.account_of(connection, number, open_accounts)
        )
    if number is None or account_id is None:
        raise refusals.not_found("metrics key", key_id)
    require(open_accounts[account_id], Action.MANAGE_METRICS_KEYS)
    store.write(lambda connection: metrics_keys.revoke(connection, number, now_ms()))


def _shown(key: StoredMetricsKey) -> MetricsKey:
    return MetricsKey(
        id=str(key.id),
        account=str(key.account_id),
        name=key.name,
        prefix=key.prefix,
        created_at=to_iso(key.created_ms),
        revoked_at=None if key.revoked_ms is None else to_iso(key.revoked_ms),
    )
