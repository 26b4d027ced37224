"""Sends what waits in the outbox: claims it, hands it over, notes how that went.

Each delivery has a thread of its own while it is under way, so that a receiver that hangs holds up
nobody else; mail and webhooks are counted apart, and a receiver gets one message at a time.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from server_stub.domain.channel import WEBHOOK_KINDS, unsubscribe_token
from server_stub.domain.delivery import NO_MAIL_SERVER, Attempt
from server_stub.notify import mail, webhook
from server_stub.notify.letters import letter
from server_stub.notify.lines import Dialler
from server_stub.store import channels, deliveries, held_mail
from server_stub.store.deliveries import StoredDelivery
from telemhq_agents.clock import now_ms as present_ms
from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from server_stub.settings import Settings
    from server_stub.store.channels import StoredChannel
    from server_stub.store.deliveries import Due
    from server_stub.store.engine import Store

WEBHOOKS_AT_ONCE = 16
MAILS_AT_ONCE = 2
LOOKED_AT = 5_000
"""Of what is due: beyond the receivers of a host that hangs there are others."""

STOPPING_SECONDS = 3.0
LOG = logging.getLogger("telemhq.server")


@dataclass(frozen=True, slots=True)
class Means:
    """What sending takes besides the store: who calls, trusts, tells the time and throws dice.

    `seconds` bounds a webhook's whole attempt and every answer of the SMTP server.
    """

    dialler: Dialler
    tls: ssl.SSLContext
    seconds: float = webhook.SECONDS
    clock: Callable[[], int] = present_ms
    dice: Callable[[], float] = random.SystemRandom().random


@dataclass(slots=True)
class _Lane:
    """The deliveries of some kinds that are under way, at most `width` at once.

    Receivers that failed before have half of it, and all those of one host a quarter, so that they
    cannot hold up the others.
    """

    kinds: tuple[str, ...]
    width: int
    under_way: dict[threading.Thread, StoredDelivery] = field(default_factory=dict)

    def choose(self, due: list[Due]) -> list[Due]:
        """Take what there is room for of what is due, which begins with what was never tried."""
        hosts = Counter(_host(one.target) for one in self.under_way.values())
        again = sum(one.attempts > 0 for one in self.under_way.values())
        chosen: list[Due] = []
        for one in due:
            host = _host(one.target)
            if len(self.under_way) + len(chosen) == self.width:
                break
            full = hosts[host] >= max(1, self.width // 4)
            if full or (one.again and again >= self.width // 2):
                continue
            chosen.append(one)
            hosts[host] += 1
            again += one.again
        return chosen


def _host(target: str) -> str:
    """Return whom a webhook calls; an address of mail stands for itself."""
    with suppress(ValueError):
        return urlsplit(target).hostname or target
    return target


def usual_means(settings: Settings) -> Means:
    """Return what a server sends with: the system's resolver and its certificates."""
    tls = ssl.create_default_context()
    return Means(Dialler(settings.allow_private_webhooks, tls), tls)


