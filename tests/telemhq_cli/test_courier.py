"""Sending beside the reading."""

from __future__ import annotations

import json
import time
from threading import Event
from typing import TYPE_CHECKING

from telemhq_agents import clock, spool
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.locations import Locations
from telemhq_cli.courier import Courier

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.errors import TelemhqError
    from telemhq_cli.agent import Pass
    from tests.telemhq_cli.conftest import PingServer


def test_what_wrappers_left_and_what_is_queued_goes_out(
    tmp_path: Path, ping_server: PingServer
) -> None:
    ours = Locations(tmp_path, tmp_path)
    spool.write(ours.spool, left_behind(ping_server, "spooled"))
    with Ledger.open(ours.ledger) as ledger:
        ledger.enqueue(ping_server.ping_url, "queued", b"{}", clock.now_ms())
    heard: list[Pass] = []
    courier = Courier(ours, heard.append, never)

    courier.start()
    ping_server.wait_for_pings(2)
    courier.end()

    assert not courier.is_alive()
    assert {ping.key for ping in ping_server.pings} == {"queued", "spooled"}
    assert heard[0].pings == 1


def test_it_waits_until_it_is_woken(tmp_path: Path, ping_server: PingServer) -> None:
    ours = Locations(tmp_path, tmp_path)
    Ledger.open(ours.ledger).close()
    first = Event()
    courier = Courier(ours, lambda _: first.set(), never)
    courier.start()
    assert first.wait(10)

    spool.write(ours.spool, left_behind(ping_server, "later"))
    time.sleep(0.3)
    assert ping_server.pings == []
    courier.wake()
    ping_server.wait_for_pings(1)
    courier.end()

    assert [ping.key for ping in ping_server.pings] == ["later"]


def test_whatever_goes_wrong_is_said_and_sending_goes_on(
    tmp_path: Path, ping_server: PingServer
) -> None:
    ours = Locations(tmp_path, tmp_path)
    complaints: list[str] = []
    seen: list[Pass] = []

    def heard(done: Pass) -> None:
        seen.append(done)
        if len(seen) == 1:
            raise ValueError("nobody thought of this")

    courier = Courier(ours, heard, lambda error: complaints.append(str(error)))
    courier.start()
    spool.write(ours.spool, left_behind(ping_server, "after"))
    ping_server.wait_for_pings(1)
    courier.end()

    assert complaints == ["Sending failed: ValueError: nobody thought of this"]
    assert [ping.key for ping in ping_server.pings] == ["after"]


def left_behind(server: PingServer, key: str) -> dict[str, object]:
    body = json.dumps({"status": "success"})
    told = {"kind": "ping", "key": key, "url": server.ping_url, "tracker": "", "profile": ""}
    return {**told, "body": body, "created_ms": clock.now_ms()}


def never(error: TelemhqError | OSError) -> None:
    raise AssertionError(error)
