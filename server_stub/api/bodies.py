"""What stands before the API: it gets a request with its body whole, of bearable size and in time.

FastAPI reads a body before it looks at who asks. Without this, anybody could fill the memory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.problems import problem_response, status_problem
from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
LARGER_BODIES = {routes.TRACKER_FILE: 1024 * 1024}
"""Paths that take more."""

PATIENCE_SECONDS = 30.0
_TOO_LARGE = 413


class WholeBodies:
    """An ASGI application that takes each request's body in before it hands it to the API.

    Bodies of more than 64 KiB (a file of trackers: 1 MiB) are answered with 413, those that do not come within
    `patience_seconds` with 408, and with 503 those that the server's end cuts off.
    """

    def __init__(self, api: ASGIApp, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._api = api
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on; a lifespan goes through untouched."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        try:
            body = await self._whole_body(scope, receive)
        except ProblemError as error:
            late = {"Connection": "close"} if error.problem.status != _TOO_LARGE else {}
            await problem_response(error.problem, late)(scope, receive, send)
            return
        if body is not None:
            await self._api(scope, _whole(body, receive), send)

    async def _whole_body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; None where the client went away before it was whole."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await _read(scope, receive)
        except TimeoutError as error:
            raise ProblemError(status_problem(408, "its body never came whole")) from error
        except asyncio.CancelledError as error:
            # The server ends, and this request with it: nothing else is left to be cancelled.
            raise ProblemError(status_problem(503, "the server is stopping")) from error


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    most = LARGER_BODIES.get(scope["path"], MAX_BODY_BYTES)
    if _told_length(scope) > most:
        raise _too_large(most)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        more = message.get("more_body", False)
    return bytes(body)


def _told_length(scope: Scope) -> int:
    # The HTTP parser has refused every Content-Length that is no number.
    told = (value for name, value in scope["headers"] if name == b"content-length")
    return int(next(told, b"0"))


def _too_large(most: int) -> ProblemError:
    detail = f"the API takes up to {most} bytes here"
    return ProblemError(status_problem(_TOO_LARGE, detail))


def _whole(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def receive_whole() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_whole
