"""What commands ask about a tracker's figures: its fields, their series, their sums by project.

Every function raises RefusedError (with the server's problem) and UnreachableError; its kind
NoSuchRouteError where the server has no such routes.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from telemhq_agents.contract.breakdown import Breakdown
from telemhq_agents.contract.series import Archive, FieldChoice, Series, TrackerFields
from telemhq_agents.delivery.client import path_of
from telemhq_agents.errors import NoSuchRouteError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.series import Choice
    from telemhq_agents.delivery.client import ApiClient

CHARTS = "charts"
NOT_IN_PLAN = 402
BREAKDOWNS = "breakdowns by project"


def fields(api: ApiClient, tracker_id: str, *, runs: int) -> TrackerFields:
    """Return the numeric fields of a tracker's latest runs, up to 1,000 of them."""
    path = path_of(routes.TRACKER_FIELDS, tracker_id=tracker_id)
    return api.ask("GET", path, TrackerFields, query={"runs": str(runs)}, needs=CHARTS)


def choose(api: ApiClient, tracker_id: str, field: str, choice: Choice | None) -> None:
    """Pin or hide a field for oneself; None takes that back."""
    path = path_of(routes.TRACKER_FIELD, tracker_id=tracker_id, field=field)
    if choice is None:
        api.ask("DELETE", path, NoneType, needs=CHARTS)
    else:
        api.ask("PUT", path, NoneType, FieldChoice(choice), needs=CHARTS)


def series(
    api: ApiClient,
    tracker_id: str,
    *,
    fields: Sequence[str],
    limit: int,
    project: str | None = None,
    width: int | None = None,
) -> Series:
    """Return fields of the latest `limit` runs; no fields are those charted for oneself.

    With `width` at most so many points: averages and extremes of neighbouring runs.
    """
    path = path_of(routes.TRACKER_SERIES, tracker_id=tracker_id)
    query: dict[str, str | Sequence[str]] = {"limit": str(limit)}
    if fields:
        query["field"] = list(fields)
    if project is not None:
        query["project"] = project
    if width is not None:
        query["width"] = str(width)
    return api.ask("GET", path, Series, query=query, needs=CHARTS)


def archive(api: ApiClient, tracker_id: str) -> Archive | None:
    """Return what is left of runs that are kept no more; None where the plan or server has none."""
    path = path_of(routes.TRACKER_ARCHIVE, tracker_id=tracker_id)
    try:
        return api.ask("GET", path, Archive, query={"limit": "1"}, needs=CHARTS)
    except NoSuchRouteError:
        return None
    except RefusedError as error:
        if error.status == NOT_IN_PLAN:
            return None
        raise


def breakdown(api: ApiClient, tracker_id: str, *, fields: Sequence[str], limit: int) -> Breakdown:
    """Return fields of the latest `limit` runs, added up by project."""
    path = path_of(routes.TRACKER_BREAKDOWN, tracker_id=tracker_id)
    query: dict[str, str | Sequence[str]] = {"limit": str(limit)}
    if fields:
        query["field"] = list(fields)
    return api.ask("GET", path, Breakdown, query=query, needs=BREAKDOWNS)
