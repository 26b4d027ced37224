"""What commands ask about sessions and their runs.

Every function raises RefusedError (with the server's problem) and UnreachableError, the latter also
where the server has no such routes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from telemhq_agents.contract.resources import Run, RunPage
from telemhq_agents.contract.sessions import MOST_SESSIONS, SessionPage
from telemhq_agents.delivery.client import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from telemhq_agents.delivery.client import ApiClient

    Query = Mapping[str, str | Sequence[str]]

SESSIONS = "sessions"


def sessions(
    api: ApiClient,
    query: Query,
    limit: int | None,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> SessionPage:
    """Return up to `limit` sessions, the one that was active last first; None for all of them.

    `query` is that of the usage report; `session` in it is what ids are to begin with. `told` hears
    after each page how many there are so far, of how many.
    """
    page = _page(api, query, limit, None)
    found = list(page.sessions)
    told(len(found), page.count)
    cursor = page.next_cursor
    while cursor is not None and (limit is None or len(found) < limit):
        following = _page(api, query, None if limit is None else limit - len(found), cursor)
        found += following.sessions
        cursor = following.next_cursor
        told(len(found), page.count)
    return replace(page, sessions=found, next_cursor=cursor)


def session_runs(api: ApiClient, session_id: str, query: Query) -> list[Run]:
    """Return what pings told of a session, in the order in which its responses ended."""
    path = path_of(routes.SESSION_RUNS, session_id=session_id)
    found: list[Run] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        asked = {**query, "limit": str(MOST_SESSIONS), **cursor}
        page = api.ask("GET", path, RunPage, query=asked, account=True, needs=SESSIONS)
        found += page.runs
        cursor = None if page.next_cursor is None else {"cursor": page.next_cursor}
    return sorted(found, key=lambda run: (run.ended_at, int(run.id)))


def _page(api: ApiClient, query: Query, limit: int | None, cursor: str | None) -> SessionPage:
    size = MOST_SESSIONS if limit is None else min(limit, MOST_SESSIONS)
    asked = {**query, "limit": str(size), **({} if cursor is None else {"cursor": cursor})}
    return api.ask("GET", routes.SESSIONS, SessionPage, query=asked, account=True, needs=SESSIONS)
