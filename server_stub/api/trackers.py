"""Trackers, their tracking tokens and their runs."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict

from server_stub.api import refusals, shapes
from server_stub.api.caller import (
    AccountChoice,
    CurrentAccount,
    CurrentCaller,
    CurrentStore,
    PublicUrl,
    membership_of,
    require,
)
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Cursor, Name
from server_stub.domain.credentials import new_token
from server_stub.domain.membership import Action, Membership, changing, may, seeing
from server_stub.domain.naming import clean_name, read_id
from server_stub.domain.tracker import Tracker, TrackerDraft, device_rules
from server_stub.store import runs, trackers, usage
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import resources, routes

router = APIRouter(tags=["trackers"])

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000


class TrackerName(BaseModel):
    """What a tracker is to be called: 1 to 100 characters."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class TrackerChange(BaseModel):
    """What may be changed of a tracker. `active` ends a pause."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    state: Literal["active", "paused"] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A tracker that the caller may see, and what they are to it."""

    tracker: Tracker
    membership: Membership
    own: bool


def found_tracker(
    tracker_id: str, caller: CurrentCaller, store: CurrentStore, account: AccountChoice = None
) -> Found:
    """Find a tracker that the caller may see, in any account of theirs or in the one named."""
    chosen = caller.accounts() if account is None else [membership_of(caller, account, "account")]
    open_accounts = {membership.account_id: membership for membership in chosen}
    number = read_id(tracker_id)
    with store.read() as connection:
        tracker = None if number is None else trackers.find(connection, number, open_accounts)
    if tracker is None:
        raise refusals.not_found("tracker", tracker_id)
    membership, own = open_accounts[tracker.account_id], tracker.owner_id == caller.user_id
    require(membership, seeing(own=own))
    return Found(tracker, membership, own)


FoundTracker = Annotated[Found, Depends(found_tracker)]


async def seen_tracker(found: FoundTracker) -> Tracker:
    """Return a tracker that the caller may see."""
    return found.tracker


async def changeable_tracker(found: FoundTracker) -> Tracker:
    """Return a tracker that the caller may change."""
    require(found.membership, changing(own=found.own))
    return found.tracker


SeenTracker = Annotated[Tracker, Depends(seen_tracker)]
ChangeableTracker = Annotated[Tracker, Depends(changeable_tracker)]


async def device_draft(
    device_id: Name, source: Name, acting: CurrentAccount, body: TrackerName
) -> TrackerDraft:
    """Read what a device asks for."""
    acting.require(Action.CREATE_TRACKER)
    with refusals.naming("device_id"):
        device_id = clean_name(device_id)
    with refusals.naming("source"):
        source = clean_name(source)
    with refusals.naming("name"):
        name = clean_name(body.name)
    owner_id = acting.caller.user_id
    return TrackerDraft(acting.account_id, owner_id, name, device_id, source, device_rules())


DeviceDraft = Annotated[TrackerDraft, Depends(device_draft)]


@router.post(routes.TRACKERS, status_code=201, responses=refusing(*BODY, 401, 402, 403, 404))
def create_tracker(
    acting: CurrentAccount, store: CurrentStore, public_url: PublicUrl, body: TrackerName
) -> resources.Tracker:
    """Make a tracker of your own; its `ping_url` takes runs from now on."""
    acting.require(Action.CREATE_TRACKER)
    with refusals.naming("name"):
        name = clean_name(body.name)
    draft = TrackerDraft(acting.account_id, acting.caller.user_id, name)
    created = store.write(
        lambda connection: trackers.create(connection, draft, new_token(), now_ms())
    )
    if created is None:
        raise refusals.busy_elsewhere()
    return _shown(store, created, acting.account_id, public_url)


@router.get(routes.TRACKERS, responses=refusing(401, 403, 404))
def list_trackers(
    acting: CurrentAccount, store: CurrentStore, public_url: PublicUrl
) -> list[resources.Tracker]:
    """List the account's trackers by name: a member's own, everybody's for managers and owners."""
    everybody = may(acting.membership.role, Action.SEE_ANY_TRACKER)
    owner_id = None if everybody else acting.caller.user_id
    with store.read() as connection:
        found = trackers.of_account(connection, acting.account_id, owner_id)
        counts = usage.runs_by_tracker(connection, acting.account_id)
    return [shapes.tracker(one, counts.get(one.id, 0), public_url) for one in found]


