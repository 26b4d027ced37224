"""Connections to strangers: to an address that was checked, and never for longer than agreed."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from server_stub.domain.address import is_public
from telemhq_agents.clock import monotonic_ns

Resolver = Callable[[str, int], list[str]]
"""Returns the addresses of a host, as text; raises OSError."""

NS_PER_SECOND = 1_000_000_000


class UnreachableReceiverError(Exception):
    """No connection was made; the message says why. `hopeless`: nor will there be another time."""

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        super().__init__(message)
        self.hopeless = hopeless


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the clock that nobody sets."""

    at_ns: int

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the moment so many seconds from now."""
        return cls(monotonic_ns() + int(seconds * NS_PER_SECOND))

    def left(self) -> float:
        """Return the seconds that are left. Raises TimeoutError where there are none."""
        left = (self.at_ns - monotonic_ns()) / NS_PER_SECOND
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def system_resolver(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows of a host, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Dialler:
    """Opens connections; with `allow_private` also to addresses that are not the public internet's.

    What was checked is what is connected to: no second look-up can lead elsewhere.
    """

    allow_private: bool
    tls: ssl.SSLContext
    resolver: Resolver = system_resolver

    def connect(self, host: str, port: int, deadline: Deadline, *, secure: bool) -> socket.socket:
        """Return a connection. Raises UnreachableReceiverError, OSError (TimeoutError, SSLError)."""
        trouble: OSError | None = None
        addresses = self._addresses(host, port, deadline)
        for place, address in enumerate(addresses):
            share = deadline.left() / (len(addresses) - place)
            try:
                plain = socket.create_connection((address, port), timeout=share)
            except OSError as error:
                trouble = error
            else:
                return self._secured(plain, host, deadline) if secure else plain
        raise trouble or UnreachableReceiverError(f"{host} has no address")

    def _addresses(self, host: str, port: int, deadline: Deadline) -> list[str]:
        found = self._resolved(host, port, deadline)
        if self.allow_private:
            return found
        public = [address for address in found if is_public(address)]
        if found and not public:
            raise UnreachableReceiverError(
                f"{host} is {found[0]}, which is not an address of the public internet;"
                " the server's operator may allow that"
            )
        return public

    def _resolved(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """Ask for addresses in a thread of its own: a resolver takes no deadline."""
        answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self.resolver(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        threading.Thread(target=ask, name="telemhq-resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=deadline.left())
        except Empty:
            raise TimeoutError(f"looking {host} up took too long") from None
        if isinstance(answer, OSError):
            raise UnreachableReceiverError(f"{host} cannot be looked up: {_said(answer)}")
        return answer

    def _secured(self, plain: socket.socket, host: str, deadline: Deadline) -> socket.socket:
        try:
            plain.settimeout(deadline.left())
            return self.tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


class TimedSocket:
    """A socket as http.client wants it, all of whose reads end by one deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, content: bytes) -> None:
        """Send all by the deadline."""
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(content)

    def makefile(self, *_mode: str) -> io.BufferedReader:
        """Return what is received as a file."""
        return io.BufferedReader(_TimedReader(self._socket, self._deadline))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - io's own signature
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)


def _said(error: OSError) -> str:
    return error.strerror or str(error)
