"""Connections that say nothing, or say it slowly: bounded in time and in number.

uvicorn bounds only how long a connection may idle between two requests. Here the head of a request
has a deadline as well, and where too many connections are open those that have waited longest for
theirs give way, so that whoever has something to say is always let in.
"""

from __future__ import annotations

import sys
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server_stub.problems import status_problem
from telemhq_agents.contract.problem import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 20.0
"""How long a connection may take until the head of its next request is there."""

MOST_CONNECTIONS = 20_000
MOST_FILES = 65_536
KEPT_FILES = 200
"""Open files that are not connections: databases, logs, the listening socket."""

GIVING_WAY = 20
"""One in so many connections gives way at once: looking for them takes a look at each."""

LARGEST_HEAD_BYTES = 64 * 1024
"""How long the head of a request may be."""

NOT_HTTP = status_problem(400, "this is no HTTP request")
SLOW_HEAD = status_problem(408, "the head of the request never came whole")

LARGE_HEAD = Problem(
    type="head-too-large",
    title="The head of the request is too large",
    status=431,
    detail=f"this server takes up to {LARGEST_HEAD_BYTES} bytes",
    next="send fewer headers and a shorter URL",
)
PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


def allow_many_connections() -> None:
    """Let this process have as many files open as it may, and as many connections as that allows."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    allowed = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    PatientProtocol.most = max(KEPT_FILES, min(MOST_CONNECTIONS, allowed - KEPT_FILES))


class PatientProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with an end to its patience."""

    most = MOST_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self.waiting_since = 0.0
        self.begun = False
        self._head_bytes = 0
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # - as uvicorn
        """Take the connection; let those give way that have waited longest, where there are too many."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self._look = self.loop.call_later(HEAD_SECONDS, self._look_at_it)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that never ends is given up."""
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self.reads_head else 0
        if self._head_bytes > LARGEST_HEAD_BYTES:
            self._give_up(LARGE_HEAD)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self.begun = True
        super().on_message_begin()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self.waiting_since = self.loop.time()
        self.begun = False
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Answer what is no HTTP."""
        self._give_up(NOT_HTTP)

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    @property
    def reads_head(self) -> bool:
        """Whether the head of a request has begun and not ended."""
        return self.begun and self.is_waiting

    def _look_at_it(self) -> None:
        waited = self.loop.time() - self.waiting_since if self.is_waiting else 0.0
        if waited >= HEAD_SECONDS:
            self._give_up(SLOW_HEAD if self.begun else None)
        else:
            self._look = self.loop.call_later(HEAD_SECONDS - waited, self._look_at_it)

    def _make_room(self) -> None:
        waiting = [
            other
            for other in self.connections
            if isinstance(other, PatientProtocol)
            and other is not self
            and other.is_waiting
            and not other.transport.is_closing()
        ]
        count = max(1, len(waiting) // GIVING_WAY)
        for other in nsmallest(count, waiting, key=lambda one: one.waiting_since):
            other.transport.abort()

    def _give_up(self, problem: Problem | None) -> None:
        """Close the connection, after a word where somebody had begun to speak."""
        if self.transport.is_closing():
            return
        if problem is not None:
            self.transport.write(_answer(problem))
        self.transport.close()


def _answer(problem: Problem) -> bytes:
    body = msgspec.json.encode(problem)
    head = (
        f"HTTP/1.1 {problem.status} {PHRASES[problem.status]}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
