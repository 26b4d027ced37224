"""One ping, now, with the standard library alone: what the wrapper tries before it leaves.

The ping lies in the spool by then. Whatever does not work here is somebody else's later try, so
nothing is retried and nothing about the network is raised.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents import clock

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

TIMEOUT_S = 3.0
LONGEST_ANSWER = 64 * 1024
WORDS_KEPT = 300
_NOT_TAKEN = frozenset({402, 408, 425, 429})
_PORTS = {"http": 80, "https": 443}
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


class Door(NamedTuple):
    """A ping URL, taken apart. `host` is as the URL spells it, port included."""

    scheme: str
    host: str
    name: str
    port: int
    target: str


def send(
    url: str,
    key: str,
    body: bytes,
    *,
    timeout_s: float = TIMEOUT_S,
    environ: Mapping[str, str] = os.environ,
) -> Answer:
    """POST a ping and return what became of it; `timeout_s` bounds all waits together.

    A resolver that hangs is the one thing that nothing here can bound.
    """
    until_ns = clock.monotonic_ns() + int(timeout_s * 1e9)
    door = _door(url)
    if door is None or not is_direct(url, environ):
        return Answer(
            Outcome.LATER, 0, "not sent from here: a proxy, or no http address", sent=False
        )
    sent = False
    try:
        request = _request(door, key, body)
        with _connected(door, until_ns) as line:
            sent = True
            line.settimeout(_left_s(until_ns))
            line.sendall(request)
            status, headers, said = _read(line, until_ns)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Answer(Outcome.LATER, 0, reason, sent=sent)
    return answer_of(status, said, replayed=headers.get("idempotency-replayed", "") == "true")


def is_direct(url: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether `send` can reach a ping URL; what lies behind a proxy, the full client sends."""
    door = _door(url)
    if door is None or door.name in _LOOPBACK:
        return door is not None
    names = (f"{door.scheme}_proxy", f"{door.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    return not any(environ.get(name) for name in names)


def _door(url: str) -> Door | None:
    scheme, _, rest = url.partition("#")[0].partition("://")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, target = rest[:cut], rest[cut:]
    if scheme not in _PORTS or not host or not _is_plain(url) or "@" in host:
        return None
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, str(_PORTS[scheme])
    if not name or not port.isdecimal():
        return None
    if not target.startswith("/"):
        target = "/" + target
    return Door(scheme, host, name.strip("[]"), int(port), target)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _request(door: Door, key: str, body: bytes) -> bytes:
    """Write the request. HTTP/1.0: the server ends the answer by closing, in one piece.

    Raises ValueError for a key that no header can hold.
    """
    if not _is_plain(key):
        raise ValueError(f"no header can hold the key {key!r}")
    lines = [
        f"POST {door.target} HTTP/1.0",
        f"Host: {door.host}",
        f"Idempotency-Key: {key}",
        f"Content-Length: {len(body)}",
        "User-Agent: telemhq",
        "Accept: application/json",
        "Connection: close",
    ]
    if body:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _left_s(until_ns: int) -> float:
    """Return the seconds that are left. Raises TimeoutError when none are."""
    left_ns = until_ns - clock.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError("timed out")
    return left_ns / 1e9


def _connected(door: Door, until_ns: int) -> socket.socket:
    line = _dialled(door, until_ns)
    if door.scheme == "http":
        return line
    import ssl  # noqa: PLC0415 - 10 ms that http does not need

    try:
        line.settimeout(_left_s(until_ns))
        return ssl.create_default_context().wrap_socket(line, server_hostname=door.name)
    except (OSError, ValueError):
        line.close()
        raise


def _dialled(door: Door, until_ns: int) -> socket.socket:
    """Connect to the first address that answers; one that is silent takes no other's share."""
    import socket  # noqa: PLC0415 - the job is started before this loads

    places = socket.getaddrinfo(door.name, door.port, type=socket.SOCK_STREAM)
    failure = OSError(f"{door.name} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(places):
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(_left_s(until_ns) / (len(places) - number))
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
        else:
            return line
    raise failure


def _read(line: socket.socket, until_ns: int) -> tuple[int, dict[str, str], bytes]:
    """Read an answer to its end, or as much as it announced. Raises ValueError for what is none."""
    taken = b""
    while len(taken) < LONGEST_ANSWER and not _is_whole(taken):
        line.settimeout(_left_s(until_ns))
        block = line.recv(LONGEST_ANSWER)
        if not block:
            break
        taken += block
    head, end, said = taken.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    version, _, answer = first.partition(" ")
    if not end or not version.startswith("HTTP/1.") or not answer[:3].isdecimal():
        raise ValueError("the connection ended without an answer" if not taken else "no HTTP")
    pairs = (one.partition(":") for one in rest)
    return int(answer[:3]), {n.strip().lower(): v.strip().lower() for n, _, v in pairs}, said


def _is_whole(taken: bytes) -> bool:
    head, end, said = taken.partition(b"\r\n\r\n")
    _, announced, rest = head.lower().partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    return bool(end and announced and length.isdigit() and len(said) >= int(length))


def answer_of(status: int, said: bytes, *, replayed: bool) -> Answer:
    """Return what an answer means to a ping, whoever received it."""
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        if said.lstrip().startswith(b"<"):
            reason = f"the answer is a page, no receipt: {words_of(said)}"
            return Answer(Outcome.LATER, status, reason, sent=True)
        outcome = Outcome.DUPLICATE if replayed else Outcome.DELIVERED
        return Answer(outcome, status, "", sent=True)
    if status >= 500 or status in _NOT_TAKEN:  # noqa: PLR2004 - same
        return Answer(Outcome.LATER, status, words_of(said), sent=True)
    return Answer(Outcome.REFUSED, status, words_of(said), sent=True)


def words_of(body: bytes) -> str:
    """Return what a problem body says, in one line; of other bodies, how they begin."""
    import json  # noqa: PLC0415 - not needed for the answer that all is well

    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = None
    if isinstance(problem, dict):
        said = [problem.get(name) for name in ("title", "detail", "next")]
        text = "; ".join(one for one in said if isinstance(one, str) and one)
    else:
        text = body[:WORDS_KEPT].decode("utf-8", "replace")
    return " ".join(text.split())[:WORDS_KEPT] or "without a word"
