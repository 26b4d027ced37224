"""The ping door, `/ping/{tracking_token}[/{verb}]`: decode, judge, book, and only then answer.

Spoken in raw ASGI, because this is the one hot path of the server. A 200 goes out after the commit
that holds the run, never before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.domain.problem import ProblemError
from server_stub.domain.verb import VERBS, Verb
from server_stub.ingest.arrival import Sent, arrival_of, within
from server_stub.ingest.body import ClientGoneError, read_body
from server_stub.ingest.instructions import instructions, kept_bytes
from server_stub.ingest.refusals import (
    CLOSE,
    REFUSALS,
    STOPPING,
    TOO_SLOW,
    UNKNOWN_TOKEN,
    UNKNOWN_VERB,
    Headers,
    RefusedError,
    bad_key,
    over_limit,
    quota_headers,
    too_large,
)
from server_stub.problems import INTERNAL, problem_headers, status_problem
from server_stub.store.ingest import Booked, Refusal, find_target, refusal_of
from server_stub.store.limits import OverLimit
from server_stub.store.writer import UNAVAILABLE
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract.ping import (
    BODY_LIMIT_HEADER,
    IDEMPOTENCY_HEADER,
    MAX_KEY_LENGTH,
    REPLAYED_HEADER,
    Receipt,
)
from telemhq_agents.contract.problem import MEDIA_TYPE, Problem
from telemhq_agents.contract.routes import PING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from server_stub.domain.run import Arrival
    from server_stub.ingest.swift import Whole
    from server_stub.settings import Settings
    from server_stub.store.engine import Store
    from server_stub.store.target import Target
    from server_stub.store.writer import Answer

PREFIX = PING.partition("{")[0]
ALLOWED = "GET, HEAD, POST"
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
KEY = re.compile(rb"[\x20-\x7e]{1,%d}" % MAX_KEY_LENGTH)
KEY_HEADER = IDEMPOTENCY_HEADER.lower().encode()
KEPT_HEADER = BODY_LIMIT_HEADER.lower().encode()
REPLAYED = (REPLAYED_HEADER.lower().encode(), b"true")
NOT_TO_BE_STORED = (b"cache-control", b"no-store")
HEADERS_READ = frozenset(
    {b"content-type", b"content-length", b"content-encoding", b"host", KEY_HEADER}
)
LOG = logging.getLogger("telemhq.server")


class PingDoor:
    """An ASGI application for every path below `/ping/`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._reply = _settle_from_thread
        self._reply_whole = _settle_whole_from_thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is answered with a problem body."""
        await self._guarded(self._answer(scope, receive, send), send)

    def read_whole(
        self, token: bytes, raw: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> tuple[Sent, Arrival]:
        """Read a POST without a verb whose body is here. Raises whatever is wrong with it."""
        headers = _headers(raw)
        limit = self._settings.max_body_bytes
        if len(body) > limit:
            raise ProblemError(too_large(limit))
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        key = _key(headers)
        name, at_ms = token.decode("ascii"), now_ms()
        sent = Sent(name, None, key, content_type, b"", body, was_cut=False, received_ms=at_ms)
        return sent, arrival_of(sent)

    def book_whole(self, whole: Whole) -> None:
        """Hand a ping to the writer; it is settled on its event loop after the commit."""
        self._store.book(whole.arrival, whole, self._reply_whole)

    def plain_answer(self, arrival: Arrival, outcome: Answer) -> bytes | None:
        """Return the body of a 200 that has no headers of its own, None where there is more."""
        if type(outcome) is not Booked or outcome.duplicate or outcome.quota is not None:
            return None
        return _receipt(arrival, outcome)

    def conclusion(self, sent: Sent, arrival: Arrival, outcome: Answer) -> ASGIApp:
        """Return an application that answers one ping of which the outcome is known."""

        async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
            await self._guarded(self._conclude(sent, arrival, outcome, send), send)

        return answer

    async def _guarded(self, answering: Coroutine[Any, Any, None], send: Send) -> None:
        try:
            await answering
        except RefusedError as error:
            await _send_problem(send, error.problem, error.headers)
        except ProblemError as error:
            # Of a body that was given up the rest may still come: no next request to be.
            given_up = error.problem in (TOO_SLOW, STOPPING)
            await _send_problem(send, error.problem, [CLOSE] if given_up else [])
        except ClientGoneError:
            return
        except Exception:
            # The last line of defence: the client gets a problem body, the log the traceback.
            LOG.exception("a ping could not be answered")
            await _send_problem(send, INTERNAL)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        token, verb = _address(scope["path"])
        match scope["method"]:
            case "POST":
                await self._record(token, verb, scope, receive, send)
            case "GET" | "HEAD" if verb is not None:
                await self._record(token, verb, scope, receive, send)
            case "GET" | "HEAD":
                await self._instruct(token, scope, send)
            case method:
                problem = status_problem(405, f"{method} means nothing to the ping door")
                await _send_problem(send, problem, [(b"allow", ALLOWED.encode())])

    async def _record(
        self, token: str, verb: Verb | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = _headers(scope["headers"])
        key = _key(headers)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        length = int(headers.get(b"content-length", b"0"))
        limit = self._settings.max_body_bytes
        any_text = verb is not None
        body, cut = await read_body(receive, length, limit, content_type, any_text=any_text)
        sent = Sent(token, verb, key, content_type, scope["query_string"], body, cut, now_ms())
        arrival = arrival_of(sent)
        await self._conclude(sent, arrival, await self._booked(arrival), send)

    async def _conclude(self, sent: Sent, arrival: Arrival, outcome: Answer, send: Send) -> None:
        arrival, booked = await self._settled(sent, arrival, outcome)
        more = self._more_headers(sent, booked)
        await _send(send, 200, b"application/json", _receipt(arrival, booked), more)

    def _more_headers(self, sent: Sent, booked: Booked) -> Headers:
        more = [REPLAYED] if booked.duplicate else []
        if booked.quota is not None:
            more += quota_headers(booked.quota, sent.received_ms)
        if sent.verb is not None:
            kept = kept_bytes(self._settings.max_body_bytes, booked.quota)
            more += [(KEPT_HEADER, str(kept).encode()), NOT_TO_BE_STORED]
        return more

    async def _settled(
        self, sent: Sent, arrival: Arrival, outcome: Answer
    ) -> tuple[Arrival, Booked]:
        """Return what was booked; of more text than its account's plan keeps, as much as that."""
        if isinstance(outcome, OverLimit) and outcome.quota is None:
            fitting = within(sent, outcome.payload_bytes)
            if fitting is not None:
                arrival, outcome = fitting, await self._booked(fitting)
        if isinstance(outcome, Booked):
            return arrival, outcome
        if isinstance(outcome, OverLimit):
            raise over_limit(outcome, sent.received_ms)
        if isinstance(outcome, Exception):
            raise outcome
        raise ProblemError(REFUSALS[outcome])

    async def _booked(self, arrival: Arrival) -> Answer:
        """Hand the arrival to the writer and wait for its commit."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._store.book(arrival, future, self._reply)
        try:
            return await future
        except asyncio.CancelledError as error:
            # The server's patience ended before the database answered.
            raise ProblemError(UNAVAILABLE) from error

    async def _instruct(self, token: str, scope: Scope, send: Send) -> None:
        target = await asyncio.to_thread(self._target, token)
        headers = _headers(scope["headers"])
        host = headers.get(b"host", b"localhost").decode("latin-1")
        base = self._settings.public_url or f"{scope['scheme']}://{host}"
        told = instructions(f"{base}{PREFIX}{token}", self._settings.max_body_bytes, target.plan)
        await _send(send, 200, b"application/json", msgspec.json.encode(told))

    def _target(self, token: str) -> Target:
        """Return the tracker behind a token that is in force."""
        with self._store.read() as connection:
            target = find_target(connection, token)
        refusal = Refusal.UNKNOWN if target is None else refusal_of(target)
        if target is None or refusal is not None:
            raise ProblemError(REFUSALS[refusal or Refusal.UNKNOWN])
        return target


def _address(path: str) -> tuple[str, Verb | None]:
    """Return the tracking token that a path names, and its verb."""
    token, slash, word = path.removeprefix(PREFIX).removesuffix("/").partition("/")
    if TOKEN.fullmatch(token) is None:
        raise ProblemError(UNKNOWN_TOKEN)
    if not slash:
        return token, None
    verb = VERBS.get(word)
    if verb is None:
        raise ProblemError(UNKNOWN_VERB)
    return token, verb


def _settle_from_thread(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    """Wake the event loop once for a whole batch."""
    pairs[0][0].get_loop().call_soon_threadsafe(_settle, pairs)


def _settle(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        if not future.done():
            future.set_result(answer)


def _settle_whole_from_thread(pairs: list[tuple[Whole, Answer]]) -> None:
    """Wake the event loop once for a whole batch."""
    pairs[0][0].protocol.loop.call_soon_threadsafe(_settle_whole, pairs)


def _settle_whole(pairs: list[tuple[Whole, Answer]]) -> None:
    for whole, answer in pairs:
        try:
            whole.settle(answer)
        except Exception:
            # One connection that cannot be written to; the others still get their answers.
            LOG.exception("a ping could not be answered")


def _receipt(arrival: Arrival, booked: Booked) -> bytes:
    receipt = Receipt(
        str(booked.run_id),
        to_iso(booked.received_ms),
        duplicate=booked.duplicate,
        warnings=list(arrival.facts.warnings),
        recorded=booked.recorded,
    )
    return msgspec.json.encode(receipt)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that matter here; a second Idempotency-Key is a problem."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in HEADERS_READ:
            if name == KEY_HEADER and name in found:
                raise ProblemError(bad_key("the header was sent twice"))
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
        raise ProblemError(bad_key(f"it has {len(value)} bytes, or some that are not ASCII"))
    return value.decode("ascii")


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
