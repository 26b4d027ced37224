"""One ping, now, with the standard library alone: what the wrapper tries before it leaves.

The ping lies in the spool by then. Whatever does not work here is somebody else's later try, so
nothing is retried and nothing about the network is raised.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping

TIMEOUT_S = 3.0
LONGEST_ANSWER = 64 * 1024
WORDS_KEPT = 200
_NOT_TAKEN = frozenset({408, 425, 429})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Outcome(Enum):
    """DELIVERED and DUPLICATE: the server has it. LATER: try again. REFUSED: no use in that."""

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    LATER = "later"
    REFUSED = "refused"


class Answer(NamedTuple):
    """What became of the ping; `status` is 0 where no answer came, `detail` one line for people.

    `sent`: the request, or a part of it, had left. With a server that knows no idempotency, LATER
    with `sent` means that nobody knows.
    """

    outcome: Outcome
    status: int
    detail: str
    sent: bool


def send(
    url: str,
    key: str,
    body: bytes,
    *,
    timeout_s: float = TIMEOUT_S,
    environ: Mapping[str, str] = os.environ,
) -> Answer:
    """POST a ping and return what became of it; `timeout_s` bounds each wait, not their sum."""
    from http.client import HTTPException  # noqa: PLC0415 - the job is started before this loads

    connection = _connection(url, timeout_s, environ)
    if connection is None:
        return Answer(
            Outcome.LATER, 0, "not sent from here: a proxy, or no http address", sent=False
        )
    sent = False
    try:
        connection.connect()
        sent = True
        connection.request("POST", _target(url), body, _headers(key, body))
        response = connection.getresponse()
        said = response.read(LONGEST_ANSWER)
    except (OSError, HTTPException, ValueError) as error:
        return Answer(Outcome.LATER, 0, str(error) or type(error).__name__, sent=sent)
    finally:
        connection.close()
    replayed = response.getheader("Idempotency-Replayed", "").lower() == "true"
    return _answer(response.status, said, replayed=replayed)


def _answer(status: int, said: bytes, *, replayed: bool) -> Answer:
    words = " ".join(said[:WORDS_KEPT].decode("utf-8", "replace").split())
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        if said.lstrip().startswith(b"<"):
            reason = f"the answer is a page, no receipt: {words}"
            return Answer(Outcome.LATER, status, reason, sent=True)
        outcome = Outcome.DUPLICATE if replayed else Outcome.DELIVERED
        return Answer(outcome, status, "", sent=True)
    if status >= 500 or status in _NOT_TAKEN:  # noqa: PLR2004 - same
        return Answer(Outcome.LATER, status, words, sent=True)
    return Answer(Outcome.REFUSED, status, words, sent=True)


def _headers(key: str, body: bytes) -> dict[str, str]:
    headers = {"Idempotency-Key": key, "Connection": "close", "User-Agent": "telemhq"}
    return headers | ({"Content-Type": "application/json"} if body else {})


def _connection(
    url: str, timeout_s: float, environ: Mapping[str, str]
) -> http.client.HTTPConnection | None:
    """Return a connection that is not open yet; None for what the full client must do."""
    from http.client import (  # noqa: PLC0415 - see send
        HTTPConnection,
        HTTPException,
        HTTPSConnection,
    )

    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0]
    if scheme not in {"http", "https"} or not host or "@" in host:
        return None
    if _is_proxied(scheme, host, environ):
        return None
    kind = HTTPSConnection if scheme == "https" else HTTPConnection
    try:
        return kind(host, timeout=timeout_s)
    except (OSError, HTTPException, ValueError):
        return None


def _is_proxied(scheme: str, host: str, environ: Mapping[str, str]) -> bool:
    if host.rpartition(":")[0].strip("[]") in _LOOPBACK or host in _LOOPBACK:
        return False
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    return any(environ.get(name) for name in names)


def _target(url: str) -> str:
    rest = url.partition("://")[2].partition("#")[0]
    slash = rest.find("/")
    question = rest.find("?")
    if slash < 0 or 0 <= question < slash:
        return "/" + (rest[question:] if question >= 0 else "")
    return rest[slash:]
