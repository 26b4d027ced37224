"""Both model APIs on loopback, with a log of every request and of what it was handed."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

from tools.fake_model import messages_api, responses_api
from tools.fake_model.plays import (
    REPERTOIRE,
    Asked,
    Plays,
    Purpose,
    Refuse,
    Stall,
    Step,
    Usage,
    claude_usage,
    codex_usage,
    step_of,
)

LONGEST_STALL_S = 120
Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One vendor's way to ask and to answer."""

    source: str
    session_header: str
    understand: Callable[[Request], Asked]
    answer: Callable[[Step, Usage, Request, int], Iterator[bytes]]
    refusal: Callable[[int, int], dict[str, Any]]
    usage: Callable[[int], Usage]


APIS = {
    "/v1/messages": Api(
        "claude",
        "x-claude-code-session-id",
        messages_api.understand,
        messages_api.answer,
        messages_api.refusal,
        claude_usage,
    ),
    "/v1/responses": Api(
        "codex",
        "session-id",
        responses_api.understand,
        responses_api.answer,
        responses_api.refusal,
        codex_usage,
    ),
}


@dataclass(frozen=True, slots=True)
class Handed:
    """One request and what was handed out for it: no usage unless it was told to the end.

    An answer that was `cut_off` began as any other, and never came to its end.
    """

    number: int
    source: str
    session: str
    model: str
    purpose: Purpose
    play: str
    status: int
    usage: Usage
    at_ms: int
    cut_off: bool = False


@dataclass
class FakeModel:
    """Answers as its plays say and remembers what it handed out."""

    plays: Plays
    handed: list[Handed] = field(default_factory=list)
    refused_paths: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        """Where the APIs are, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def next_number(self) -> int:
        """Return the running number of a request, from 1."""
        with self.lock:
            self.numbers += 1
            return self.numbers

    def remember(self, entry: Handed) -> None:
        """Add to the log; `handed` is in the order of the ends, not of the requests."""
        with self.lock:
            self.handed.append(entry)


@contextlib.contextmanager
def serving(plays: Plays = REPERTOIRE, port: int = 0) -> Iterator[FakeModel]:
    """Serve on loopback, on a free port unless one is named, until the block ends."""
    model = FakeModel(plays)

    class OfThisModel(Door):
        fake = model

    server = ThreadingHTTPServer(("127.0.0.1", port), OfThisModel)
    server.daemon_threads = True
    model.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class Door(BaseHTTPRequestHandler):
    """Reads a request, picks the step of its play, streams the answer."""

    protocol_version = "HTTP/1.1"
    fake: FakeModel

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        self._unknown()

    def do_POST(self) -> None:
        body = self._body()
        api = APIS.get(self.path.partition("?")[0])
        if api is None:
            self._unknown()
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client was killed
            self._play(api, json.loads(body))

    def _play(self, api: Api, request: Request) -> None:
        number = self.fake.next_number()
        asked = api.understand(request)
        step = step_of(self.fake.plays, asked)
        if isinstance(step, Refuse):
            self._remember(api, number, asked, step, Usage())
            self._json(step.status, api.refusal(step.status, number))
            return
        usage = api.usage(number)
        *first, last = api.answer(step, usage, request, number)
        self._begin_stream(number)
        self.wfile.write(b"".join(first))
        if isinstance(step, Stall):
            self._remember(api, number, asked, step, Usage())
            self.wfile.write(last)
            self.fake.stalled.set()
            self.fake.closing.wait(LONGEST_STALL_S)
            return
        # Before the last event: whoever has read it finds it in the log.
        self._remember(api, number, asked, step, usage)
        self.wfile.write(last)

    def _remember(self, api: Api, number: int, asked: Asked, step: Step, usage: Usage) -> None:
        self.fake.remember(
            Handed(
                number,
                api.source,
                self.headers.get(api.session_header, ""),
                asked.model,
                asked.purpose,
                asked.play,
                step.status if isinstance(step, Refuse) else 200,
                usage,
                time.time_ns() // 1_000_000,
                isinstance(step, Stall),
            )
        )

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.headers.get("Content-Encoding"):
            case "gzip":
                return gzip.decompress(body)
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
            case _:
                return body

    def _begin_stream(self, number: int) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.send_header("request-id", f"req_fake{number:06d}")
        self.end_headers()

    def _unknown(self) -> None:
        self.fake.refused_paths.append(f"{self.command} {self.path}")
        self._json(404, {"error": {"type": "not_found_error", "message": self.path}})

    def _json(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
