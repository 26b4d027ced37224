"""Alerts and a server that is killed, or told to stop, while a receiver hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from server_stub.settings import Settings
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms
from tests.server_stub.cast import run_sql
from tests.server_stub.outbox import Outbox, failed
from tests.server_stub.receivers import answering, hanging, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVE = """
from server_stub.run import serve
from server_stub.settings import load
serve(load(), ready=lambda url: print(url, flush=True))
"""


@contextmanager
def server(database_url: str) -> Iterator[subprocess.Popen[str]]:
    environ = os.environ | {
        "TELEMHQ_DATABASE_URL": database_url,
        "TELEMHQ_PORT": "0",
        "TELEMHQ_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def outbox(database_url: str) -> Iterator[Outbox]:
    store = Store(database_url)
    store.start()
    yield Outbox(store)
    store.stop()


def eventually(look: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def state_of(database_url: str) -> list[str]:
    with outbox(database_url) as box:
        return box.states()


def test_a_delivery_of_a_server_that_was_killed_is_sent_by_the_next_under_the_same_id(
    database_url: str,
) -> None:
    with receiving(hanging) as receiver:
        with outbox(database_url) as box:
            box.open().webhooks(receiver.url)
            box.note(failed(at=now_ms()))
        with server(database_url) as killed:
            eventually(lambda: receiver.requests)
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        assert state_of(database_url) == ["waiting"]
        receiver.behave = answering()
        # A minute passes: claims and leases run out.
        for statement in (
            "UPDATE deliveries SET claimed_until_ms = claimed_until_ms - 60000",
            "UPDATE leases SET until_ms = 0",
        ):
            run_sql(Settings(database_url), statement)
        with server(database_url):
            eventually(lambda: len(receiver.requests) == 2)
            eventually(lambda: state_of(database_url) == ["sent"])

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_a_server_that_is_told_to_stop_does_not_wait_for_a_receiver_that_hangs(
    sqlite_url: str,
) -> None:
    with receiving(hanging) as receiver:
        with outbox(sqlite_url) as box:
            box.open().webhooks(receiver.url)
            box.note(failed(at=now_ms()))
        with server(sqlite_url) as process:
            eventually(lambda: receiver.requests)
            process.send_signal(signal.SIGTERM)
            _, complained = process.communicate(timeout=8)

    assert process.returncode == 0
    assert complained == "some deliveries did not end in time; they will be sent again\n"
