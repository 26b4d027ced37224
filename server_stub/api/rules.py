"""What trackers are judged by, and how that changed their state."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt

from server_stub.api import refusals, shapes
from server_stub.api.caller import CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.sound import SoundAssertion, SoundChannel, SoundRules, SoundWindow
from server_stub.api.texts import Cursor
from server_stub.api.trackers import (
    DEFAULT_PAGE,
    LARGEST_PAGE,
    ChangeableTracker,
    SeenTracker,
)
from server_stub.domain.judging import judge_of
from server_stub.domain.naming import read_id
from server_stub.domain.rules import check_rules, write
from server_stub.domain.tracker import Tracker
from server_stub.domain.tracker_file import with_known_ids
from server_stub.store import rules, transitions
from server_stub.store.engine import Store
from server_stub.store.rules import StoredRules
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import judging, routes
from telemhq_agents.contract.rules import (
    Every,
    Overlap,
    Rules,
)

router = APIRouter(tags=["rules"])

ATTEMPTS = 10
_ETAG = re.compile(r'\s*(?:W/)?"([0-9]{1,19})"\s*')
NO_REVISION = -1


class ScheduleChange(BaseModel):
    """Some fields of a schedule."""

    model_config = ConfigDict(extra="forbid")

    cron: str | None = None
    interval_s: StrictInt | None = None
    timezone: str | None = None
    grace_s: StrictInt | None = None


class AlertingChange(BaseModel):
    """Some fields of alerting; `channels` are replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    muted: StrictBool | None = None
    repeat_s: StrictInt | None = None
    least_gap_s: StrictInt | None = None
    quiet_from: str | None = None
    quiet_until: str | None = None
    timezone: str | None = None
    channels: list[SoundChannel] | None = None


class SummaryChange(BaseModel):
    """Some fields of the summary."""

    model_config = ConfigDict(extra="forbid")

    every: Every | None = None
    hour: StrictInt | None = None
    timezone: str | None = None


class RulesChange(BaseModel):
    """What is to change of the rules (RFC 7396): null sets a field back to its default.

    `schedule`, `alerting` and `summary` are changed field by field, lists are replaced.
    """

    model_config = ConfigDict(extra="forbid")

    schedule: ScheduleChange | None = None
    assertions: list[SoundAssertion] | None = None
    fail_on_status: StrictBool | None = None
    failures_to_fail: StrictInt | None = None
    successes_to_recover: StrictInt | None = None
    min_duration_ms: StrictInt | None = None
    max_duration_ms: StrictInt | None = None
    overlap: Overlap | None = None
    snoozed_until: str | None = None
    maintenance: list[SoundWindow] | None = None
    alerting: AlertingChange | None = None
    summary: SummaryChange | None = None


async def expected_revision(
    if_match: Annotated[
        str | None,
        Header(description="The revision that you read, as `ETag` gave it: any other answers 412."),
    ] = None,
) -> int | None:
    """Return the revision that the request is about, None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match)
    return int(found[1]) if found else NO_REVISION


ExpectedRevision = Annotated[int | None, Depends(expected_revision)]


@router.get(routes.TRACKER_RULES, responses=refusing(401, 403, 404))
def show_rules(
    tracker: SeenTracker, store: CurrentStore, response: Response
) -> judging.TrackerRules:
    """Show what a tracker is judged by; `ETag` holds the revision."""
    return _shown(stored_rules(store, tracker), response)


@router.put(routes.TRACKER_RULES, responses=refusing(*BODY, 401, 402, 403, 404, 409, 412))
def replace_rules(
    tracker: ChangeableTracker,
    store: CurrentStore,
    expected: ExpectedRevision,
    body: SoundRules,
    response: Response,
) -> judging.TrackerRules:
    """Replace what a tracker is judged by; what is left out has its default.

    An assertion without an id takes that of its like in the rules before.
    """
    return _shown(change_rules(store, tracker, lambda _: body, expected), response)


@router.patch(routes.TRACKER_RULES, responses=refusing(*BODY, 401, 402, 403, 404, 409, 412))
def change_some_rules(
    tracker: ChangeableTracker,
    store: CurrentStore,
    expected: ExpectedRevision,
    change: RulesChange,
    response: Response,
) -> judging.TrackerRules:
    """Change some of what a tracker is judged by."""
    patch = change.model_dump(exclude_unset=True)

    def patched(before: Rules) -> Rules:
        return msgspec.convert(merged(msgspec.to_builtins(before), patch), Rules)

    return _shown(change_rules(store, tracker, patched, expected), response)


@router.get(routes.TRACKER_TRANSITIONS, responses=refusing(401, 403, 404))
def list_transitions(
    tracker: SeenTracker,
    store: CurrentStore,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor | None = None,
) -> judging.TransitionPage:
    """List how a tracker's state changed and why, newest first."""
    before_id = None if cursor is None else read_id(cursor)
    if cursor is not None and before_id is None:
        raise refusals.cursor_unknown(cursor)
    with store.read() as connection:
        found = transitions.page(
            connection, tracker.account_id, tracker.id, before_id=before_id, limit=limit + 1
        )
    shown = [shapes.transition(one) for one in found[:limit]]
    return judging.TransitionPage(shown, shown[-1].id if len(found) > limit else None)


def stored_rules(store: Store, tracker: Tracker) -> StoredRules:
    """Return a tracker's rules as they are now. Raises the problem that says that it is gone."""
    with store.read() as connection:
        found = rules.read(connection, tracker.account_id, tracker.id)
    if found is None:
        raise refusals.not_found("tracker", str(tracker.id))
    return found


def change_rules(
    store: Store, tracker: Tracker, edit: Callable[[Rules], Rules], expected: int | None = None
) -> StoredRules:
    """Judge a tracker by what `edit` makes of its rules; it may be called more than once.

    Raises the problem that names every wrong field (422), 412 where the rules are not at the
    `expected` revision, 409 where others change them all the time, whatever `edit` raises.
    """
    for _ in range(ATTEMPTS):
        before = stored_rules(store, tracker)
        if expected not in {None, before.revision}:
            raise refusals.rules_changed_meanwhile(before.revision)
        wanted = checked(edit(before.rules), before.rules)
        saved = store.write(
            partial(
                rules.save,
                tracker=tracker,
                rules=wanted,
                expected_revision=before.revision,
                now_ms=now_ms(),
            )
        )
        if saved is not None:
            return saved
    raise refusals.busy_elsewhere()


def checked(wanted: Rules, before: Rules) -> Rules:
    """Return rules as they are to be stored, their assertions with ids.

    Raises the problem that names each wrong field.
    """
    whole = check_rules(with_known_ids(wanted, before.assertions))
    # Prepared here, so that the writer finds it done.
    judge_of(write(whole))
    return whole


def merged(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return a document with a merge patch (RFC 7396) in it; what null takes out has its default."""
    changed = dict(document)
    for name, value in patch.items():
        if value is None:
            changed.pop(name, None)
        elif isinstance(value, dict):
            changed[name] = merged(changed.get(name) or {}, value)
        else:
            changed[name] = value
    return changed


def _shown(stored: StoredRules, response: Response) -> judging.TrackerRules:
    response.headers["ETag"] = f'"{stored.revision}"'
    return shapes.rules(stored)
