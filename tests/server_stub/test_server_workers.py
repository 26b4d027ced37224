"""Several server processes on one PostgreSQL: one server to everybody outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import func, select

from server_stub.settings import Settings
from server_stub.setup import initialise
from server_stub.store.engine import reading_engine
from server_stub.store.tables import buckets, deliveries, runs, transitions
from telemhq_agents.contract import routes
from tests.server_stub.cast import Person
from tests.server_stub.receivers import answering, receiving

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

TELEMHQ = (sys.executable, "-m", "telemhq_cli.main")
PATIENCE = 60.0


@dataclass
class Server:
    """A parent with two server processes."""

    process: subprocess.Popen[str]
    url: str
    database_url: str
    http: httpx.Client
    api_key: str

    @property
    def owner(self) -> Person:
        return Person("ada@example.com", self.api_key, self.http)

    def children(self) -> list[int]:
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(path).read_text(encoding="ascii").split()]

    def count(self, asked: Any) -> Any:
        engine = reading_engine(self.database_url)
        with engine.connect() as connection, connection.begin():
            found = connection.execute(asked).all()
        engine.dispose()
        return found


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def answered(ask: Callable[[], httpx.Response]) -> bool:
    """Tell whether something was answered well; a connection may lead to a process that died."""
    try:
        return ask().is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def server(
    own_postgres_url: str, tmp_path: Path, no_certificates: ssl.SSLContext
) -> Iterator[Server]:
    """`telemhq server run --workers 2`, as people start it."""
    if sys.platform != "linux":
        pytest.skip("the children of a process are told by Linux alone")
    made = initialise(Settings(database_url=own_postgres_url), "ada@example.com", "Ada")
    environ = os.environ | {
        "TELEMHQ_HOME": str(tmp_path),
        "TELEMHQ_DATABASE_URL": own_postgres_url,
        "TELEMHQ_PORT": "0",
        "TELEMHQ_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    process = subprocess.Popen(
        [*TELEMHQ, "server", "run", "--workers", "2"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip().rpartition(" ")[2]
    with httpx.Client(base_url=url, verify=no_certificates, trust_env=False, timeout=30) as http:
        yield Server(process, url, own_postgres_url, http, made.api_key)
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, said
    assert "Traceback" not in said, said


def test_a_process_dies_under_load_and_nothing_is_lost_or_counted_twice(server: Server) -> None:
    tracker = server.owner.new_tracker()
    path = httpx.URL(tracker["ping_url"]).path
    acknowledged: dict[str, str] = {}
    repeated: Counter[str] = Counter()
    over = threading.Event()

    def send(name: int) -> None:
        number = 0
        while not over.is_set():
            # Each key is sent by two, mostly over connections to different processes.
            key = f"{name // 2}-{number}"
            try:
                # A connection of its own: the processes take turns.
                answer = server.http.post(
                    path,
                    json={"n": number, "input_tokens": 1},
                    headers={"Idempotency-Key": key, "Connection": "close"},
                )
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                told = answer.json()
                assert acknowledged.setdefault(key, told["id"]) == told["id"]
                repeated[key] += told["duplicate"]
                number += 1

    first = server.children()
    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, name) for name in range(4)]
        until(lambda: len(acknowledged) > 60)
        for victim in first:
            os.kill(victim, signal.SIGKILL)
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 60)  # type: ignore[misc]
            until(lambda: len(server.children()) == 2)
        over.set()
        for sender in senders:
            sender.result()

    assert not set(first) & set(server.children())
    stored = {str(row.id) for row in server.count(select(runs.c.id))}
    assert set(acknowledged.values()) <= stored
    assert len(set(acknowledged.values())) == len(acknowledged)
    # What died between commit and answer was sent again under its key, and is there once.
    assert len(stored) == len(acknowledged)
    ((summed, tokens),) = server.count(
        select(func.sum(buckets.c.runs), func.sum(buckets.c.input_tokens))
    )
    assert (summed, tokens) == (len(stored), len(stored))
    assert sum(repeated.values()) > 0


def test_a_missed_ping_is_told_once_whichever_process_lives(server: Server) -> None:
    with receiving(answering()) as receiver:
        tracker = server.owner.new_tracker()
        rules = {
            "schedule": {"interval_s": 1, "grace_s": 1},
            "alerting": {"channels": [{"kind": "webhook", "target": receiver.url}]},
        }
        rules_path = routes.TRACKER_RULES.format(tracker_id=tracker["id"])
        server.owner.did("PUT", rules_path, rules)
        path = httpx.URL(tracker["ping_url"]).path
        assert server.http.post(path).status_code == 200

        until(lambda: len(receiver.requests) == 1)
        # Killed before it noted that, it would leave the message to be sent again, a minute later.
        sent = select(deliveries.c.id).where(deliveries.c.state == "sent")
        until(lambda: len(server.count(sent)) == 1)
        # Whoever works in the background may be the one that dies; the other one takes over.
        os.kill(server.children()[0], signal.SIGKILL)
        until(lambda: len(server.children()) == 2)
        later = {"schedule": {"interval_s": 3600}}
        until(lambda: answered(lambda: server.owner.ask("PATCH", rules_path, later)))
        key = {"Idempotency-Key": "back", "Connection": "close"}
        until(lambda: answered(lambda: server.http.post(path, headers=key)))
        until(lambda: len(receiver.requests) == 2)
        time.sleep(1.5)

        events = [one.json["event"] for one in receiver.requests]
        ids = {one.headers["webhook-id"] for one in receiver.requests}

    assert events == ["tracker.failed", "tracker.recovered"]
    assert len(ids) == 2
    noted = server.count(select(transitions.c.to_state))
    assert Counter(row.to_state for row in noted)["failing"] == 1
