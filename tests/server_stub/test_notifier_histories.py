"""Whatever receivers, clocks and workers do: nothing is lost, nothing is sent once it is done."""

from __future__ import annotations

import random
import ssl
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from server_stub.domain.channel import WEBHOOK_KINDS
from server_stub.notify.lines import Dialler
from server_stub.notify.notifier import Means, Notifier
from server_stub.settings import Settings
from server_stub.store import deliveries
from tests.server_stub.outbox import NOW_MS, Outbox, failed, recovered
from tests.server_stub.receivers import Receiver, answering, dropping, receiving

if TYPE_CHECKING:
    import socket

    from server_stub.store.engine import Store

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
STEPS = 60
DONE = {"sent", "given-up", "withdrawn"}


class Story:
    """One history: alerts are made, workers work or die, the clock jumps, receivers change."""

    def __init__(self, store: Store, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now_ms = NOW_MS
        self.outbox = Outbox(store).open()
        self.failing = False
        self.mood = answering()
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.after_done: list[str] = []
        self.done: set[str] = set()

    def behave(self, receiver: Receiver, connected: socket.socket) -> None:
        # Looked up before the answer goes out: once it has, the sender may be quicker than we are.
        done, before = self.done, len(receiver.requests)
        self.mood(receiver, connected)
        request = receiver.requests[before]
        message_id = request.headers["webhook-id"]
        self.bodies[message_id].add(request.body)
        if message_id in done:
            self.after_done.append(message_id)

    def notifier(self) -> Notifier:
        settings = Settings("", allow_private_webhooks=True)
        dialler = Dialler(allow_private=True, tls=NO_TLS)
        means = Means(dialler, NO_TLS, 5.0, lambda: self.now_ms, self.dice.random)
        return Notifier(self.outbox.store, settings, means)

    def step(self) -> None:
        match self.dice.choice(["alert", "work", "work", "time", "back", "die", "mood"]):
            case "alert":
                made = recovered if self.failing else failed
                wait_ms = self.dice.choice([0, 0, 60_000])
                self.outbox.note(made(at=self.now_ms, deliver=self.now_ms + wait_ms))
                self.failing = not self.failing
            case "work":
                self.work(self.notifier())
            case "time":
                self.now_ms += self.dice.choice([1_000, 60_000, 3_600_000])
            case "back":
                self.now_ms -= self.dice.choice([1_000, 3_600_000])
            case "die":
                self.claim_and_die()
            case _:
                moods = [answering(), answering("500 Oops"), answering("410 Gone"), dropping]
                self.mood = self.dice.choice(moods)

    def work(self, notifier: Notifier) -> None:
        notifier.run_once(self.now_ms)
        assert notifier.wait(15)
        self.done = {
            f"msg_{row['id']}" for row in self.outbox.rows("deliveries") if row["state"] in DONE
        }

    def claim_and_die(self) -> None:
        store, kinds = self.outbox.store, WEBHOOK_KINDS
        with store.read() as connection:
            due = deliveries.due(connection, kinds, self.now_ms, 5)
        if due:
            store.write(
                lambda connection: deliveries.claim(connection, due, kinds, "dead", self.now_ms)
            )

    def come_to_an_end(self) -> None:
        """Let days pass in which everything works."""
        self.mood = answering()
        for _ in range(60):
            self.now_ms += 3_600_000
            self.work(self.notifier())
            if all(row["state"] in DONE for row in self.outbox.rows("deliveries")):
                return


@pytest.mark.parametrize("seed", range(6))
def test_every_delivery_comes_to_an_end_and_is_not_sent_after_it(store: Store, seed: int) -> None:
    story = Story(store, seed)
    with receiving(story.behave) as receiver:
        story.outbox.webhooks(receiver.url)
        for _ in range(STEPS):
            story.step()
        story.come_to_an_end()

    rows = story.outbox.rows("deliveries")
    assert rows
    assert {row["state"] for row in rows} <= DONE
    sent = {f"msg_{row['id']}" for row in rows if row["state"] == "sent"}
    withdrawn = {f"msg_{row['id']}" for row in rows if row["state"] == "withdrawn"}
    assert sent <= set(story.bodies)
    assert not withdrawn & set(story.bodies)
    assert all(len(bodies) == 1 for bodies in story.bodies.values())
    assert story.after_done == []
    logged: dict[int, int] = defaultdict(int)
    for attempt in story.outbox.rows("delivery_attempts"):
        logged[attempt["delivery_id"]] += 1
    assert {row["id"]: row["attempts"] for row in rows if row["attempts"]} == dict(logged)
    alerts = story.outbox.rows("alerts")
    told = {row["alert_id"] for row in rows}
    assert {one["id"] for one in alerts if not one["withheld"]} <= told
