"""Pings that come whole are taken from the protocol itself, without a task and a scope for each.

Most pings are one small POST in one packet, and speaking ASGI about each costs more than all that
is done with it. So the protocol hands such a ping to the door itself and writes the answer once the
writer tells it. Whatever is anything else, or does not go well, goes uvicorn's own way.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server_stub.connections import PatientProtocol
from server_stub.domain.problem import ProblemError
from server_stub.store.writer import UNAVAILABLE

if TYPE_CHECKING:
    from server_stub.domain.run import Arrival
    from server_stub.ingest.arrival import Sent
    from server_stub.ingest.door import PingDoor
    from server_stub.store.writer import Answer

URL = re.compile(rb"/ping/([A-Za-z0-9_-]{1,200})", re.ASCII)
UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
"""Headers that only uvicorn's own way understands."""


class Whole:
    """A ping on its way through the writer; uvicorn takes it for one of its own cycles and tasks.

    As a task it is waited for when the server stops, and cancelled when the patience for that ends.
    """

    __slots__ = ("arrival", "disconnected", "keep_alive", "protocol", "response_complete", "sent")

    def __init__(self, protocol: SwiftProtocol, sent: Sent, arrival: Arrival) -> None:
        self.protocol = protocol
        self.sent = sent
        self.arrival = arrival
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> Whole:
        """What uvicorn sets when the client goes away: nobody waits for it here."""
        return self

    def set(self) -> None:
        """Do nothing: there is no more of the request to come."""

    def cancel(self, msg: object = None) -> None:
        """Answer soon that the database did not answer in time."""
        del msg
        self.protocol.loop.call_soon(self.settle, ProblemError(UNAVAILABLE))

    def settle(self, answer: Answer) -> None:
        """Answer the client, who is told once."""
        if not self.response_complete:
            self.protocol.settle(self, answer)


class SwiftProtocol(PatientProtocol):
    """HTTP, with a shorter way for pings that come whole."""

    door: ClassVar[PingDoor]

    _token: bytes | None = None
    """The tracking token of a request that may be such a ping, as long as it is being read."""

    _body = b""

    @property
    def reads_head(self) -> bool:
        """Whether the head of a request has begun and not ended."""
        return self._token is None and super().reads_head

    # What the parser tells, in the order in which it tells it.

    def data_received(self, data: bytes) -> None:
        """Read on; a ping that has not come whole by now goes the usual way."""
        super().data_received(data)
        if self._token is not None and not self.transport.is_closing():
            self._go_the_usual_way()

    def on_message_begin(self) -> None:
        """Begin a request: its scope is only made where it is needed."""
        self.begun = True
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Decide which way a request goes."""
        found = URL.fullmatch(self.url)
        if found is not None and self._is_plain():
            self._token, self._body = found[1], b""
        else:
            self._make_scope()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what is read of a body."""
        if self._token is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Take the ping that came whole."""
        if self._token is None:
            super().on_message_complete()
            return
        try:
            sent, arrival = self.door.read_whole(self._token, self.headers, self._body)
        except Exception:  # noqa: BLE001 - the usual way meets the same, and words it
            self._go_the_usual_way()
            super().on_message_complete()
            return
        self._token = None
        whole = Whole(self, sent, arrival)
        self.cycle = whole  # type: ignore[assignment]  # - it has what uvicorn asks of one
        self.tasks.add(whole)  # type: ignore[arg-type]  # - likewise
        self.door.book_whole(whole)

    # The two ways.

    def _is_plain(self) -> bool:
        """Tell whether a POST to a ping URL has nothing to it that needs more than its body."""
        parser, before = self.parser, cast("RequestResponseCycle | None", self.cycle)
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return False
        if not parser.should_keep_alive() or parser.should_upgrade():
            return False
        if self.limit_concurrency is not None or (
            before is not None and not before.response_complete
        ):
            return False
        return UNUSUAL.isdisjoint([name for name, _ in self.headers])

    def _make_scope(self) -> None:
        url, headers, expect_100_continue = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect_100_continue
        self.headers.extend(headers)

    def _go_the_usual_way(self) -> None:
        """Let uvicorn have a request from its headers on."""
        body, self._token = self._body, None
        self._make_scope()
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def settle(self, whole: Whole, answer: Answer) -> None:
        """Answer a ping as the writer told: the usual way where it is not simply booked."""
        self.tasks.discard(whole)
        if whole.disconnected or self.transport.is_closing():
            whole.response_complete = True
            return
        body = self.door.plain_answer(whole.arrival, answer)
        if body is None:
            self._let_the_door_tell(whole, answer)
        else:
            self._write(whole, body)

    def _write(self, whole: Whole, body: bytes) -> None:
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if not whole.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(
            b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (b"".join(lines), len(body), body)
        )
        whole.response_complete = True
        if not whole.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        """Begin to wait for the next request, as long as `PatientProtocol` does."""
        self.server_state.total_requests += 1
        self.waiting_since = self.loop.time()
        self.begun = False
        self.flow.resume_reading()

    def _let_the_door_tell(self, whole: Whole, answer: Answer) -> None:
        whole.response_complete = True
        cycle = RequestResponseCycle(
            scope={"type": "http", "method": "POST", "http_version": "1.1"},  # type: ignore[typeddict-item]  # - all that it reads
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=whole.keep_alive,
            on_response=self.on_response_complete,
        )
        if cast("object", self.cycle) is whole:
            self.cycle = cycle
        conclusion: Any = self.door.conclusion(whole.sent, whole.arrival, answer)
        self._start_asgi_task(cycle, conclusion)


def swift_protocol(to: PingDoor) -> type[SwiftProtocol]:
    """Return the protocol that hands pings to a door."""
    return type("SwiftProtocolOfDoor", (SwiftProtocol,), {"door": to})
