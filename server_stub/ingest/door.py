"""The ping door, `/ping/{tracking_token}`: decode, judge, book, and only then answer.

Spoken in raw ASGI, because this is the one hot path of the server. A 200 goes out after the commit
that holds the run, never before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.domain.payload import judge
from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival
from server_stub.ingest.decode import decode
from server_stub.problems import INTERNAL, problem_headers, status_problem
from server_stub.store.ingest import Booked, Refusal, find_target, refusal_of
from server_stub.store.writer import UNAVAILABLE
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract.ping import (
    COUNT_FIELDS,
    IDEMPOTENCY_HEADER,
    MAX_KEY_LENGTH,
    NUMBER_FIELDS,
    REPLAYED_HEADER,
    TEXT_FIELDS,
    VERB_SKIP,
    VERB_START,
    Capabilities,
    Instructions,
    Receipt,
)
from telemhq_agents.contract.problem import MEDIA_TYPE, Problem
from telemhq_agents.contract.routes import PING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from server_stub.settings import Settings
    from server_stub.store.engine import Store
    from server_stub.store.ingest import Outcome

PREFIX = PING.partition("{")[0]
ALLOWED = "GET, HEAD, POST"
VERBS = [VERB_START, "end", VERB_SKIP]
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
KEY = re.compile(rb"[\x20-\x7e]{1,%d}" % MAX_KEY_LENGTH)
KEY_HEADER = IDEMPOTENCY_HEADER.lower().encode()
REPLAYED = (REPLAYED_HEADER.lower().encode(), b"true")
HEADERS_READ = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"host", KEY_HEADER}
)
LOG = logging.getLogger("telemhq.server")

UNKNOWN_TOKEN = Problem(
    type="unknown-tracking-token",
    title="No tracker has this tracking token",
    status=404,
    next="copy the ping URL again from the tracker",
)
GONE_TOKEN = Problem(
    type="tracking-token-gone",
    title="This tracking token was taken back",
    status=410,
    detail="the token was rotated, or its tracker deleted; nothing was recorded",
    next="copy the present ping URL from the tracker, or make a new tracker",
)
REVOKED_OWNER = Problem(
    type="membership-revoked",
    title="The owner of this tracker is no longer a member of its account",
    status=403,
    detail="nothing was recorded",
    next="ask a manager of the account to let them in again, or use a tracker of your own",
)
REFUSALS = {
    Refusal.UNKNOWN: UNKNOWN_TOKEN,
    Refusal.GONE: GONE_TOKEN,
    Refusal.REVOKED: REVOKED_OWNER,
}


BODY_SECONDS = 30.0
"""How long a body may take to come whole."""

TOO_SLOW = status_problem(408, "its body never came whole; nothing was recorded")
STOPPING = status_problem(503, "the server is stopping; nothing of this request was recorded")
CLOSE = (b"connection", b"close")


class _ClientGoneError(Exception):
    """The client went away before its request was whole."""


class PingDoor:
    """An ASGI application for every path below `/ping/`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._reply = _settle_from_thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is answered with a problem body."""
        try:
            await self._answer(scope, receive, send)
        except ProblemError as error:
            # Of a body that was given up the rest may still come: no next request to be.
            given_up = error.problem in (TOO_SLOW, STOPPING)
            await _send_problem(send, error.problem, [CLOSE] if given_up else [])
        except _ClientGoneError:
            return
        except Exception:
            # The last line of defence: the client gets a problem body, the log the traceback.
            LOG.exception("a ping could not be answered")
            await _send_problem(send, INTERNAL)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = scope["path"].removeprefix(PREFIX).removesuffix("/")
        if TOKEN.fullmatch(token) is None:
            raise ProblemError(UNKNOWN_TOKEN)
        match scope["method"]:
            case "POST":
                await self._record(token, scope, receive, send)
            case "GET" | "HEAD":
                await self._instruct(token, scope, send)
            case method:
                problem = status_problem(405, f"{method} means nothing to the ping door")
                await _send_problem(send, problem, [(b"allow", ALLOWED.encode())])

    async def _record(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        key = _key(headers)
        body = await self._body(headers, receive)
        received_ms = now_ms()
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        payload, warnings = decode(body, content_type, scope["query_string"])
        facts = judge(payload, received_ms, warnings)
        if facts.corrects and not key:
            key = f"{facts.corrects}.r{facts.revision}"
        booked = await self._book(Arrival(token, key, received_ms, facts))
        receipt = Receipt(
            str(booked.run_id),
            to_iso(booked.received_ms),
            duplicate=booked.duplicate,
            warnings=list(facts.warnings),
            recorded=booked.recorded,
        )
        more = [REPLAYED] if booked.duplicate else []
        await _send(send, 200, b"application/json", msgspec.json.encode(receipt), more)

    async def _book(self, arrival: Arrival) -> Booked:
        """Hand the arrival to the writer and wait for its commit."""
        future: asyncio.Future[Outcome | Exception] = asyncio.get_running_loop().create_future()
        self._store.writer.book(arrival, future, self._reply)
        try:
            outcome = await future
        except asyncio.CancelledError as error:
            # The server's patience ended before the database answered.
            raise ProblemError(UNAVAILABLE) from error
        if isinstance(outcome, Booked):
            return outcome
        if isinstance(outcome, Refusal):
            raise ProblemError(REFUSALS[outcome])
        raise outcome

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Return the whole body; refuse a long one before it is read where that can be told."""
        limit = self._settings.max_body_bytes
        if int(headers.get(b"content-length", b"0")) > limit:
            raise ProblemError(_too_large(limit))
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive, limit)
        except TimeoutError as error:
            raise ProblemError(TOO_SLOW) from error
        except asyncio.CancelledError as error:
            # The server ends, and its patience with it: nothing else cancels a request.
            raise ProblemError(STOPPING) from error
        if len(body) > limit:
            raise ProblemError(_too_large(limit))
        return body

    async def _instruct(self, token: str, scope: Scope, send: Send) -> None:
        target = await asyncio.to_thread(self._target, token)
        if target is not None:
            raise ProblemError(REFUSALS[target])
        headers = _headers(scope["headers"])
        host = headers.get(b"host", b"localhost").decode("latin-1")
        base = self._settings.public_url or f"{scope['scheme']}://{host}"
        body = msgspec.json.encode(_instructions(f"{base}{PREFIX}{token}", self._settings))
        await _send(send, 200, b"application/json", body)

    def _target(self, token: str) -> Refusal | None:
        """Return why a token leads nowhere, None for one that is in force."""
        with self._store.read() as connection:
            target = find_target(connection, token)
        if target is None:
            return Refusal.UNKNOWN
        return refusal_of(target)


