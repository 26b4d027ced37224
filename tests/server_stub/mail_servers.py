"""SMTP servers on loopback: aiosmtpd for good ones, bare sockets for bad ones."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from server_stub.settings import MailServer, Security

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session

SENDER = "TelemHQ <telemhq@example.com>"
USER, PASSWORD = "telemhq", "open sesame"


@dataclass
class Letterbox:
    """What an SMTP server took; `answer` is what it says to each mail instead of taking it."""

    answer: str = ""
    receivers: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    attempts: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, *given: Any
    ) -> str:
        _server, _session, envelope, address, _options = given
        if address.startswith("unknown"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.attempts += 1
        if self.answer:
            return self.answer
        self.receivers += envelope.rcpt_tos
        self.contents.append(cast("bytes", envelope.original_content))
        return "250 taken"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one, policy=default) for one in self.contents]


def _sign_in(
    _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
) -> AuthResult:
    held = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=given == held, handled=False)


@contextmanager
def taking_mail(
    tls: ssl.SSLContext | None = None, answer: str = ""
) -> Iterator[tuple[Letterbox, MailServer]]:
    """Run an SMTP server; with `tls` it offers STARTTLS and wants to be signed in to."""
    box = Letterbox(answer)
    options: dict[str, Any] = (
        {"tls_context": tls, "authenticator": _sign_in, "auth_required": True} if tls else {}
    )
    controller = Controller(box, hostname="127.0.0.1", port=_free_port(), **options)
    controller.start()
    security = Security.STARTTLS if tls else Security.NONE
    user, password = (USER, PASSWORD) if tls else ("", "")
    try:
        yield box, MailServer("127.0.0.1", controller.port, security, SENDER, user, password)
    finally:
        controller.stop()


@contextmanager
def speaking(*lines: bytes, hang: bool = False, endless: bytes = b"") -> Iterator[MailServer]:
    """Run a server that says these lines, one for each that it hears.

    Then it closes, or hangs, or says the `endless` one again and again.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        end = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connected, _ = listening.accept()
                    threading.Thread(target=talk, args=(connected,), daemon=True).start()

        def talk(connected: socket.socket) -> None:
            with connected, suppress(OSError):
                connected.settimeout(5)
                for line in lines:
                    connected.sendall(line)
                    connected.recv(4096)
                while endless and not end.wait(0.02):
                    connected.sendall(endless)
                if hang:
                    end.wait(5)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield MailServer("127.0.0.1", listening.getsockname()[1], Security.NONE, SENDER)
        finally:
            end.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
