"""Posting to webhooks, within ten seconds, whatever the receiver does.

Signed as Standard Webhooks says:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from standardwebhooks import Webhook

from server_stub.domain.channel import clean_url
from server_stub.domain.delivery import Attempt
from server_stub.notify.letters import one_line
from server_stub.notify.lines import Deadline, TimedSocket, UnreachableReceiverError
from telemhq_agents.clock import monotonic_ns
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.notify.lines import Dialler

SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024
MOST_REDIRECTS = 3
SHOWN_CHARACTERS = 200
LONGEST_ERROR = 300
USER_AGENT = "TelemHQ-Webhook/1"
KEEPING_REDIRECTS = frozenset({307, 308})
"""Those that ask for the same request elsewhere; others would turn it into a GET without a body."""

MS_PER_SECOND = 1000
GONE = 410


@dataclass(frozen=True, slots=True)
class Posting:
    """A body and its headers on their way to a URL."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status, the beginning of its body, and two of its headers."""

    status: int
    beginning: str
    location: str = ""
    retry_after: str = ""


def posting(
    url: str, content: Mapping[str, Any], message_id: str, secrets: Sequence[str], now_ms: int
) -> Posting:
    """Return the request for a message, signed with each of the secrets."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    moment = datetime.fromtimestamp(now_ms // MS_PER_SECOND, UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // MS_PER_SECOND),
    }
    if secrets:
        signatures = [Webhook(secret).sign(message_id, moment, body) for secret in secrets]
        headers["webhook-signature"] = " ".join(signatures)
    return Posting(url, body.encode(), headers)


def send(request: Posting, dialler: Dialler, now_ms: int, seconds: float = SECONDS) -> Attempt:
    """Post, follow up to three redirects that keep the request, and tell how it went."""
    started_ns = monotonic_ns()
    deadline = Deadline.after(seconds)

    def attempt(error: str, **more: Any) -> Attempt:  # noqa: ANN401 - Attempt's own fields
        took_ms = (monotonic_ns() - started_ns) // 1_000_000
        # Receivers are quoted: what they send must neither move a terminal nor fail to be stored.
        return Attempt(now_ms, took_ms, one_line(error, LONGEST_ERROR), **more)

    try:
        for _ in range(MOST_REDIRECTS + 1):
            answer = _ask(request, dialler, deadline)
            if answer.status not in KEEPING_REDIRECTS or not answer.location:
                break
            request = replace(request, url=_elsewhere(request.url, answer.location))
    except UnreachableReceiverError as error:
        return attempt(str(error), hopeless=error.hopeless)
    except TimeoutError:
        return attempt(f"no answer within {seconds:g} seconds")
    except ssl.SSLError as error:
        return attempt(f"no secure connection: {_of_tls(error)}")
    except (OSError, http.client.HTTPException) as error:
        return attempt(_of_connection(error))
    return attempt(
        _complaint(answer),
        http_status=answer.status,
        hopeless=answer.status == GONE,
        retry_after_ms=_retry_after_ms(answer.retry_after, now_ms),
    )


def _ask(request: Posting, dialler: Dialler, deadline: Deadline) -> Answer:
    parts = urlsplit(request.url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    connected = dialler.connect(host, port, deadline, secure=secure)
    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443 if secure else 80
    connection.sock = TimedSocket(connected, deadline)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, request.body, {**request.headers, "Connection": "close"})
        return _read(connection.getresponse())
    finally:
        connection.close()
        connected.close()


def _read(response: http.client.HTTPResponse) -> Answer:
    """Read no more of an answer than is looked at; an endless one ends here."""
    try:
        content = response.read(LARGEST_ANSWER)
    except (OSError, ValueError, http.client.HTTPException):
        content = b""  # The status has come: whatever the body lacks, the message was taken or not.
    beginning = one_line(content.decode("utf-8", "replace"), SHOWN_CHARACTERS)
    header = response.headers.get
    return Answer(response.status, beginning, header("Location", ""), header("Retry-After", ""))


def _elsewhere(url: str, location: str) -> str:
    """Return where a redirect leads. Raises UnreachableReceiverError for what no webhook may be."""
    try:
        target = clean_url(urljoin(url, location))
    except (UsageError, ValueError) as error:
        raise UnreachableReceiverError("it redirects to what is no webhook URL") from error
    if url.startswith("https:") and not target.startswith("https:"):
        raise UnreachableReceiverError("it redirects from https to http")
    return target


def _complaint(answer: Answer) -> str:
    """Say what is wrong with an answer; "" where it is one of success."""
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own
        return ""
    if answer.status in KEEPING_REDIRECTS and answer.location:
        return f"it redirects more than {MOST_REDIRECTS} times"
    if 300 <= answer.status < 400 and answer.location:  # noqa: PLR2004 - HTTP's own
        return f"answered {answer.status}: it moved to {answer.location[:SHOWN_CHARACTERS]}"
    said = f": {answer.beginning}" if answer.beginning else ""
    return f"answered {answer.status}{said}"


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or str(error)


def _of_connection(error: Exception) -> str:
    if isinstance(error, http.client.HTTPException):
        return f"no answer of HTTP: {type(error).__name__}"
    said = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return f"no connection: {said or type(error).__name__}"


def _retry_after_ms(text: str, now_ms: int) -> int | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdigit():
        return int(text[:9]) * MS_PER_SECOND
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    at_ms = int(moment.timestamp() * MS_PER_SECOND)
    return max(0, at_ms - now_ms)
