"""The composition root: settings → store → services → routes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import Response

from server_stub.api.bodies import WholeBodies
from server_stub.api.documented import as_problems, failing
from server_stub.api.routers import ROUTERS
from server_stub.ingest.door import PREFIX, PingDoor
from server_stub.ingest.openapi import describe_ping_door
from server_stub.problems import PROBLEM_HANDLERS, problem_response, status_problem
from server_stub.store.engine import Store
from server_stub.workers.jobs import background
from telemhq_agents.contract.routes import HEALTH, OPENAPI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from server_stub.settings import Settings
    from server_stub.store.line import BookingLine

DESCRIPTION = "Know what your AI jobs and coding agents actually did: runs, tokens, cost, failures."


class Front:
    """The whole server as one ASGI application: pings to the door, everything else to the API."""

    def __init__(self, door: PingDoor, api: ASGIApp) -> None:
        self.door = door
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the one it is meant for."""
        pings = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self.door if pings else self._api)(scope, receive, send)


def create_app(settings: Settings, line: BookingLine | None = None) -> Front:
    """Return the server; its lifespan starts and stops the store, whose schema must be there.

    `line` leads to the process that books pings, where there is one.
    """
    store = Store(settings.database_url, line)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        store.start()
        await store.connect()
        workers = background(store, settings)
        workers.start()
        yield
        await asyncio.to_thread(workers.stop)
        await asyncio.to_thread(store.stop)

    api = FastAPI(
        title="TelemHQ",
        description=DESCRIPTION,
        version="1",
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers=PROBLEM_HANDLERS,
    )
    api.state.store = store
    api.state.settings = settings
    for router in ROUTERS:
        api.include_router(router)
    _add_health(api, store)
    _add_ping_door_to_openapi(api)
    return Front(PingDoor(store, settings), WholeBodies(api))


def _add_health(api: FastAPI, store: Store) -> None:
    @api.get(HEALTH, summary="Tell whether the server can record", responses=failing(500, 503))
    def health() -> Response:
        if store.is_well():
            return Response(b'{"ok":true}', media_type="application/json")
        return problem_response(status_problem(503, "the writer does not run"))


def _add_ping_door_to_openapi(api: FastAPI) -> None:
    generated = api.openapi

    def openapi() -> dict[str, Any]:
        return as_problems(describe_ping_door(generated()))

    api.openapi = openapi  # type: ignore[method-assign]  # - FastAPI's documented way
