"""Pings that come whole, and those that nearly do: the answer is the same."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, func, insert, select, text

from server_stub.settings import Settings
from server_stub.store.engine import reading_engine, writing_engine
from server_stub.store.tables import runs, trackers, tracking_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.server_stub.conftest import LiveServer

BODY = b'{"project": "shop", "status": "success", "input_tokens": 12}'


def request(key: str, body: bytes = BODY, *, path: str = "/ping/tok", more: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


@contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 20) as connection:
        yield connection


class Answers:
    """Reads answers off a connection, one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def next(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._held:
            self._read()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        while len(self._held) < length:
            self._read()
        body, self._held = self._held[:length], self._held[length:]
        return int(status.split()[1]), headers, body

    def _read(self) -> None:
        got = self._connection.recv(65536)
        assert got, "the connection was closed"
        self._held += got


def stored(server: LiveServer) -> int:
    engine = reading_engine(server.settings.database_url)
    with engine.connect() as connection, connection.begin():
        count: int = connection.execute(select(func.count()).select_from(runs)).scalar_one()
    engine.dispose()
    return count


def test_a_ping_that_comes_whole_is_answered_as_one_that_comes_in_pieces(
    server: LiveServer, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    pieces = request("pieces")
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = Answers(connection)
        connection.sendall(request("whole"))
        whole = answers.next()
        for start in range(0, len(pieces), 50):
            connection.sendall(pieces[start : start + 50])
        in_pieces = answers.next()

    assert (whole[0], in_pieces[0]) == (200, 200)
    assert whole[1].keys() == in_pieces[1].keys()
    assert {"date", "content-type", "content-length"} <= whole[1].keys()
    first, second = json.loads(whole[2]), json.loads(in_pieces[2])
    assert first.keys() == second.keys()
    assert (first["ok"], first["duplicate"], first["warnings"]) == (True, False, [])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["received_at"])
    assert stored(server) == 2


def test_pings_sent_at_once_on_one_connection_are_answered_in_order(
    server: LiveServer, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    with connected(server) as connection:
        answers = Answers(connection)
        connection.sendall(
            request("a") + request("b") + request("a") + request("x", path="/ping/nobody")
        )
        told = [answers.next() for _ in range(4)]
        connection.sendall(request("c"))
        told.append(answers.next())

    assert [status for status, _, _ in told] == [200, 200, 200, 404, 200]
    receipts = [json.loads(body) for _, _, body in told]
    assert receipts[2]["id"] == receipts[0]["id"]
    assert [receipts[n]["duplicate"] for n in (0, 1, 2, 4)] == [False, False, True, False]
    assert stored(server) == 3


def test_who_asks_to_close_gets_the_answer_and_the_end(
    server: LiveServer, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    with connected(server) as connection:
        connection.sendall(request("a", more="Connection: close\r\n"))
        status, headers, _ = Answers(connection).next()
        rest = connection.recv(100)

    assert (status, headers["connection"], rest) == (200, "close", b"")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("k", b'{"input_tokens": -1}'), 422),
        (request("k" * 201), 400),
        (request("k", path="/ping/nobody"), 404),
        (request("k", b"x" * 70_000), 413),
        (request("k", more="Content-Encoding: gzip\r\n"), 415),
        (request("k", more="Expect: 100-continue\r\n"), 100),
        (request("k", path="/ping/tok?rid=7"), 200),
        (request("k", path="/ping/tok/fail"), 200),
    ],
)
def test_what_is_not_plain_goes_the_usual_way(
    sent: bytes, status: int, server: LiveServer, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    with connected(server) as connection:
        connection.sendall(sent)
        first = connection.recv(65536)
        if status != 100:
            connection.sendall(request("after"))
            assert b" 200 OK" in first + connection.recv(65536)

    assert first.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_client_that_goes_before_its_answer_harms_nobody(
    server: LiveServer, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    for number in range(20):
        with connected(server) as connection:
            connection.sendall(request(f"gone{number}"))
    with connected(server) as connection:
        connection.sendall(request("stays"))
        status, _, _ = Answers(connection).next()

    assert status == 200
    assert 1 <= stored(server) <= 21


def test_a_server_that_stops_waiting_for_its_database_says_so(
    sqlite_url: str,
    add_one: None,
    monkeypatch: pytest.MonkeyPatch,
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
) -> None:
    monkeypatch.setattr("server_stub.run.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("server_stub.store.engine.BUSY_SECONDS", 2)
    other = create_engine(sqlite_url)
    told: list[int] = []

    def ping(connection: socket.socket) -> None:
        connection.sendall(request("k"))
        told.append(Answers(connection).next()[0])

    with other.connect() as locking:
        locking.execute(text("BEGIN IMMEDIATE"))
        with run_server(Settings(database_url=sqlite_url, port=0)) as live:
            address = urlsplit(live.url)
            connection = socket.create_connection((address.hostname or "", address.port or 0), 20)
            sender = threading.Thread(target=ping, args=(connection,))
            sender.start()
            time.sleep(0.2)
        sender.join()
        connection.close()
    other.dispose()

    assert told == [503]


@pytest.fixture
def add_one(sqlite_url: str) -> None:
    """The tracker `tok` on SQLite."""
    engine = writing_engine(sqlite_url)
    place = {"account_id": 1, "created_ms": 1}
    with engine.begin() as connection:
        connection.execute(insert(trackers).values(id=10, owner_id=100, name="x", **place))
        connection.execute(insert(tracking_tokens).values(token="tok", tracker_id=10, **place))
    engine.dispose()
