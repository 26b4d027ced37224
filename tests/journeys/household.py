"""Real processes for whole stories: a server, people with homes, and a line that can be cut."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.envelopes import data_of
from tools.demo import TELEMHQ, environ_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Person:
    """Somebody with a home; every file of ours lies below it."""

    home: Path

    @property
    def environ(self) -> dict[str, str]:
        return environ_of(self.home)

    def run(self, *arguments: str, given: str | None = None, code: int | None = 0) -> str:
        """Run `telemhq …` to its end; `code` None takes any exit code."""
        done = subprocess.run(
            [*TELEMHQ, *arguments],
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code is None or done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout

    def asks(self, *arguments: str) -> Any:
        return data_of(self.run(*arguments, "--json"))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `telemhq …` and leave it running."""
        return subprocess.Popen(
            [*TELEMHQ, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 and reap; a process that has ended already is left as it is."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()


@dataclass
class Server:
    """A server process on a port of its own that can die and come back."""

    environ: dict[str, str]
    port: int
    program: tuple[str, ...] = (*TELEMHQ, "server", "run")
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.program, "--port", str(self.port)],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_until_up()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.02)
        raise AssertionError("the server did not come up within 30 s")

    def kill(self) -> None:
        assert self.process is not None
        kill(self.process)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)


@dataclass
class Line:
    """A TCP line to the server that tells of each request it has just passed on.

    `on_request` is called with the running number of pings passed on, after the server's socket
    has taken the request and before any of the answer is passed back: a send is in flight. `heard`
    is every byte that went to the server.
    """

    target: int
    on_request: Callable[[int], None]
    pings: int = 0
    heard: bytearray = field(default_factory=bytearray)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        number: int = self.listener.getsockname()[1]
        return number

    def serve(self) -> None:
        self.threads.append(threading.Thread(target=self._accept, daemon=True))
        self.threads[0].start()

    def close(self) -> None:
        """Take no more connections; those that stand end with their ends."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                carrier = threading.Thread(target=self._carry, args=(client,), daemon=True)
                self.threads.append(carrier)
                carrier.start()

    def _carry(self, client: socket.socket) -> None:
        near = ("127.0.0.1", self.target)
        with client, contextlib.suppress(OSError), socket.create_connection(near, 5) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [], 60)
                if not ready or not self._pass_on(client, server, ready):
                    return

    def _pass_on(
        self, client: socket.socket, server: socket.socket, ready: list[socket.socket]
    ) -> bool:
        if client in ready:
            data = client.recv(65536)
            with self.lock:
                self.heard += data
            server.sendall(data)
            if data.rstrip().endswith(b"}"):
                with self.lock:
                    self.pings += 1
                    self.on_request(self.pings)
            if not data:
                return False
        if server in ready:
            data = server.recv(65536)
            client.sendall(data)
            return bool(data)
        return True


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
