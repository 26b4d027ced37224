"""Badges: a tracker's name and state as a picture, at an address that nobody can guess."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from fastapi import APIRouter

from server_stub.api import refusals
from server_stub.api.caller import CurrentStore, PublicUrl
from server_stub.api.documented import refusing
from server_stub.api.trackers import ChangeableTracker, SeenTracker
from server_stub.domain.credentials import new_token
from server_stub.domain.tracker import Tracker
from server_stub.store import public
from server_stub.store.public import StoredBadge
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.public import Badge

router = APIRouter(tags=["status pages"])


@router.get(routes.TRACKER_BADGE, responses=refusing(401, 403, 404))
def show_badge(tracker: SeenTracker, store: CurrentStore, public_url: PublicUrl) -> Badge:
    """Show where a tracker's badge is; 404 for a tracker that has none."""
    with store.read() as connection:
        badge = public.badge_of(connection, tracker.account_id, tracker.id)
    if badge is None:
        raise refusals.no_badge(tracker.name)
    return _shown(tracker, badge, public_url)


@router.put(routes.TRACKER_BADGE, responses=refusing(401, 403, 404))
def give_badge(tracker: ChangeableTracker, store: CurrentStore, public_url: PublicUrl) -> Badge:
    """Give a tracker a badge; whoever knows its `url` sees the tracker's name and state."""
    token = new_token()
    badge = store.write(
        lambda connection: public.give_badge(
            connection, tracker.account_id, tracker.id, token, now_ms()
        )
    )
    return _shown(tracker, badge, public_url)


@router.delete(routes.TRACKER_BADGE, status_code=204, responses=refusing(401, 403, 404))
def take_badge(tracker: ChangeableTracker, store: CurrentStore) -> None:
    """Take a tracker's badge away, for ever: another one has another address."""
    store.write(lambda connection: public.take_badge(connection, tracker.account_id, tracker.id))


def _shown(tracker: Tracker, badge: StoredBadge, public_url: str) -> Badge:
    url = public_url + routes.PUBLIC_BADGE.format(public_token=badge.public_token)
    return Badge(
        tracker=str(tracker.id),
        url=url,
        markdown=f"![{_plain(tracker.name)}]({url})",
        created_at=to_iso(badge.created_ms),
    )


def _plain(name: str) -> str:
    """Write a name so that Markdown reads it as text."""
    return "".join(f"\\{letter}" if letter in "\\[]`*_<>!" else letter for letter in name)
