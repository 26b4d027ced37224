"""Channels: which kinds there are, what may stand in one, and the secrets that go with it. Pure."""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from server_stub.domain.naming import clean_email
from server_stub.domain.problem import ProblemError
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.rules import Channel, ChannelKind
from telemhq_agents.errors import UsageError

WEBHOOK_KINDS = tuple(kind.value for kind in ChannelKind if kind is not ChannelKind.EMAIL)
SIGNED_KINDS = frozenset({ChannelKind.WEBHOOK, ChannelKind.GENERIC})
"""Slack and Discord don't look at signatures: their URL is the secret."""

SUMMARY_KIND = "summary"
"""Summaries have a row of their own beside alerts, so that one can be stopped without the other."""

SECRET_OVERLAP_MS = 24 * 60 * 60 * 1000
"""How long both secrets of a webhook sign, once it got another one."""

LONGEST_URL = 2000
_SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret
_SECRET_BYTES = 32
_MAIL_SECRET_BYTES = 18
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an unsubscribe link opens: a row of `channels`, and its secret."""

    account_id: int
    tracker_id: int
    channel_id: int
    secret: str


def clean(channel: Channel) -> Channel:
    """Return a channel as it is stored. Raises UsageError for a bad address or URL."""
    if channel.kind in WEBHOOK_KINDS:
        return replace(channel, target=clean_url(channel.target))
    return replace(channel, target=clean_email(channel.target))


def clean_url(text: str) -> str:
    """Return a webhook's URL, stripped.

    Raises UsageError where it is no http(s) URL, is too long, or holds a user name or password,
    which logs and lists would show.
    """
    url = text.strip()
    shown = f"{url[:100]!r}"
    if len(url) > LONGEST_URL or not (url.isascii() and url.isprintable()) or " " in url:
        raise UsageError(
            f"the webhook URL {shown} is too long or holds blanks or special characters",
            f"Give at most {LONGEST_URL} plain characters; escape others with %.",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise UsageError(
            f"{shown} is no webhook URL", "Give a whole URL such as https://hooks.example.com/in."
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the webhook URL holds a user name or password",
            "Put a secret into its path or query, or check the signature instead.",
        )
    _check_host(parts.hostname, shown)
    return url


def _check_host(host: str, shown: str) -> None:
    """Refuse what resolvers read in ways of their own, such as 0x7f.1 or 2130706433."""
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or not (last.isdigit() or last.startswith("0x")):
        return
    try:
        ip_address(host)
    except ValueError:
        raise UsageError(
            f"{shown} names an address in an unusual form", "Write it as 192.0.2.1, or give a name."
        ) from None


def not_in_plan(plan: str) -> ProblemError:
    """Return how a webhook is refused that an account's plan does not allow."""
    problem = Problem(
        type="webhooks-not-in-plan",
        title=f"The plan {plan} has no webhooks",
        status=402,
        detail="alerts go out by e-mail on every plan",
        next="name an e-mail address instead, or ask who runs this server for another plan",
    )
    return ProblemError(problem)


def new_secret(kind: str) -> str:
    """Mint what a channel of this kind needs: a signing secret, an unsubscribe secret, or nothing.

    A signing secret is 256 random bits, written as Standard Webhooks does.
    """
    if kind in SIGNED_KINDS:
        return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    if kind in {ChannelKind.EMAIL, SUMMARY_KIND}:
        return secrets.token_urlsafe(_MAIL_SECRET_BYTES)
    return ""


def unsubscribe_token(subscription: Subscription) -> str:
    """Write what stands in an unsubscribe link."""
    ids = (subscription.account_id, subscription.tracker_id, subscription.channel_id)
    packed = struct.pack(">qqq", *ids)
    secret = base64.urlsafe_b64decode(subscription.secret)
    return base64.urlsafe_b64encode(packed + secret).decode()


def read_unsubscribe_token(token: str) -> Subscription | None:
    """Read what stands in an unsubscribe link; None where it cannot be one."""
    try:
        packed = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    whole = 3 * _ID_BYTES + _MAIL_SECRET_BYTES
    if len(packed) != whole or len(token) != whole * 4 // 3:
        return None
    account, tracker, channel = struct.unpack_from(">qqq", packed)
    secret = base64.urlsafe_b64encode(packed[3 * _ID_BYTES :]).decode()
    return Subscription(account, tracker, channel, secret)