async def _read(receive: Receive, limit: int) -> bytes:
    """Return the body, or of one that is longer than the limit at least that much."""
    body = b""
    more = True
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _settle_from_thread(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    """Wake the event loop once for a whole batch."""
    pairs[0][0].get_loop().call_soon_threadsafe(_settle, pairs)


def _settle(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        if not future.done():
            future.set_result(answer)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that matter here; a second Idempotency-Key is a problem."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in HEADERS_READ:
            if name == KEY_HEADER and name in found:
                raise ProblemError(_bad_key("the header was sent twice"))
            found[name] = value
    if found.get(b"content-encoding", b"identity") != b"identity":
        raise ProblemError(status_problem(415, "compressed bodies are not understood"))
    return found


def _key(headers: dict[bytes, bytes]) -> str:
    """Return the idempotency key, "" for a ping without one."""
    value = headers.get(KEY_HEADER)
    if value is None:
        return ""
    if KEY.fullmatch(value) is None:
        raise ProblemError(_bad_key(f"it has {len(value)} bytes, or some that are not ASCII"))
    return value.decode("ascii")


def _bad_key(detail: str) -> Problem:
    return Problem(
        type="invalid-idempotency-key",
        title="The Idempotency-Key cannot be used",
        status=400,
        detail=detail,
        next=f"send 1 to {MAX_KEY_LENGTH} printable ASCII characters, or no key at all",
    )


def _too_large(limit: int) -> Problem:
    return Problem(
        type="body-too-large",
        title="The body of the ping is too large",
        status=413,
        detail=f"this server takes up to {limit} bytes",
        next="send operational figures only, no prompts and no outputs",
    )


def _instructions(url: str, settings: Settings) -> Instructions:
    return Instructions(
        message="POST here to record a run. Nothing was recorded by this GET.",
        ping_url=url,
        example=(
            "curl -X POST -H 'Content-Type: application/json'"
            f' -d \'{{"status": "success", "project": "my-job", "total_tokens": 1200}}\' {url}'
        ),
        fields=[*TEXT_FIELDS, *COUNT_FIELDS, *NUMBER_FIELDS, "ended_at", "exit_code"],
        capabilities=Capabilities(
            idempotency=True,
            corrections=True,
            verbs=VERBS,
            max_body_bytes=settings.max_body_bytes,
        ),
    )


async def _send_problem(
    send: Send, problem: Problem, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    headers = [(k.lower().encode(), v.encode()) for k, v in problem_headers(problem).items()]
    body = msgspec.json.encode(problem)
    await _send(send, problem.status, MEDIA_TYPE.encode(), body, [*headers, *more])


async def _send(
    send: Send,
    status: int,
    media_type: bytes,
    body: bytes,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", media_type), (b"content-length", length), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
