"""What commands ask about rules, assertions, schedules, changes of state and the tracker file.

Every function raises RefusedError (with the server's problem) and UnreachableError; its kind
NoSuchRouteError where the server has no such routes.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract import judging, routes
from telemhq_agents.contract.rules import Assertion
from telemhq_agents.delivery.client import path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemhq_agents.contract.rules import Schedule
    from telemhq_agents.delivery.client import ApiClient

RULES = "rules of trackers"
ASSERTIONS = "assertions"
SCHEDULES = "schedules"
TRANSITIONS = "changes of state"
FILES = "trackers as a file"


def rules(api: ApiClient, tracker_id: str) -> judging.TrackerRules:
    """Return what a tracker is judged by."""
    path = path_of(routes.TRACKER_RULES, tracker_id=tracker_id)
    return api.ask("GET", path, judging.TrackerRules, needs=RULES)


def change_rules(
    api: ApiClient, tracker_id: str, change: Mapping[str, Any], revision: int | None = None
) -> judging.TrackerRules:
    """Change some of a tracker's rules (a merge patch), at `revision` alone where that is given."""
    path = path_of(routes.TRACKER_RULES, tracker_id=tracker_id)
    headers = {} if revision is None else {"If-Match": f'"{revision}"'}
    return api.ask("PATCH", path, judging.TrackerRules, change, headers=headers, needs=RULES)


def transitions(
    api: ApiClient, tracker_id: str, *, limit: int, cursor: str | None = None
) -> judging.TransitionPage:
    """Return a page of a tracker's changes of state, newest first."""
    path = path_of(routes.TRACKER_TRANSITIONS, tracker_id=tracker_id)
    query = {"limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
    return api.ask("GET", path, judging.TransitionPage, query=query, needs=TRANSITIONS)


def assertions(api: ApiClient, tracker_id: str) -> list[Assertion]:
    """List a tracker's assertions."""
    path = path_of(routes.TRACKER_ASSERTIONS, tracker_id=tracker_id)
    return api.ask("GET", path, list[Assertion], needs=ASSERTIONS)


def add_assertion(api: ApiClient, tracker_id: str, assertion: Assertion) -> Assertion:
    """Add an assertion and return it with its id."""
    path = path_of(routes.TRACKER_ASSERTIONS, tracker_id=tracker_id)
    return api.ask("POST", path, Assertion, assertion, needs=ASSERTIONS)


def change_assertion(
    api: ApiClient, tracker_id: str, assertion_id: str, change: Mapping[str, Any]
) -> Assertion:
    """Change some of an assertion's fields."""
    path = path_of(routes.TRACKER_ASSERTION, tracker_id=tracker_id, assertion_id=assertion_id)
    return api.ask("PATCH", path, Assertion, change, needs=ASSERTIONS)


def remove_assertion(api: ApiClient, tracker_id: str, assertion_id: str) -> None:
    """Remove an assertion."""
    path = path_of(routes.TRACKER_ASSERTION, tracker_id=tracker_id, assertion_id=assertion_id)
    api.ask("DELETE", path, NoneType, needs=ASSERTIONS)


def replay(
    api: ApiClient, tracker_id: str, assertions: Sequence[Assertion] | None, runs: int
) -> judging.AssertionReplay:
    """Ask what assertions (None: the tracker's own) would have said of the latest runs."""
    path = path_of(routes.ASSERTION_REPLAY, tracker_id=tracker_id)
    asked = {"runs": runs} | ({} if assertions is None else {"assertions": list(assertions)})
    return api.ask("POST", path, judging.AssertionReplay, asked, needs=ASSERTIONS)


def suggestions(api: ApiClient, tracker_id: str) -> list[Assertion]:
    """Return assertions that a tracker's recent runs suggest."""
    path = path_of(routes.ASSERTION_SUGGESTIONS, tracker_id=tracker_id)
    return api.ask("GET", path, list[Assertion], needs=ASSERTIONS)


def explanation(api: ApiClient, schedule: Schedule, count: int) -> judging.ScheduleExplanation:
    """Return a schedule in words and its next moments."""
    query = {"timezone": schedule.timezone, "grace_s": str(schedule.grace_s), "count": str(count)}
    query |= {"cron": schedule.cron} if schedule.cron else {}
    query |= {"interval_s": str(schedule.interval_s)} if schedule.interval_s else {}
    kind = judging.ScheduleExplanation
    return api.ask("GET", routes.SCHEDULE_EXPLANATION, kind, query=query, needs=SCHEDULES)


def tracker_file(api: ApiClient, names: Sequence[str] = ()) -> judging.TrackerFile:
    """Return the account's trackers (or those of these names or ids) with their rules."""
    return api.ask(
        "GET",
        routes.TRACKER_FILE,
        judging.TrackerFile,
        query={"tracker": list(names)},
        account=True,
        needs=FILES,
    )


def apply_tracker_file(
    api: ApiClient, file: judging.TrackerFile, *, prune: bool, dry_run: bool
) -> judging.TrackerFileChanges:
    """Make the account's trackers what a file says; tell what that changes."""
    query = {"prune": str(prune).lower(), "dry_run": str(dry_run).lower()}
    kind = judging.TrackerFileChanges
    return api.ask("PUT", routes.TRACKER_FILE, kind, file, query=query, account=True, needs=FILES)
