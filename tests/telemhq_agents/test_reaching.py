"""Asking a server whether it is there, and what its clock says."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from telemhq_agents import clock
from telemhq_agents.credentials import Login
from telemhq_agents.delivery.reaching import reach
from telemhq_agents.errors import RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = {
    "id": "1",
    "email": "ada@example.com",
    "name": "Ada",
    "default_account": "2",
    "accounts": [],
}


@contextmanager
def answering(status: int, date: str | None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            problem = {"type": "x", "title": "No", "status": status, "detail": "no"}
            body = json.dumps(ME if status == 200 else problem).encode()
            self.send_response_only(status)
            if date is not None:
                self.send_header("Date", date)
            kind = "application/json" if status == 200 else "application/problem+json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("ahead_s", [-3600, -120, 120, 86_400])
def test_a_clock_that_is_off_is_told_to_the_second(ahead_s: int) -> None:
    date = formatdate(clock.now_ms() // 1000 + ahead_s, usegmt=True)

    with answering(200, date) as url:
        found = reach(Login(url, "thq_made_up"), timeout_s=5)

    assert found.ahead_ms is not None
    assert abs(found.ahead_ms - ahead_s * 1000) < 3000
    assert 0 <= found.took_ms < 5000


@pytest.mark.parametrize("date", [None, "", "yesterday", "Fri, 99 Nov 2026 18:53:12 GMT"])
def test_a_server_that_tells_no_time_has_no_skew(date: str | None) -> None:
    with answering(200, date) as url:
        assert reach(Login(url, "thq_made_up"), timeout_s=5).ahead_ms is None


def test_the_same_second_is_no_skew() -> None:
    with answering(200, formatdate(clock.now_ms() // 1000, usegmt=True)) as url:
        found = reach(Login(url, "thq_made_up"), timeout_s=5)

    assert found.ahead_ms is not None
    assert -2000 < found.ahead_ms <= 0


def test_a_refused_key_and_a_silent_server_are_told_apart() -> None:
    with answering(401, None) as url, pytest.raises(RefusedError):
        reach(Login(url, "thq_made_up"), timeout_s=5)
    with pytest.raises(UnreachableError):
        reach(Login(url, "thq_made_up"), timeout_s=5)


def test_an_answer_that_trickles_is_not_waited_for_beyond_the_limit() -> None:
    def trickle(door: socket.socket) -> None:
        caller, _ = door.accept()
        with caller, suppress(OSError):
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                caller.sendall(b" ")
                threading.Event().wait(0.1)

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=trickle, args=(door,), daemon=True).start()
        login = Login(f"http://127.0.0.1:{door.getsockname()[1]}", "key", "", "default")
        began_ns = clock.monotonic_ns()

        with pytest.raises(UnreachableError, match="no whole answer within"):
            reach(login, timeout_s=0.5)

    assert clock.monotonic_ns() - began_ns < 5_000_000_000