@router.get(routes.TRACKER, responses=refusing(401, 403, 404))
def show_tracker(
    tracker: SeenTracker, store: CurrentStore, public_url: PublicUrl
) -> resources.Tracker:
    """Show a tracker of any of your accounts (or of the one named by `account`)."""
    return _shown(store, tracker.id, tracker.account_id, public_url)


@router.patch(routes.TRACKER, responses=refusing(*BODY, 401, 403, 404))
def change_tracker(
    tracker: ChangeableTracker, store: CurrentStore, public_url: PublicUrl, change: TrackerChange
) -> resources.Tracker:
    """Rename, pause or resume a tracker; its owner, managers and owners may."""
    name = tracker.name
    if change.name is not None:
        with refusals.naming("name"):
            name = clean_name(change.name)
    paused = None if change.state is None else change.state == "paused"
    store.write(
        lambda connection: trackers.change(
            connection, tracker, name=name, paused=paused, now_ms=now_ms()
        )
    )
    return _shown(store, tracker.id, tracker.account_id, public_url)


@router.delete(routes.TRACKER, status_code=204, responses=refusing(401, 403, 404))
def delete_tracker(tracker: ChangeableTracker, store: CurrentStore) -> None:
    """Delete a tracker: pings are answered with 410 from now on; its sums stay in reports."""
    account_id, tracker_id = tracker.account_id, tracker.id
    store.write(lambda connection: trackers.delete(connection, account_id, tracker_id, now_ms()))


@router.post(routes.TRACKER_ROTATE, responses=refusing(401, 403, 404))
def rotate_tracking_token(
    tracker: ChangeableTracker, store: CurrentStore, public_url: PublicUrl
) -> resources.Tracker:
    """Give a tracker another `ping_url`; the one before is refused at once."""
    store.write(lambda connection: trackers.rotate(connection, tracker, new_token(), now_ms()))
    return _shown(store, tracker.id, tracker.account_id, public_url)


@router.get(routes.TRACKER_RUNS, responses=refusing(401, 403, 404))
def list_runs(
    tracker: SeenTracker,
    store: CurrentStore,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor | None = None,
) -> resources.RunPage:
    """List what a tracker received, newest arrival first; corrections and starts by their kind."""
    before_id = None if cursor is None else read_id(cursor)
    if cursor is not None and before_id is None:
        raise refusals.cursor_unknown(cursor)
    with store.read() as connection:
        found = runs.page(
            connection, tracker.account_id, tracker.id, before_id=before_id, limit=limit + 1
        )
    shown = [shapes.run(one) for one in found[:limit]]
    return resources.RunPage(shown, shown[-1].id if len(found) > limit else None)


@router.put(
    routes.DEVICE_TRACKER,
    responses=refusing(*BODY, 401, 402, 403, 404)
    | {201: {"model": resources.Tracker, "description": "The tracker was made"}},
)
def device_tracker(
    draft: DeviceDraft, store: CurrentStore, public_url: PublicUrl, response: Response
) -> resources.Tracker:
    """Get or make the one tracker that a device of yours has for a source, such as `codex`.

    `name` is used where it is made (201); an existing one (200) keeps its own.
    """
    with store.read() as connection:
        tracker = trackers.find_of_device(connection, draft)
    if tracker is None:
        tracker, made = store.write(
            lambda connection: trackers.get_or_create(connection, draft, new_token(), now_ms())
        )
        response.status_code = 201 if made else 200
    return _shown(store, tracker.id, tracker.account_id, public_url)


def _shown(store: Store, tracker_id: int, account_id: int, public_url: str) -> resources.Tracker:
    with store.read() as connection:
        tracker = trackers.find(connection, tracker_id, [account_id])
        counts = usage.runs_by_tracker(connection, account_id, tracker_id)
    if tracker is None:
        raise refusals.not_found("tracker", str(tracker_id))
    return shapes.tracker(tracker, counts.get(tracker_id, 0), public_url)
