"""What needs no login: status pages, their data, and badges; for whoever knows the address."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

import hashlib
import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from server_stub.api.caller import CurrentStore
from server_stub.api.documented import refusing
from server_stub.domain.problem import ProblemError
from server_stub.reports.badge import badge_svg
from server_stub.reports.pages import style_policy
from server_stub.reports.status_page import STYLE, public_status, status_html
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.public import PublicStatus

router = APIRouter(tags=["public"])

FRESH_S = 60
TOKEN = re.compile(r"[A-Za-z0-9_-]{24}")
DATA_NAME = routes.PUBLIC_STATUS_DATA.rpartition("/")[2]
SVG = "image/svg+xml"
HEADERS = {
    "Cache-Control": f"public, max-age={FRESH_S}",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "What `If-None-Match` names is still so"}
}

PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {SVG: {}}, "description": "A tracker's name and state"}
}


async def public_token_of(public_token: str) -> str:
    """Read the token of a public address: anything that cannot be one is unknown."""
    if not TOKEN.fullmatch(public_token):
        raise _unknown()
    return public_token


Token = Annotated[str, Depends(public_token_of)]


@router.get(routes.PUBLIC_STATUS, response_class=HTMLResponse, responses=refusing(404) | UNCHANGED)
@router.head(routes.PUBLIC_STATUS, response_class=HTMLResponse, responses=refusing(404) | UNCHANGED)
def show_status_page(token: Token, store: CurrentStore, request: Request) -> Response:
    """Show a status page to people: plain HTML, at most a minute old."""
    status = _found(public_status(store, token, now_ms()))
    page = status_html(status, f"{token}/{DATA_NAME}")
    more = {"Content-Security-Policy": style_policy(STYLE)}
    return _cached(request, page.encode(), "text/html; charset=utf-8", more)


@router.get(
    routes.PUBLIC_STATUS_DATA,
    responses=refusing(404) | UNCHANGED | {200: {"model": PublicStatus, "description": "As data"}},
)
@router.head(routes.PUBLIC_STATUS_DATA, responses=refusing(404) | UNCHANGED)
def show_status_data(token: Token, store: CurrentStore, request: Request) -> Response:
    """Show a status page to programs."""
    status = _found(public_status(store, token, now_ms()))
    more = {"Access-Control-Allow-Origin": "*"}
    return _cached(request, msgspec.json.encode(status), "application/json", more)


@router.get(
    routes.PUBLIC_BADGE,
    response_class=Response,
    responses=refusing(404) | UNCHANGED | PICTURE,
)
@router.head(
    routes.PUBLIC_BADGE, response_class=Response, responses=refusing(404) | UNCHANGED | PICTURE
)
def show_badge(token: Token, store: CurrentStore, request: Request) -> Response:
    """Show the state of a tracker as a picture, at most a minute old."""
    svg = badge_svg(store, token)
    if svg is None:
        raise _unknown()
    more = {"Content-Security-Policy": "default-src 'none'"}
    return _cached(request, svg.encode(), SVG, more)


def _found(status: PublicStatus | None) -> PublicStatus:
    if status is None:
        raise _unknown()
    return status


def _cached(request: Request, body: bytes, media_type: str, more: dict[str, str]) -> Response:
    """Answer with a body that caches may keep, or with the word that theirs is still good."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = HEADERS | {"ETag": tag} | more
    known = {one.strip().removeprefix("W/") for one in _if_none_match(request).split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _if_none_match(request: Request) -> str:
    return request.headers.get("If-None-Match", "")


def _unknown() -> ProblemError:
    return ProblemError(
        Problem(
            type="address-unknown",
            title="There is nothing at this address",
            status=404,
            next="see that the address is whole; what was here may have been taken down",
        )
    )
