"""Turns everything that can go wrong in a request into the one problem body (RFC 9457)."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from server_stub.domain.problem import ProblemError
from server_stub.near_fields import hint
from telemhq_agents.contract.problem import MEDIA_TYPE, FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.requests import Request

RETRY_AFTER_SECONDS = 2
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
"""What pydantic calls a name that a model, or a dataclass, does not know."""
LOG = logging.getLogger("telemhq.server")

STATUS_PROBLEMS = {
    400: ("bad-request", "The request cannot be read", "correct the request and send it again"),
    401: ("not-authenticated", "An API key is needed", "send one: Authorization: Bearer <API key>"),
    403: ("not-allowed", "Your role does not allow this", "ask a manager of the account"),
    404: ("not-found", "There is nothing here", "see /openapi.json for every path of this server"),
    405: ("method-not-allowed", "This method is not allowed here", "use one named in Allow"),
    408: ("body-too-slow", "The request did not come in time", "send it again, and at once"),
    413: ("body-too-large", "The body is too large", "send less"),
    415: ("unsupported-media-type", "This kind of body is not understood", "send JSON"),
    503: ("unavailable", "The server cannot answer now", "try again in a few seconds"),
}
INTERNAL = Problem(
    type="internal-error",
    title="The server failed to answer",
    status=500,
    next="try again; if it stays, see the server's log",
)


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the headers that go with a problem, its media type apart."""
    if problem.status == 401:  # noqa: PLR2004 - Unauthorized
        return {"WWW-Authenticate": "Bearer"}
    if problem.status == 503:  # noqa: PLR2004 - Service Unavailable
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that carries a problem."""
    body = json.dumps(msgspec.to_builtins(problem), ensure_ascii=False, separators=(",", ":"))
    return Response(
        # A problem may quote what it refuses, and JSON can spell halves of characters: "\ud800".
        body.encode(errors="replace"),
        status_code=problem.status,
        headers=problem_headers(problem) | dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def status_problem(status: int, detail: str = "") -> Problem:
    """Return the problem that stands for a bare HTTP status."""
    unknown = (f"http-{status}", f"The server answered {status}", "")
    slug, title, step = STATUS_PROBLEMS.get(status, unknown)
    return Problem(type=slug, title=title, status=status, detail=detail, next=step)


def validation_problem(error: RequestValidationError, route: object = None) -> Problem:
    """Return the problem that names every refused field of an API request to a route."""
    refused = [
        FieldProblem(".".join(str(part) for part in item["loc"]), _said(item, route))
        for item in error.errors()
    ]
    return Problem(
        type="invalid-fields",
        title="Some fields are not as they should be",
        status=422,
        detail="; ".join(f"{each.field}: {each.message}" for each in refused),
        next="correct the fields named in errors and send the request again",
        errors=refused,
    )


def _said(item: dict[str, Any], route: object) -> str:
    """Say what is wrong with a field; of one that nobody knows, which may be meant."""
    if item["type"] not in UNKNOWN_FIELD:
        return str(item["msg"])
    near = hint(route, item["loc"]) if isinstance(route, APIRoute) else ""
    return f"there is no such field{near}"


def _allowed(request: Request) -> list[str]:
    """Return every method that the path of a request takes."""
    routes = request.app.routes
    asked = {"type": "http", "path": request.scope["path"], "root_path": ""}
    return [
        method
        for method in METHODS
        if any(route.matches(asked | {"method": method})[0] is Match.FULL for route in routes)
    ]


async def _on_problem(_request: Request, error: ProblemError) -> Response:
    return problem_response(error.problem)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    known = STATUS_PROBLEMS.get(error.status_code)
    detail = "" if known is None or error.detail == known[1] else str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
        # The framework names the methods of one route; a path may have several.
        headers["Allow"] = ", ".join(_allowed(request))
    return problem_response(status_problem(error.status_code, detail), headers)


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    return problem_response(validation_problem(error, request.scope.get("route")))


async def _on_failure(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.scope.get("route"), exc_info=error)
    return problem_response(INTERNAL)


PROBLEM_HANDLERS: dict[
    int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]
] = {
    ProblemError: _on_problem,
    HTTPException: _on_http_exception,
    RequestValidationError: _on_invalid_request,
    Exception: _on_failure,
}
"""Exception handlers for a Starlette or FastAPI application."""
