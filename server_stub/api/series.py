"""Charts as data, and what is left of runs that are kept no more."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import Field

from server_stub.api import refusals
from server_stub.api.caller import CurrentCaller, CurrentStore
from server_stub.api.documented import refusing
from server_stub.api.fields import checked_path
from server_stub.api.texts import Cursor, FilterText
from server_stub.api.trackers import SeenTracker
from server_stub.domain.dot_path import LONGEST_PATH
from server_stub.domain.naming import read_id
from server_stub.reports.archive import tracker_archive
from server_stub.reports.breakdown import BreakdownQuestion, tracker_breakdown
from server_stub.reports.fields import tracker_fields
from server_stub.reports.series import SeriesQuestion, tracker_series
from telemhq_agents.contract import routes
from telemhq_agents.contract.breakdown import BREAKDOWN_SCHEMA, Breakdown
from telemhq_agents.contract.series import (
    DEFAULT_CHARTED,
    MOST_CHARTED,
    MOST_FIELDS,
    SERIES_SCHEMA,
    WIDEST,
    Archive,
    Series,
)

router = APIRouter(tags=["charts"])

DEFAULT_DAYS = 90
MOST_DAYS = 1000
FieldText = Annotated[FilterText, Field(min_length=1, max_length=LONGEST_PATH)]
Fields = Annotated[
    list[FieldText] | None,
    Query(
        max_length=MOST_FIELDS,
        description="Dot paths; without any, what the tracker's fields say is charted.",
    ),
]


@router.get(
    routes.TRACKER_SERIES,
    responses=refusing(401, 403, 404) | {200: {"model": Series, "description": SERIES_SCHEMA}},
)
def show_series(  # noqa: PLR0917 - a parameter each
    tracker: SeenTracker,
    caller: CurrentCaller,
    store: CurrentStore,
    field: Fields = None,
    limit: Annotated[int, Query(ge=1, le=MOST_CHARTED)] = DEFAULT_CHARTED,
    project: Annotated[FilterText | None, Query(description="Only runs of this project.")] = None,
    width: Annotated[
        int | None,
        Query(ge=1, le=WIDEST, description="At most so many points: down-sampled where need be."),
    ] = None,
) -> Response:
    """Chart fields over the latest `limit` runs of a tracker, or as many as its plan charts.

    Gaps are null, never zero. Runs are charted as they were sent: corrections change sums only.
    """
    for one in field or ():
        checked_path(one)
    chosen = list(dict.fromkeys(field or _charted(store, tracker, caller)))
    question = SeriesQuestion(
        tracker.account_id, tracker.id, tuple(chosen), limit=limit, project=project, width=width
    )
    body = msgspec.json.encode(tracker_series(store, question))
    return Response(body, media_type="application/json")


@router.get(
    routes.TRACKER_BREAKDOWN,
    responses=refusing(401, 403, 404)
    | {200: {"model": Breakdown, "description": BREAKDOWN_SCHEMA}},
)
def show_breakdown(
    tracker: SeenTracker,
    caller: CurrentCaller,
    store: CurrentStore,
    field: Fields = None,
    limit: Annotated[int, Query(ge=1, le=MOST_CHARTED)] = MOST_CHARTED,
) -> Response:
    """Add up fields over the latest `limit` runs of a tracker, project by project.

    Runs are taken as they were sent, as in a chart: corrections are in usage reports.
    """
    for one in field or ():
        checked_path(one)
    chosen = tuple(dict.fromkeys(field or _charted(store, tracker, caller)))
    question = BreakdownQuestion(tracker.account_id, tracker.id, chosen, limit)
    body = msgspec.json.encode(tracker_breakdown(store, question))
    return Response(body, media_type="application/json")


@router.get(routes.TRACKER_ARCHIVE, responses=refusing(401, 402, 403, 404))
def show_archive(
    tracker: SeenTracker,
    store: CurrentStore,
    limit: Annotated[int, Query(ge=1, le=MOST_DAYS, description="Days.")] = DEFAULT_DAYS,
    cursor: Cursor | None = None,
) -> Archive:
    """Show what is left of runs that are kept no more: counts and dates, by UTC day."""
    before_ms = None if cursor is None else read_id(cursor)
    if cursor is not None and before_ms is None:
        raise refusals.cursor_unknown(cursor)
    return tracker_archive(store, tracker.account_id, tracker.id, before_ms=before_ms, limit=limit)


def _charted(store: CurrentStore, tracker: SeenTracker, caller: CurrentCaller) -> list[str]:
    found = tracker_fields(store, tracker.account_id, tracker.id, caller.user_id)
    return [one.field for one in found.fields if one.charted][:MOST_FIELDS]
