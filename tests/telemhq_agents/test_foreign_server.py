"""From logs to a server: ours, and one that takes every ping for a run and corrects nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from telemhq_agents.contract.ping import Receipt
from telemhq_agents.credentials import Credentials, Destination
from telemhq_agents.delivery.client import PingSender
from telemhq_agents.delivery.outbox import deliver
from telemhq_agents.ledger.records import OutboxState
from telemhq_agents.usage import TurnStatus
from tests.telemhq_agents.doors import CAPABLE
from tests.telemhq_agents.history import BORN, QUARTER, ended, fact, turn
from tests.telemhq_agents.model_server import ModelServer
from tests.telemhq_agents.test_ledger_sums import MINUTE, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME = Destination("elsewhere", "http://telemhq.test/ping/secret", "claude")


class Sending(Machine):
    """A machine whose outbox is emptied by the code that empties it anywhere."""

    def deliver(self) -> None:
        with PingSender(transport=httpx.MockTransport(self._answer)) as sender:
            held = Credentials(destinations={HOME.id: HOME})
            deliver(self.ledger, sender, held, now_ms=lambda: self.now)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            described = CAPABLE if self.server.deduplicates else {"message": "POST here"}
            return httpx.Response(200, json=described)
        key = request.headers["Idempotency-Key"]
        known, recorded = self.server.receive(key, request.content)
        receipt = Receipt("1", "now", duplicate=known, recorded=recorded)
        return httpx.Response(200, content=msgspec.json.encode(receipt))

    def settle(self) -> None:
        self.now += 90 * MINUTE
        for _ in range(20):
            self.deliver()
            if not self.queue():
                return
        pytest.fail("the ledger goes on correcting for ever")


@pytest.fixture(params=[True, False], ids=["our server", "a foreign server"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sending]:
    machine = Sending(ModelServer(deduplicates=request.param), tmp_path)
    machine.send_to(HOME.id, 0)
    yield machine
    machine.ledger.close()


def tokens(server: ModelServer) -> int:
    return sum(figures.get("total_tokens", 0) for figures in server.sums().values())


def test_told_first_and_coalesced_after_everything_counts_once(machine: Sending) -> None:
    for number in range(3):
        at = BORN + number * MINUTE
        machine.read(
            fact(f"f{number}", turn=f"t{number}", at_ms=at), ended(f"t{number}", started_ms=at)
        )
    machine.settle()
    before = list(machine.server.accepted)

    machine.coalesce(5)
    machine.settle()
    assert machine.server.accepted == before

    machine.coalesce(0)
    machine.settle()
    machine.ledger.book(machine.everything())
    machine.settle()
    assert machine.server.accepted == before
    assert machine.server.sums() == machine.truth.sums()


def test_at_no_moment_does_a_change_of_windows_take_away_what_was_told(machine: Sending) -> None:
    machine.read(fact("a"), ended())
    machine.now += MINUTE
    machine.queue()
    machine.deliver()
    next_quarter = BORN + QUARTER

    machine.coalesce(15)
    machine.read(fact("b", turn="t2", at_ms=BORN + 50_000), ended("t2", started_ms=BORN))
    machine.read(fact("c", turn="t3", at_ms=next_quarter), ended("t3", started_ms=next_quarter))
    seen = []
    for _ in range(45):
        machine.now += MINUTE
        machine.queue()
        machine.deliver()
        seen.append(tokens(machine.server))

    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (220, 330)
    assert machine.server.sums() == machine.truth.sums()


def test_two_sessions_at_once_are_each_told_when_they_are_over(machine: Sending) -> None:
    machine.read(fact("a", session_id="s1", thread_id=""), turn("t1", thread_id=""))
    machine.read(
        fact("b", turn="t2", session_id="s2", thread_id="", at_ms=BORN + 1000),
        turn("t2", session_id="s2", thread_id="", started_ms=BORN + 1000),
    )
    for _ in range(10):
        machine.now += MINUTE
        machine.queue()
        machine.deliver()
    machine.read(fact("a2", session_id="s1", thread_id="", at_ms=BORN + 9 * MINUTE))
    for session in ("1", "2"):
        machine.read(
            ended(f"t{session}", session_id=f"s{session}", thread_id="", at_ms=BORN + 9 * MINUTE)
        )
    machine.settle()

    assert tokens(machine.server) == 330
    assert machine.ledger.counts().parked == 0
    assert machine.server.sums() == machine.truth.sums()


def test_a_foreign_server_gets_a_window_once_and_nothing_is_kept_for_it(tmp_path: Path) -> None:
    server = ModelServer(deduplicates=False)
    machine = Sending(server, tmp_path)
    machine.send_to(HOME.id, 0)
    machine.coalesce(5)
    for number in range(3):
        at = BORN + number * MINUTE
        status = TurnStatus.ERROR if number else TurnStatus.SUCCESS
        machine.read(
            fact(f"f{number}", turn=f"t{number}", at_ms=at),
            ended(f"t{number}", started_ms=at, status=status),
        )
    machine.settle()

    (figures,) = server.sums().values()
    assert (figures["runs"], figures["total_tokens"]) == (1, 330)
    assert machine.ledger.outbox() == []

    machine.read(fact("late", turn="t0", at_ms=BORN + 30_000))
    machine.settle()
    (row,) = machine.ledger.outbox(OutboxState.PARKED)
    assert json.loads(row.body)["total_tokens"] == 110
    machine.ledger.close()
