"""Runs the server: schema, socket, uvicorn; ends cleanly on SIGTERM and SIGINT."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn

from server_stub.app import create_app
from server_stub.store.migrate import upgrade
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from server_stub.settings import Settings

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
    bound = _bind(settings.host, settings.port)
    if not settings.public_url and not ip_address(bound.getsockname()[0]).is_loopback:
        LOG.warning(LINKS_FOLLOW_HOST)
    url = _url(bound)
    config = http_config(create_app(settings))
    return _Server(config, lambda: ready(url)), bound


def http_config(app: ASGIApp) -> uvicorn.Config:
    """Return how HTTP is spoken here, whatever the application: uvloop, httptools, no access log."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Bring the schema up, serve until SIGTERM or SIGINT, finish what was accepted.

    `ready` is called with the server's URL once it listens; with port 0 that is where the real one
    is told. Raises SettingsError (address taken, database newer) and UnreachableError (database).
    """
    upgrade(settings.database_url)
    server, bound = make_server(settings, ready or (lambda _url: None))
    with bound:
        _tune_interpreter()
        server.run(sockets=[bound])


def _tune_interpreter() -> None:
    """Fit the process to two busy threads, the event loop and the writer.

    What was loaded at start is kept out of every later garbage collection: a full one stops the
    server for tens of milliseconds. The writer, which needs the interpreter's lock a dozen times
    a batch, gets it after 5 microseconds instead of 5 milliseconds.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)


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
