"""Receivers of webhooks and mail, on loopback, that do what receivers do."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: `POST /path`, headers by their names in lower case, the body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A TCP server that answers every connection by one behaviour."""

    behave: Callable[[Receiver, socket.socket], None]
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    _listening: socket.socket = field(default_factory=socket.socket)

    def start(self) -> None:
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(64)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/in?key=1"

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with connected, suppress(OSError):
            connected.settimeout(PATIENCE_SECONDS)
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_side=True)
            self.behave(self, connected)
            connected.close()

    def take(self, connected: socket.socket) -> Received:
        """Read a request."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += connected.recv(4096) or b"\r\n\r\n"
        top, _, body = head.partition(b"\r\n\r\n")
        line, *rest = top.decode().split("\r\n")
        headers = dict(one.split(": ", 1) for one in rest)
        lower = {name.lower(): value for name, value in headers.items()}
        while len(body) < int(lower.get("content-length", "0")):
            body += connected.recv(4096)
        received = Received(line.removesuffix(" HTTP/1.1"), lower, body)
        self.requests.append(received)
        return received


@contextmanager
def receiving(
    behave: Callable[[Receiver, socket.socket], None], tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run a receiver until the block ends."""
    receiver = Receiver(behave, tls)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def answering(
    status: str = "204 No Content", body: str = "", **headers: str
) -> Callable[[Receiver, socket.socket], None]:
    """Answer every request with this."""

    def behave(receiver: Receiver, connected: socket.socket) -> None:
        receiver.take(connected)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
        length = f"Content-Length: {len(body.encode())}"
        connected.sendall("\r\n".join([*lines, length, "", body]).encode())

    return behave


def hanging(receiver: Receiver, connected: socket.socket) -> None:
    """Take the request and never answer."""
    receiver.take(connected)
    receiver.closing.wait(PATIENCE_SECONDS)


def dropping(receiver: Receiver, connected: socket.socket) -> None:
    """Take the request and close."""
    receiver.take(connected)


def babbling(receiver: Receiver, connected: socket.socket) -> None:
    """Speak something that is no HTTP."""
    receiver.take(connected)
    connected.sendall(b"220 ready when you are\r\n" * 3)


def endless(receiver: Receiver, connected: socket.socket) -> None:
    """Answer 200 with a body that never ends."""
    receiver.take(connected)
    connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not receiver.closing.is_set():
        connected.sendall(b"x" * 65536)


def dribbling(receiver: Receiver, connected: socket.socket) -> None:
    """Answer with a header that never ends, a byte at a time."""
    receiver.take(connected)
    connected.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not receiver.closing.wait(0.02):
        connected.sendall(b"x")


def cut_short(receiver: Receiver, connected: socket.socket) -> None:
    """Answer 200 and break off in the middle of the body."""
    receiver.take(connected)
    connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def badly_chunked(receiver: Receiver, connected: socket.socket) -> None:
    """Answer 200 with a body in chunks, one of them of a negative size."""
    receiver.take(connected)
    connected.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhalf")


def certificate(folder: Path, name: str = "hooks.example.com") -> tuple[Path, Path]:
    """Make a certificate for a name and for 127.0.0.1, signed by itself: (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@dataclass(frozen=True, slots=True)
class Tls:
    """Both ends of a secured connection: the receiver's, and a caller's that trusts it."""

    serving: ssl.SSLContext
    calling: ssl.SSLContext


def both_ends(folder: Path) -> Tls:
    """Make a certificate and the contexts of both ends."""
    certificate_path, key_path = certificate(folder)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate_path, key_path)
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_verify_locations(certificate_path)
    return Tls(serving, calling)
