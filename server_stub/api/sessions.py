"""Sessions of coding agents, one by one, and the runs of each."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field, WithJsonSchema

from server_stub.api import refusals, shapes
from server_stub.api.caller import CurrentAccount, CurrentStore
from server_stub.api.documented import refusing
from server_stub.api.texts import Cursor, FilterText
from server_stub.api.usage import UsageFilters, question_of
from server_stub.domain.naming import read_id
from server_stub.reports.sessions import session_page
from server_stub.store import sessions
from server_stub.store.sessions import Place
from telemhq_agents.contract import resources, routes
from telemhq_agents.contract.sessions import (
    DEFAULT_SESSIONS,
    MOST_SESSIONS,
    SESSIONS_SCHEMA,
    SessionPage,
)

router = APIRouter(tags=["usage"])

RUNS_OF_ONE = routes.SESSION_RUNS.replace("{session_id}", "{session_id:path}")
"""A session is called what its agent or job calls it, and that may hold slashes."""

PlaceText = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9A-Za-z_-]+$",
            "description": "`next_cursor` of the page before.",
        }
    ),
]


_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
_TOLD = tuple[_Number, tuple[_Number, _Text, _Text]]


class SessionsQuery(UsageFilters):
    """Which sessions, and of what: filters as in the usage report."""

    session: FilterText = Field("", description="Only sessions whose id begins like this.")
    limit: int = Field(DEFAULT_SESSIONS, ge=1, le=MOST_SESSIONS)
    cursor: PlaceText | None = None


class SessionRunsQuery(UsageFilters):
    """Whose session it is, and which page of its runs."""

    limit: int = Field(DEFAULT_SESSIONS, ge=1, le=MOST_SESSIONS)
    cursor: Cursor | None = None


@router.get(
    routes.SESSIONS,
    responses=refusing(401, 403, 404)
    | {200: {"model": SessionPage, "description": SESSIONS_SCHEMA}},
)
def list_sessions(
    acting: CurrentAccount, store: CurrentStore, query: Annotated[SessionsQuery, Query()]
) -> SessionPage:
    """List sessions, the one that was active last first; together they are the usage report.

    Times are exact to the quarter-hour. What belongs to no session is in `outside` alone.
    """
    question, _ = question_of(acting, store, query)
    after = None if query.cursor is None else _read(query.cursor)
    return session_page(
        store, question, prefix=query.session, after=after, limit=query.limit, written=_written
    )


@router.get(RUNS_OF_ONE, responses=refusing(401, 403, 404))
def list_session_runs(
    session_id: FilterText,
    acting: CurrentAccount,
    store: CurrentStore,
    query: Annotated[SessionRunsQuery, Query()],
) -> resources.RunPage:
    """List what pings told of a session, newest arrival first; corrections by their kind.

    Only runs that the account's plan still keeps.
    """
    question, _ = question_of(acting, store, query)
    before_id = None if query.cursor is None else read_id(query.cursor)
    if query.cursor is not None and before_id is None:
        raise refusals.cursor_unknown(query.cursor)
    with store.read() as connection:
        found = sessions.runs_of(
            connection, question, session_id, before_id=before_id, limit=query.limit + 1
        )
    if found is None:
        raise refusals.not_found("session", session_id)
    shown = [shapes.run(one) for one in found[: query.limit]]
    return resources.RunPage(shown, shown[-1].id if len(found) > query.limit else None)


def _written(place: Place) -> str:
    told = msgspec.json.encode((place.latest_ms, place.name))
    return urlsafe_b64encode(told).decode().rstrip("=")


def _read(cursor: str) -> Place:
    try:
        told = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        latest_ms, name = msgspec.json.decode(told, type=_TOLD)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise refusals.cursor_unknown(cursor) from error
    return Place(latest_ms, name)
