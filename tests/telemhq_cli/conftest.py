from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_THE_TESTS = {"PYTHON_KEYRING_BACKEND", "COLUMNS", "LINES"}
"""Variables that are none of a person's: pytest's workers have a size of the window set."""

TELEMHQ = (sys.executable, "-m", "telemhq_cli.main")


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")


@dataclass
class PingServer:
    """A real HTTP server that keeps what it was told and answers as it is set to."""

    status: int = 200
    answer: dict[str, Any] = field(
        default_factory=lambda: {"ok": True, "id": "1", "received_at": "x"}
    )
    capabilities: dict[str, Any] | None = field(
        default_factory=lambda: {
            "idempotency": True,
            "corrections": True,
            "verbs": [],
            "max_body_bytes": 65536,
        }
    )
    hangs: bool = False
    posts_hang: bool = False
    describes: threading.Event | None = None
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def ping_url(self) -> str:
        return f"{self.url}/ping/tt_made_up_token"

    def hang(self, method: str) -> None:
        if self.hangs or (self.posts_hang and method == "POST"):
            self.released.wait(30)

    def instructions(self) -> dict[str, Any]:
        told = {"message": "how to ping", "ping_url": "", "example": "", "fields": []}
        able = {} if self.capabilities is None else {"capabilities": self.capabilities}
        return told | able

    @property
    def pings(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def wait_for_pings(self, count: int, seconds: float = 10) -> list[Request]:
        deadline = time.monotonic() + seconds
        while len(self.pings) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.pings


def handler_of(server: PingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if self._take():
                self._say(server.status, server.answer)

        def do_GET(self) -> None:
            self._take()
            if server.describes is not None:
                server.describes.wait(30)
            self._say(200, server.instructions())

        def _take(self) -> bool:
            """Keep a request; not one whose sender died in the middle of it."""
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return False
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Request(self.command, self.path, headers, body))
            server.hang(self.command)
            return True

        def _say(self, status: int, document: dict[str, Any]) -> None:
            data = json.dumps(document).encode()
            kind = "application/json" if status < 400 else "application/problem+json"
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def ping_server() -> Iterator[PingServer]:
    server = PingServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(
        target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield server
    server.released.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def dripping_url() -> Iterator[str]:
    """Where a server answers every request, a byte of a header at a time, and never ends."""
    over = threading.Event()
    door = socket.create_server(("127.0.0.1", 0))
    door.settimeout(0.05)

    def drip(line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            line.recv(65_536)
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.05):
                line.sendall(b"x")

    def serve() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=drip, args=(door.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    over.set()
    thread.join()
    door.close()


@dataclass
class Machine:
    """A person's machine: one home, and `telemhq` run in it as a real process."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> Path:
        return self.home / "telemhq"

    @property
    def spool(self) -> Path:
        return self.ours / "spool"

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TELEMHQ_", "COV_")) and name not in OF_THE_TESTS
        }
        return {
            **kept,
            "HOME": str(self.home),
            "TELEMHQ_HOME": str(self.ours),
            "CODEX_HOME": str(self.home / "codex"),
            "CLAUDE_CONFIG_DIR": str(self.home / "claude"),
            "NO_COLOR": "1",
            **self.extra,
        }

    def run(
        self, *arguments: str, given: str | bytes | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TELEMHQ, *arguments],
            env=self.environ,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*TELEMHQ, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
        )

    def left_behind(self) -> list[Path]:
        if not self.spool.exists():
            return []
        return sorted(path for path in self.spool.rglob("*") if path.is_file())


@pytest.fixture(autouse=True, scope="session")
def letters_for_everything() -> Iterator[None]:
    """Whatever locale the tests are run in: those about another one name it themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C.UTF-8")
        yield


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home)
