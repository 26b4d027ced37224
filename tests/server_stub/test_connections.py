from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from server_stub import connections
from server_stub.settings import Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.server_stub.conftest import LiveServer

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def port(
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]], sqlite_url: str
) -> Iterator[int]:
    with run_server(Settings(database_url=sqlite_url, port=0)) as live:
        yield int(live.url.rsplit(":", 1)[1])


def said(connected: socket.socket) -> tuple[bytes, dict[str, object]]:
    """The status line and the problem of an answer after which the server hangs up."""
    answer = b""
    while part := connected.recv(65536):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.partition(b"\r\n")[0], json.loads(body)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.parametrize("before", [b"", HEALTH + b"\r\n"], ids=["first", "next"])
def test_a_head_that_never_comes_whole_is_given_up(
    before: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connect(port) as connected:
        if before:
            connected.sendall(before)
            while not connected.recv(65536).endswith(b'{"ok":true}'):
                pass
        connected.sendall(HEALTH)
        status, problem = said(connected)

    assert status == b"HTTP/1.1 408 Request Timeout"
    assert problem["type"] == "body-too-slow"
    assert problem["detail"] == "the head of the request never came whole"


def test_a_connection_that_says_nothing_is_closed_without_a_word(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with connect(port) as connected:
        assert connected.recv(65536) == b""


def test_a_request_in_work_is_not_hurried(
    port: int, no_certificates: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)

    def slowly() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.3)
        yield b"}"

    url = f"http://127.0.0.1:{port}/ping/nobody"
    answer = httpx.post(url, content=slowly(), verify=no_certificates, trust_env=False)

    assert answer.json()["type"] == "unknown-tracking-token"


def test_a_head_that_is_too_large_is_given_up(port: int) -> None:
    with connect(port) as connected:
        connected.sendall(HEALTH)
        with pytest.raises(OSError, match=r"pipe|reset"):  # noqa: PT012 - it ends while sending
            for _ in range(10_000):
                connected.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")
    with connect(port) as connected:
        connected.sendall(HEALTH + b"X: " + b"x" * connections.LARGEST_HEAD_BYTES)
        status, problem = said(connected)

    assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert problem["type"] == "head-too-large"


def test_what_is_no_http_is_answered_with_a_problem(port: int) -> None:
    with connect(port) as connected:
        connected.sendall(b"\x16\x03\x01\x02\x00")
        status, problem = said(connected)

    assert status == b"HTTP/1.1 400 Bad Request"
    assert problem["detail"] == "this is no HTTP request"


def test_where_too_many_are_open_those_that_waited_longest_give_way(
    port: int, no_certificates: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections.PatientProtocol, "most", 20)
    with ExitStack() as held:
        opened = [held.enter_context(connect(port)) for _ in range(30)]
        # The event loop's clock counts milliseconds.
        time.sleep(0.05)
        opened += [held.enter_context(connect(port)) for _ in range(30)]
        answers = [
            httpx.get(f"http://127.0.0.1:{port}/healthz", verify=no_certificates, trust_env=False)
            for _ in range(5)
        ]
        for connected in opened:
            connected.setblocking(False)  # noqa: FBT003 - the standard library's name
        closed = [is_closed(connected) for connected in opened]

    assert {answer.status_code for answer in answers} == {200}
    assert all(closed[:30])
    assert 40 <= sum(closed) <= 50


def is_closed(connected: socket.socket) -> bool:
    try:
        return connected.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_process_takes_as_many_files_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(connections.PatientProtocol, "most", 0)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
        connections.allow_many_connections()
        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert raised >= min(hard, 65_536) or hard == resource.RLIM_INFINITY
    assert 200 <= connections.PatientProtocol.most <= raised - 200
