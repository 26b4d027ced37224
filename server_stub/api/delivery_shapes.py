"""Channels, deliveries and their attempts as the contract's resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.channel import SIGNED_KINDS
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.deliveries import Delivery, DeliveryAttempt, TrackerChannel
from telemhq_agents.contract.rules import ChannelKind

if TYPE_CHECKING:
    from server_stub.store.channels import StoredChannel
    from server_stub.store.delivery_log import LoggedAttempt, LoggedDelivery


def channel(stored: StoredChannel, now_ms: int) -> TrackerChannel:
    until_ms = stored.secret_before_until_ms
    overlapping = until_ms is not None and now_ms < until_ms
    return TrackerChannel(
        id=str(stored.id),
        kind=ChannelKind(stored.kind),
        target=stored.target,
        signed=stored.kind in SIGNED_KINDS,
        created_at=to_iso(stored.created_ms),
        unsubscribed_at=_moment(stored.unsubscribed_ms),
        old_secret_until=_moment(until_ms) if overlapping else None,
    )


def delivery(logged: LoggedDelivery) -> Delivery:
    stored = logged.delivery
    return Delivery(
        id=str(stored.id),
        event=stored.event,
        kind=stored.kind,
        target=stored.target,
        state=stored.state,
        attempts=stored.attempts,
        created_at=to_iso(stored.created_ms),
        tracker=None if stored.tracker_id is None else str(stored.tracker_id),
        tracker_name=logged.tracker_name,
        next_at=_moment(stored.next_ms),
        done_at=_moment(stored.done_ms),
        last_error=stored.last_error,
    )


def attempt(logged: LoggedAttempt) -> DeliveryAttempt:
    return DeliveryAttempt(
        attempt=logged.attempt,
        at=to_iso(logged.at_ms),
        took_ms=logged.took_ms,
        http_status=logged.http_status,
        error=logged.error,
    )


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_iso(ms)
