"""What the API takes in before it knows who asks: a whole body of bearable size, in bearable time."""

from __future__ import annotations

import asyncio
import json
import select
import socket
from typing import TYPE_CHECKING, Any

import pytest

from server_stub.api.bodies import WholeBodies
from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Message, Receive, Scope, Send

    from tests.server_stub.cast import Cast

LIMIT = 65_536
SCOPE = {"type": "http", "method": "POST", "path": routes.TRACKERS, "headers": []}


class Line:
    """A client's end of one request: what arrives from it, and what it is sent."""

    def __init__(self, *chunks: bytes, then: str = "end") -> None:
        self._chunks = list(chunks)
        self._then = then
        self.taken = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._chunks:
            if self._then == "silence":
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        chunk = self._chunks.pop(0)
        self.taken += len(chunk)
        more = bool(self._chunks) or self._then != "end"
        return {"type": "http.request", "body": chunk, "more_body": more}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def answer(self) -> tuple[int, Any]:
        start, body = self.sent
        return start["status"], json.loads(body["body"])


class Api:
    """Notes the bodies that get through to the API."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        message = await receive()
        assert not message["more_body"]
        self.bodies.append(message["body"])
        assert (await receive())["type"] == "http.disconnect"


def bring(
    line: Line, api: Api, *, patience_seconds: float = 20, headers: dict[bytes, bytes] | None = None
) -> Coroutine[Any, Any, None]:
    scope = SCOPE | {"headers": list((headers or {}).items())}
    bodies = WholeBodies(api, patience_seconds=patience_seconds)
    return bodies(scope, line.receive, line.send)


def test_a_body_reaches_the_api_whole_however_it_was_cut() -> None:
    api, lines = Api(), [Line(b""), Line(b"abc"), Line(b"a", b"", b"bc"), Line(b"x" * LIMIT)]

    for line in lines:
        asyncio.run(bring(line, api))

    assert api.bodies == [b"", b"abc", b"abc", b"x" * LIMIT]


def test_a_long_body_is_refused_before_more_than_the_limit_is_taken_in() -> None:
    api, line = Api(), Line(*[b"x" * 1024] * 300_000)

    asyncio.run(bring(line, api))

    status, problem = line.answer()
    assert (status, problem["type"]) == (413, "body-too-large")
    assert line.taken == LIMIT + 1024
    assert api.bodies == []


def test_a_body_that_says_it_is_long_is_refused_unread() -> None:
    api, line = Api(), Line(b"x")

    asyncio.run(bring(line, api, headers={b"content-length": b"65537"}))

    assert line.answer()[0] == 413
    assert line.taken == 0


def test_a_body_that_does_not_come_is_not_waited_for_forever() -> None:
    api, line = Api(), Line(b"{", then="silence")

    asyncio.run(bring(line, api, patience_seconds=0.01))

    status, problem = line.answer()
    assert (status, problem["type"]) == (408, "body-too-slow")
    assert (b"connection", b"close") in line.sent[0]["headers"]
    assert api.bodies == []


def test_a_server_that_stops_in_the_middle_of_a_body_says_so() -> None:
    api, line = Api(), Line(b"{", then="silence")

    async def stop_meanwhile() -> None:
        asking = asyncio.create_task(bring(line, api))
        await asyncio.sleep(0)
        asking.cancel()
        await asking

    asyncio.run(stop_meanwhile())

    status, problem = line.answer()
    assert (status, problem["type"]) == (503, "unavailable")
    assert api.bodies == []


def test_a_client_that_goes_away_is_answered_nothing() -> None:
    api, line = Api(), Line(b"{", then="disconnect")

    asyncio.run(bring(line, api))

    assert line.sent == []
    assert api.bodies == []


def raw_answer(cast: Cast, headers: str, body: bytes) -> str:
    """Send the beginning of a request on a socket and return what comes back without the rest."""
    host, port = cast.nobody.http.base_url.host, cast.nobody.http.base_url.port
    with socket.create_connection((host, port or 80), timeout=20) as line:
        line.sendall(f"POST {routes.TRACKERS} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
        line.sendall(body)
        assert select.select([line], [], [], 20)[0], "no answer before the body was whole"
        return line.recv(65_536).decode()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Transfer-Encoding: chunked", b"11E1A300\r\n" + b" " * 2 * LIMIT),
        ("Content-Length: 300000000", b""),
    ],
)
def test_three_hundred_megabytes_without_a_key_are_refused_at_once(
    sqlite_cast: Cast, headers: str, body: bytes
) -> None:
    answer = raw_answer(sqlite_cast, f"Content-Type: application/json\r\n{headers}", body)

    assert answer.startswith("HTTP/1.1 413 ")
    assert "application/problem+json" in answer
    assert '"body-too-large"' in answer


def padded(length: int) -> bytes:
    return b'{"name": "nightly"}'.ljust(length)


@pytest.mark.parametrize(("length", "status"), [(LIMIT, 201), (LIMIT + 1, 413)])
def test_the_largest_body_is_64_kib(sqlite_cast: Cast, length: int, status: int) -> None:
    headers = {
        "Authorization": f"Bearer {sqlite_cast.member.api_key}",
        "Content-Type": "application/json",
    }
    http = sqlite_cast.member.http

    whole = http.post(routes.TRACKERS, content=padded(length), headers=headers)
    chunked = http.post(routes.TRACKERS, content=iter([padded(length)]), headers=headers)

    assert (whole.status_code, chunked.status_code) == (status, status)


BROKEN: list[tuple[bytes, int]] = [
    (b"\xff\xfe{", 400),
    (b"[" * 60_000, 400),
    (b"{", 422),
    (b"[]", 422),
    (b'{"name": "\\ud800"}', 422),
    (b'{"name": "a", "\\ud800": 1}', 422),
    (b'{"name": "a\\u0000b"}', 422),
]


@pytest.mark.parametrize(("body", "status"), BROKEN)
def test_a_body_that_cannot_be_read_is_a_problem_body(
    sqlite_cast: Cast, body: bytes, status: int
) -> None:
    answer = sqlite_cast.member.http.post(
        routes.TRACKERS,
        content=body,
        headers={
            "Authorization": f"Bearer {sqlite_cast.member.api_key}",
            "Content-Type": "application/json",
        },
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_text_that_is_no_text_names_no_account(sqlite_cast: Cast) -> None:
    answer = sqlite_cast.member.http.patch(
        routes.ME,
        content=b'{"default_account": "\\ud800"}',
        headers={
            "Authorization": f"Bearer {sqlite_cast.member.api_key}",
            "Content-Type": "application/json",
        },
    )

    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"
