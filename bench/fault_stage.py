"""A server process, a load in front of it, and the count of what became of every ping."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import delete, insert, select, text

from server_stub.store.engine import reading_engine, writing_engine
from server_stub.store.tables import buckets, metadata, runs, trackers, tracking_tokens

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

    from sqlalchemy import Select

TOKEN = "fault"  # noqa: S105 - no secret
SENDERS = 8
PATIENCE_S = 60.0


@dataclass
class Server:
    """The server as a process of its own; it can be killed and started again at its port."""

    database_url: str
    environ: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environ = os.environ | self.environ
        environ |= {"TELEMHQ_DATABASE_URL": self.database_url, "TELEMHQ_PORT": str(self.port)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.fault_server"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url, "the server did not start"
        self.port = int(url.rsplit(":", 1)[1])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=30)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def answers(self) -> bool:
        """Tell whether the server says that it can record."""
        try:
            status, _ = one_request(self.port, "GET", "/healthz")
        except OSError:
            return False
        return status == 200


def one_request(
    port: int, method: str, path: str, body: bytes = b"", key: str = ""
) -> tuple[int, bytes]:
    """Send one request over a connection of its own; return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body or None, {"Idempotency-Key": key} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Load:
    """Senders that never pause; every ping has a key, and says it in its payload."""

    def __init__(self, port: int, name: str) -> None:
        self.port = port
        self.name = name
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_acknowledged(self, more: int) -> None:
        """Wait until so many more pings have been acknowledged."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal)

    def until_status(self, status: int, more: int) -> None:
        """Wait until so many more answers had this status."""
        goal = self.statuses[status] + more
        wait_until(lambda: self.statuses[status] >= goal)

    def _send(self, side: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        number = 0
        while not self._over.is_set():
            key = f"{self.name}-{side}-{number}"
            self.sent.add(key)
            try:
                status = self._ping(connection, key)
            except (OSError, http.client.HTTPException):
                connection.close()
                self._over.wait(0.02)
                status = 0
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged.add(key)
            else:
                self._over.wait(0.005)
            number += 1
        connection.close()

    @staticmethod
    def _ping(connection: http.client.HTTPConnection, key: str) -> int:
        connection.request("POST", f"/ping/{TOKEN}", body_of(key), {"Idempotency-Key": key})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def body_of(key: str) -> bytes:
    return json.dumps({"ping": key, "input_tokens": 1}).encode()


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen within a minute")
        time.sleep(0.005)


@dataclass(frozen=True)
class Row:
    """What became of the pings of one fault.

    `found`: how many of the acknowledged are stored. `after`: how many different pings are stored
    once all were sent again that had not been acknowledged. `twice`: how many are stored twice.
    """

    fault: str
    database: str
    sent: int
    acknowledged: int
    found: int
    after: int
    twice: int
    note: str = ""

    @property
    def is_well(self) -> bool:
        return self.found == self.acknowledged and self.after == self.sent and self.twice == 0


@dataclass
class Stage:
    """A server on a migrated database."""

    server: Server
    name: str

    def empty(self) -> None:
        """Leave one tracker and nothing else."""
        engine = writing_engine(self.server.database_url)
        place = {"account_id": 1, "created_ms": 1}
        with engine.begin() as connection:
            for table in metadata.tables.values():
                connection.execute(delete(table))
            connection.execute(insert(trackers).values(id=10, owner_id=1, name=TOKEN, **place))
            connection.execute(insert(tracking_tokens).values(token=TOKEN, tracker_id=10, **place))
        engine.dispose()

    def load(self, name: str) -> Load:
        return Load(self.server.port, name)

    def judged(self, fault: str, load: Load, note: str = "") -> Row:
        """Count what is there, send again what nobody acknowledged, count again."""
        wait_until(self.server.answers)
        found = len(load.acknowledged & self.stored().keys())
        for key in sorted(load.sent - load.acknowledged):
            self._send_again(key)
        after = self.stored()
        twice = sum(after.values()) - len(after)
        assert self.booked() == sum(after.values()), "the buckets sum up to something else"
        return Row(
            fault,
            self.name,
            len(load.sent),
            len(load.acknowledged),
            found,
            len(after),
            twice,
            note,
        )

    def _send_again(self, key: str) -> None:
        def is_taken() -> bool:
            with contextlib.suppress(OSError):
                path = f"/ping/{TOKEN}"
                return one_request(self.server.port, "POST", path, body_of(key), key)[0] == 200
            return False

        wait_until(is_taken)

    def stored(self) -> Counter[str]:
        """Return how often each ping is stored, read behind the server's back."""
        return Counter(_ping_of(payload) for (payload,) in self._read(select(runs.c.payload)))

    def booked(self) -> int:
        """Return how many runs the buckets sum up to."""
        return sum(count for (count,) in self._read(select(buckets.c.runs)))

    def _read(self, statement: Select[Any]) -> list[Any]:
        engine = reading_engine(self.server.database_url)
        with engine.connect() as connection, connection.begin():
            rows = connection.execute(statement).all()
        engine.dispose()
        return list(rows)


def _ping_of(payload: str | dict[str, Any]) -> str:
    read = json.loads(payload) if isinstance(payload, str) else payload
    return str(read.get("ping", "?"))


@contextlib.contextmanager
def staged(database_url: str, name: str, **environ: str) -> Iterator[Stage]:
    """Run a server on a migrated database that may be emptied."""
    stage = Stage(Server(database_url, environ), name)
    stage.empty()
    stage.server.start()
    try:
        yield stage
    finally:
        stage.server.stop()


def run_on(database_url: str, *statements: str) -> None:
    """Run administrative statements, each by itself."""
    engine = writing_engine(database_url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
