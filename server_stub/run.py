"""Runs the server: schema, socket, uvicorn; ends cleanly on SIGTERM and SIGINT."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn

from server_stub.app import create_app
from server_stub.connections import PatientProtocol, allow_many_connections
from server_stub.ingest.swift import swift_protocol
from server_stub.processes import supervise
from server_stub.store.engine import make_writer
from server_stub.store.line import GARBAGE_THRESHOLDS, fork_booker
from server_stub.store.migrate import upgrade
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from server_stub.settings import Settings
    from server_stub.store.line import BookingLine

BACKLOG = 2048
SWITCH_SECONDS = 0.000005
LOG = logging.getLogger("telemhq.server")
LINKS_FOLLOW_HOST = (
    "TELEMHQ_PUBLIC_URL is not set: invitation links and ping URLs name whatever host a request"
    " claims to be for. Set it to the URL by which others reach this server."
)
GRACE_SECONDS = 10
"""How long open requests may take to finish once the server was told to stop."""


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; to stop when told to is no death by signal."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then tell."""
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


def make_server(
    settings: Settings, ready: Callable[[str], None]
) -> tuple[uvicorn.Server, socket.socket]:
    """Return a server that is not running yet and its bound socket. Raises SettingsError."""
    bound = _listening(settings)
    url = _url(bound)
    return _server(settings, lambda: ready(url)), bound


def _server(
    settings: Settings, ready: Callable[[], None], line: BookingLine | None = None
) -> uvicorn.Server:
    app = create_app(settings, line)
    return _Server(http_config(app, swift_protocol(app.door)), ready)


def http_config(app: ASGIApp, protocol: type[PatientProtocol] = PatientProtocol) -> uvicorn.Config:
    """Return how HTTP is spoken here, whatever the application: uvloop, httptools, no access log."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def serve(
    settings: Settings, *, ready: Callable[[str], None] | None = None, workers: int = 1
) -> None:
    """Bring the schema up, serve until SIGTERM or SIGINT, finish what was accepted.

    `ready` is called with the server's URL once it listens; with port 0 that is where the real one
    is told. `workers` is how many processes serve; several need PostgreSQL. Raises SettingsError
    (address taken, database newer or SQLite), UnreachableError (database), TelemhqError (a process
    that does not start).
    """
    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise SettingsError(
            f"SQLite takes one server process, not {workers}",
            "leave --workers out, or move to PostgreSQL: telemhq server migrate-database FROM TO",
        )
    upgrade(settings.database_url)
    told = ready or (lambda _url: None)
    with _listening(settings) as bound:
        url = _url(bound)
        if workers == 1:
            _serve_on(settings, bound, lambda: told(url))
            return
        # One socket for all: whoever is free takes the next connection, and where a process dies
        # the others take those that wait.
        supervise(
            workers,
            work=lambda up: _serve_on(settings, bound, up),
            ready=lambda: told(url),
            ending=bound.close,
        )


def _serve_on(settings: Settings, bound: socket.socket, ready: Callable[[], None]) -> None:
    line = fork_booker(partial(make_writer, settings.database_url))
    server = _server(settings, ready, line)
    _tune_interpreter()
    allow_many_connections()
    server.run(sockets=[bound])


def _tune_interpreter() -> None:
    """Fit the process to an event loop and to threads that write and read.

    What was loaded at start is kept out of every later garbage collection: a full one stops the
    server for tens of milliseconds. Whoever needs the interpreter's lock, the event loop above all,
    gets it after 5 microseconds instead of 5 milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)


def _listening(settings: Settings) -> socket.socket:
    bound = _bind(settings.host, settings.port)
    if not settings.public_url and not ip_address(bound.getsockname()[0]).is_loopback:
        LOG.warning(LINKS_FOLLOW_HOST)
    return bound


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"cannot listen on {host} port {port}: {said}",
            "name another address with TELEMHQ_HOST and TELEMHQ_PORT (0 for any free port)",
        ) from error


def _url(bound: socket.socket) -> str:
    """Return the URL of a bound socket; one that listens everywhere is reached on loopback."""
    host, port = bound.getsockname()[:2]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not bound
    host = everywhere.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
