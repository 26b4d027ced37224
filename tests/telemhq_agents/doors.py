"""A ping door on loopback that does as it is told, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, dict[str, str], bytes] | None
RECEIPT = b'{"id":"1","received_at":"2026-11-20T08:00:00.000Z"}'
CAPABLE = {
    "message": "", "ping_url": "", "example": "", "fields": [],
    "capabilities": {"idempotency": True, "corrections": True},
}  # fmt: skip


class Door:
    """Remembers each POST; `answer` decides (None: hang up without a word)."""

    def __init__(self, answer: Callable[[str, bytes], Answer], instructions: object) -> None:
        self.answer = answer
        self.instructions = instructions
        self.seen: list[tuple[str, str, bytes]] = []
        self.url = ""
        self.content_types: list[str] = []


def receipt(_key: str, _body: bytes) -> Answer:
    return 200, {}, RECEIPT


@contextmanager
def open_door(
    answer: Callable[[str, bytes], Answer] = receipt, instructions: object = CAPABLE
) -> Iterator[Door]:
    door = Door(answer, instructions)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(door))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    door.url = f"http://127.0.0.1:{server.server_port}/ping/secret"
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dripping_door() -> Iterator[str]:
    """A door that answers one request at a time, a byte of a header at a time, and never ends."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        line, _ = listener.accept()
        with line, suppress(OSError):
            line.recv(65_536)
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.02):
                line.sendall(b"x")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/ping/secret"
    finally:
        over.set()
        thread.join()
        listener.close()


def _handler(door: Door) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer((200, {}, json.dumps(door.instructions).encode()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            key = self.headers.get("Idempotency-Key", "")
            door.seen.append((self.path, key, body))
            door.content_types.append(self.headers.get("Content-Type", ""))
            self._answer(door.answer(key, body))

        def _answer(self, answer: Answer) -> None:
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    return Handler
