"""What commands ask about a team's usage, as its managers see it.

Raises RefusedError (with the server's problem) and UnreachableError; its kind NoSuchRouteError where
the server has no such route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from telemhq_agents.contract.team_usage import TeamUsage
from telemhq_agents.delivery.client import path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.delivery.client import ApiClient

TEAM_USAGE = "the usage of a team's members"


def team_usage(api: ApiClient, team_id: str, query: Mapping[str, str]) -> TeamUsage:
    """Return what every member of a team used; `query` is `since`, `until`, `timezone`, `project`."""
    path = path_of(routes.TEAM_USAGE, team_id=team_id)
    return api.ask("GET", path, TeamUsage, query=query, needs=TEAM_USAGE)
