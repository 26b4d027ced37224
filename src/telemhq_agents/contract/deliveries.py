"""What the API says of telling people: channels, deliveries and how each attempt went."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from telemhq_agents.contract.rules import ChannelKind


class DeliveryState(StrEnum):
    """What became of a delivery. `held`: mail waits for an SMTP server to be configured."""

    WAITING = "waiting"
    HELD = "held"
    SENT = "sent"
    GIVEN_UP = "given-up"
    WITHDRAWN = "withdrawn"


class Medium(StrEnum):
    """By what deliveries go out."""

    MAIL = "mail"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class TrackerChannel:
    """Where a tracker's alerts go, without its secret.

    `old_secret_until`: until then the secret before the present one signs too.
    """

    id: str
    kind: ChannelKind
    target: str
    signed: bool
    created_at: str
    unsubscribed_at: str | None = None
    old_secret_until: str | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A channel with the secret that signs for it: shown in this answer alone, "" without one."""

    channel: TrackerChannel
    secret: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Mail about a tracker to one's own address, once no unsubscription stops it any more.

    `again`: the kinds that had been unsubscribed from, `email` (alerts) and `summary`.
    `gets_alerts`: whether alerts go there; else others are named, and this address is not.
    """

    email: str
    again: list[str]
    gets_alerts: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one receiver. `next_at` is when it is tried (again), absent when it is done.

    `tracker` is absent for an invitation and for a test of mail. `kind` is the channel's, or `summary`.
    """

    id: str
    event: str
    kind: str
    target: str
    state: DeliveryState
    attempts: int
    created_at: str
    tracker: str | None = None
    tracker_name: str = ""
    next_at: str | None = None
    done_at: str | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """How one attempt went; `error` is empty when it arrived."""

    attempt: int
    at: str
    took_ms: int
    http_status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is sent."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    """A delivery with its attempts and what it says: a webhook's `body`, or a `mail`.

    `message_id` is what the receiver knows it by, the same at each attempt.
    """

    delivery: Delivery
    message_id: str
    log: list[DeliveryAttempt] = field(default_factory=list)
    body: dict[str, Any] | None = None
    mail: Mail | None = None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries, newest first; `next_cursor` asks for the page after, absent on the last one."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
