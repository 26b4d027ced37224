"""What commands ask about channels and deliveries.

Every function raises RefusedError (with the server's problem) and UnreachableError, the latter also
where the server has no such routes.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from telemhq_agents.contract.deliveries import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    Medium,
    NewSecret,
    Subscribed,
    TrackerChannel,
)
from telemhq_agents.delivery.client import path_of

if TYPE_CHECKING:
    from telemhq_agents.contract.deliveries import DeliveryState
    from telemhq_agents.contract.rules import ChannelKind
    from telemhq_agents.delivery.client import ApiClient

CHANNELS = "channels of alerts"
DELIVERIES = "deliveries"
LARGEST_PAGE = 1000


def channels(api: ApiClient, tracker_id: str) -> list[TrackerChannel]:
    """List where a tracker's alerts go."""
    path = path_of(routes.TRACKER_CHANNELS, tracker_id=tracker_id)
    return api.ask("GET", path, list[TrackerChannel], needs=CHANNELS)


def add_channel(api: ApiClient, tracker_id: str, kind: ChannelKind, target: str) -> NewSecret:
    """Let alerts go there too; only this answer holds the secret."""
    path = path_of(routes.TRACKER_CHANNELS, tracker_id=tracker_id)
    draft = {"kind": kind.value, "target": target}
    return api.ask("POST", path, NewSecret, draft, needs=CHANNELS)


def remove_channel(api: ApiClient, tracker_id: str, channel_id: str) -> None:
    """Let alerts no longer go there."""
    path = path_of(routes.CHANNEL, tracker_id=tracker_id, channel_id=channel_id)
    api.ask("DELETE", path, NoneType, needs=CHANNELS)


def rotate_secret(api: ApiClient, tracker_id: str, channel_id: str) -> NewSecret:
    """Give a webhook another secret; only this answer holds it."""
    path = path_of(routes.CHANNEL_ROTATE, tracker_id=tracker_id, channel_id=channel_id)
    return api.ask("POST", path, NewSecret, needs=CHANNELS)


def try_channel(api: ApiClient, tracker_id: str, channel_id: str) -> Delivery:
    """Send a message that says it is a test."""
    path = path_of(routes.CHANNEL_TEST, tracker_id=tracker_id, channel_id=channel_id)
    return api.ask("POST", path, Delivery, needs=CHANNELS)


def try_mail(api: ApiClient) -> Delivery:
    """Mail a test to one's own address."""
    return api.ask("POST", routes.MAIL_TEST, Delivery, account=True, needs="tests of mail")


def subscribe(api: ApiClient, tracker_id: str) -> Subscribed:
    """Take back that one's own address unsubscribed from mail about a tracker."""
    path = path_of(routes.TRACKER_SUBSCRIBE, tracker_id=tracker_id)
    return api.ask("POST", path, Subscribed, needs="subscribing again")


def deliveries(
    api: ApiClient,
    by: Medium,
    *,
    limit: int,
    tracker_id: str | None = None,
    state: DeliveryState | None = None,
) -> list[Delivery]:
    """Return up to `limit` deliveries, newest first."""
    query: dict[str, str] = {"by": by.value}
    query |= {} if tracker_id is None else {"tracker": tracker_id}
    query |= {} if state is None else {"state": state.value}
    found: list[Delivery] = []
    while len(found) < limit:
        query["limit"] = str(min(limit - len(found), LARGEST_PAGE))
        page = api.ask(
            "GET", routes.DELIVERIES, DeliveryPage, query=query, account=True, needs=DELIVERIES
        )
        found += page.deliveries
        if page.next_cursor is None:
            break
        query["cursor"] = page.next_cursor
    return found


def delivery(api: ApiClient, delivery_id: str) -> DeliveryDetail:
    """Return what a delivery says and how each attempt went."""
    path = path_of(routes.DELIVERY, delivery_id=delivery_id)
    return api.ask("GET", path, DeliveryDetail, needs=DELIVERIES)


def redeliver(api: ApiClient, delivery_id: str) -> Delivery:
    """Send a delivery once more."""
    path = path_of(routes.DELIVERY_AGAIN, delivery_id=delivery_id)
    return api.ask("POST", path, Delivery, needs=DELIVERIES)
