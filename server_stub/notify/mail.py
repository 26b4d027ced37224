"""Mail over SMTP: one message at a time, within half a minute, whatever the server does."""

from __future__ import annotations

import smtplib
import socket
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from threading import Timer
from typing import TYPE_CHECKING, Any

from server_stub.domain.delivery import Attempt
from server_stub.notify.letters import one_line
from server_stub.settings import Security
from telemhq_agents.clock import monotonic_ns

if TYPE_CHECKING:
    import ssl

    from server_stub.notify.letters import Letter
    from server_stub.settings import MailServer

ANSWER_SECONDS = 10.0
WHOLE = 3
LONGEST_ERROR = 300
MS_PER_SECOND = 1000
READY = 220
PERMANENT = 500
SIGN_IN_CODES = frozenset({530, 534, 535, 538})
"""It wants us to sign in, which an operator can mend (RFC 4954)."""


def message(
    letter: Letter,
    *,
    sender: str,
    receiver: str,
    message_id: str,
    born_ms: int,
    stop_link: str = "",
) -> EmailMessage:
    """Return a mail that is the same whenever it is made. Raises ValueError for a bad address."""
    made = EmailMessage(policy=SMTP)
    made["From"] = _mailbox(sender)
    made["To"] = _receiver(receiver)
    made["Subject"] = one_line(letter.subject)
    made["Date"] = format_datetime(datetime.fromtimestamp(born_ms // MS_PER_SECOND, UTC))
    host = sender.rpartition("@")[2].removesuffix(">")
    made["Message-ID"] = f"<{message_id}@{host}>"
    made["Auto-Submitted"] = "auto-generated"
    if stop_link:
        # One click, no page: RFC 8058.
        made["List-Unsubscribe"] = f"<{stop_link}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(letter.text)
    made.add_alternative(letter.html, subtype="html")
    made.set_boundary(f"=_{message_id}")
    return made


def _receiver(address: str) -> Address:
    """Return an address, also one of RFC 6531, which `addr_spec` refuses to read."""
    if address.isascii():
        return Address(addr_spec=address)
    local, _, host = address.rpartition("@")
    return Address(username=local, domain=host)


def _mailbox(text: str) -> Address:
    name, _, address = text.rpartition("<")
    return Address(one_line(name), addr_spec=address.removesuffix(">"))


def send(
    made: EmailMessage,
    server: MailServer,
    tls: ssl.SSLContext,
    now_ms: int,
    seconds: float = ANSWER_SECONDS,
) -> Attempt:
    """Hand a message to the server and tell how it went.

    The server has `seconds` for each answer and three times that for all of them.
    """
    started_ns = monotonic_ns()
    error, hopeless = "", False
    try:
        _hand_over(made, server, tls, seconds)
    except OSError as trouble:  # every SMTPException is one
        error, hopeless = _told(trouble)
    took_ms = (monotonic_ns() - started_ns) // 1_000_000
    return Attempt(now_ms, took_ms, one_line(error, LONGEST_ERROR), hopeless=hopeless)


def _told(trouble: OSError) -> tuple[str, bool]:
    """Say what went wrong, and whether it would go wrong again and again with this message."""
    if isinstance(trouble, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(trouble.recipients.values()))
        return _refused("the receiver", code, said), _is_hopeless(code)
    if isinstance(trouble, smtplib.SMTPDataError | smtplib.SMTPSenderRefused):
        code = trouble.smtp_code
        return _refused("the message", code, trouble.smtp_error), _is_hopeless(code)
    if isinstance(trouble, smtplib.SMTPResponseException):
        return _refused("us", trouble.smtp_code, trouble.smtp_error), False
    if isinstance(trouble, smtplib.SMTPNotSupportedError):
        return f"the SMTP server cannot do this: {trouble}", False
    if isinstance(trouble, TimeoutError):
        return "the SMTP server gave no answer in time", False
    why = trouble.strerror or str(trouble) or type(trouble).__name__
    return f"no connection to the SMTP server: {why}", False


def _is_hopeless(code: int) -> bool:
    return code >= PERMANENT and code not in SIGN_IN_CODES


def _hand_over(made: EmailMessage, server: MailServer, tls: ssl.SSLContext, seconds: float) -> None:
    connection = _conversation(server, tls, seconds)
    end = Timer(WHOLE * seconds, _cut, [connection])
    end.daemon = True
    end.start()
    try:
        code, said = connection.connect(server.host, server.port)
        if code != READY:
            raise smtplib.SMTPConnectError(code, said)
        if server.security is Security.STARTTLS:
            connection.starttls(context=tls)
        if server.user:
            connection.login(server.user, server.password)
        connection.send_message(made)
        # It has been taken: a server that says goodbye badly changes nothing.
        with suppress(OSError):
            connection.quit()
    finally:
        end.cancel()
        connection.close()


def _conversation(server: MailServer, tls: ssl.SSLContext, seconds: float) -> smtplib.SMTP:
    """Return a conversation that has not begun, so that it can be cut before the greeting ends."""
    # Told who we are, it does not ask the resolver, which may take its time.
    options: dict[str, Any] = {"timeout": seconds, "local_hostname": _own_name()}
    made = (
        smtplib.SMTP_SSL(context=tls, **options)
        if server.security is Security.TLS
        else smtplib.SMTP(**options)
    )
    # `connect` does not keep the name that the certificate is checked against.
    made._host = server.host  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return made


def _own_name() -> str:
    """Return how this machine greets: its whole name, or an address where it has none (RFC 5321)."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _cut(connection: smtplib.SMTP) -> None:
    """End a conversation that goes on and on; whoever waits in it gets an error."""
    held = connection.sock
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def _refused(what: str, code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"the SMTP server refuses {what}: {code} {text}"
