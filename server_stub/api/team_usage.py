"""A team's usage by member, for its managers and owners."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from server_stub.api import refusals
from server_stub.api.caller import CurrentCaller, CurrentStore, membership_of, require
from server_stub.api.documented import refusing
from server_stub.api.texts import FilterTexts, Moment
from server_stub.domain.membership import Action
from server_stub.domain.usage_window import find_zone, read_window
from server_stub.reports import team_usage
from telemhq_agents.contract import routes
from telemhq_agents.contract.team_usage import TeamUsage

router = APIRouter(tags=["teams"])


class TeamUsageQuery(BaseModel):
    """Which period, and of which projects. `project` may be repeated."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(
        None, description="A date in `timezone`, or an RFC 3339 time; as in the usage report."
    )
    until: Moment | None = Field(
        None, description="A date in `timezone`, counted to its end, or an RFC 3339 time."
    )
    timezone: str | None = Field(None, description="IANA name for dates; else the account's.")
    project: FilterTexts = Field([], description="Only these projects; empty text is 'none'.")


@router.get(routes.TEAM_USAGE, responses=refusing(401, 403, 404))
def report_team_usage(
    team_id: str,
    caller: CurrentCaller,
    store: CurrentStore,
    query: Annotated[TeamUsageQuery, Query()],
) -> TeamUsage:
    """Report what every member used and keeps running, revoked ones included; and who pays.

    For managers and owners. The sums are those of the usage report of the same period.
    """
    membership = membership_of(caller, team_id, "team")
    require(membership, Action.SEE_TEAM_USAGE)
    with refusals.naming("timezone"):
        zone = find_zone(query.timezone or membership.timezone)
    with refusals.naming("since/until"):
        window = read_window(query.since, query.until, zone)
    return team_usage.team_usage(store, membership, window, zone.key, query.project)