class Notifier:
    """One process's share of the sending; any number of them may work on one database."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        means: Means | None = None,
        more: Callable[[], object] = lambda: None,
    ) -> None:
        """`more` is called when a delivery has ended, so that the next one need not wait."""
        self._store = store
        self._settings = settings
        self._given = means
        self._more = more
        self._lanes = (
            _Lane(WEBHOOK_KINDS, WEBHOOKS_AT_ONCE),
            _Lane(deliveries.MAIL_KINDS, MAILS_AT_ONCE),
        )
        self._changed = threading.Condition()
        self._released = False

    @cached_property
    def _means(self) -> Means:
        # Reading the certificates takes 20 ms, and many a server never sends anything.
        return self._given or usual_means(self._settings)

    def run_once(self, now_ms: int) -> int:
        """Start sending what is due, as much as may be under way; return how much was done."""
        webhooks, mails = self._lanes
        started = self._fill(webhooks, now_ms)
        if self._settings.mail is None:
            return started + self._hold(now_ms)
        if not self._released:
            released = self._store.write(lambda connection: held_mail.release(connection, now_ms))
            self._released = released == 0
            started += released
        return started + self._fill(mails, now_ms)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is under way; False where that took too long."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(lane.under_way for lane in self._lanes), seconds
            )

    def stop(self) -> None:
        """Let what is under way end, for some seconds; what does not is sent again later."""
        if not self.wait(STOPPING_SECONDS):
            LOG.warning("some deliveries did not end in time; they will be sent again")

    def _hold(self, now_ms: int) -> int:
        with self._store.read() as connection:
            some = held_mail.is_there_any(connection, now_ms)
        if not some:
            return 0
        return self._store.write(lambda connection: held_mail.hold(connection, now_ms))

    def _fill(self, lane: _Lane, now_ms: int) -> int:
        with self._store.read() as connection:
            due = deliveries.due(connection, lane.kinds, now_ms, LOOKED_AT)
        with self._changed:
            chosen = lane.choose(due)
        if not chosen:
            return 0
        worker = uuid4().hex
        claimed = self._store.write(
            lambda connection: deliveries.claim(connection, chosen, lane.kinds, worker, now_ms)
        )
        for delivery in claimed:
            self._start(lane, delivery)
        return len(claimed)

    def _start(self, lane: _Lane, delivery: StoredDelivery) -> None:
        thread = threading.Thread(
            target=self._run, args=(lane, delivery), name="telemhq-delivery", daemon=True
        )
        with self._changed:
            lane.under_way[thread] = delivery
        try:
            thread.start()
        except RuntimeError:  # the system has no thread to give; the claim runs out
            with self._changed:
                del lane.under_way[thread]
            raise

    def _run(self, lane: _Lane, delivery: StoredDelivery) -> None:
        try:
            self._deliver(delivery)
        except Exception:
            # Whatever went wrong, the claim runs out and somebody tries again.
            LOG.exception("delivery %d could not be dealt with", delivery.id)
        finally:
            with self._changed:
                del lane.under_way[threading.current_thread()]
                self._changed.notify_all()
            self._more()

    def _deliver(self, delivery: StoredDelivery) -> None:
        channel = self._channel(delivery)
        reason = _nowhere(delivery, channel)
        now_ms = self._means.clock()
        if reason:
            self._store.write(
                lambda connection: deliveries.withdraw(connection, delivery, reason, now_ms)
            )
            return
        try:
            attempt = self._attempt(delivery, channel, now_ms)
        except Exception as error:
            # A message that we cannot make must not be tried every minute for ever.
            LOG.exception("delivery %d could not be made", delivery.id)
            attempt = Attempt(now_ms, 0, f"it could not be made: {type(error).__name__}")
        dice = self._means.dice()
        self._store.write(lambda connection: deliveries.finish(connection, delivery, attempt, dice))

    def _channel(self, delivery: StoredDelivery) -> StoredChannel | None:
        if delivery.channel_id is None or delivery.tracker_id is None:
            return None
        with self._store.read() as connection:
            return channels.find(
                connection, delivery.account_id, delivery.tracker_id, delivery.channel_id
            )

    def _attempt(
        self, delivery: StoredDelivery, channel: StoredChannel | None, now_ms: int
    ) -> Attempt:
        if delivery.kind in deliveries.MAIL_KINDS:
            return self._mail(delivery, channel, now_ms)
        secrets = [] if channel is None else channel.secrets_at(now_ms)
        message_id = message_id_of(delivery)
        request = webhook.posting(delivery.target, delivery.content, message_id, secrets, now_ms)
        return webhook.send(request, self._means.dialler, now_ms, self._means.seconds)

    def _mail(
        self, delivery: StoredDelivery, channel: StoredChannel | None, now_ms: int
    ) -> Attempt:
        server = self._settings.mail
        if server is None:
            return Attempt(now_ms, 0, NO_MAIL_SERVER)
        stop_link = stop_link_of(channel, self._settings.public_url)
        made = mail.message(
            letter(delivery.content, stop_link=stop_link),
            sender=server.sender,
            receiver=delivery.target,
            message_id=message_id_of(delivery),
            born_ms=delivery.created_ms,
            stop_link=stop_link,
        )
        return mail.send(made, server, self._means.tls, now_ms, self._means.seconds)


def message_id_of(delivery: StoredDelivery) -> str:
    """Return by what receivers know a message again: the same whenever it is sent."""
    return f"msg_{delivery.id}"


def stop_link_of(channel: StoredChannel | None, public_url: str) -> str:
    """Return the link that ends mail of this kind; "" where there is none to give."""
    if channel is None or not channel.secret or not public_url:
        return ""
    token = unsubscribe_token(channel.subscription)
    return public_url + routes.UNSUBSCRIBE.format(unsubscribe_token=token)


def _nowhere(delivery: StoredDelivery, channel: StoredChannel | None) -> str:
    """Say why a delivery has nowhere to go any more; "" where it has."""
    if delivery.channel_id is None:
        return ""
    if channel is None:
        return channels.REMOVED
    if channel.unsubscribed_ms is not None:
        return channels.UNSUBSCRIBED
    removed = channel.removed_ms is not None and channel.kind in WEBHOOK_KINDS
    return channels.REMOVED if removed else ""
