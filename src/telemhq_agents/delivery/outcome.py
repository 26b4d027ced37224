"""What an answer to a ping means, and when to try again. Pure.

A ping leaves the outbox on the server's word alone: an answer that is no receipt of a server that
gives receipts (a captive portal's page, a proxy's) is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import msgspec

from telemhq_agents.contract.ping import REPLAYED_HEADER, Receipt, Recorded
from telemhq_agents.delivery import quick
from telemhq_agents.ledger.records import LONGEST_DELAY_MS, LONGEST_WAIT_MS

FIRST_DELAY_MS = 1_000

NOT_TAKEN = frozenset({402, 408, 425, 429, 503})
"""Statuses by which a server says that it took nothing and may be asked again."""

AIMED_WRONG = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 410})
"""Statuses that are about the ping URL: whatever else goes there is refused as well."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer came. `sent`: the request, or a part of it, had left by then."""

    reason: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server has it."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The server had it before; `recorded` is what it holds, where it tells."""

    recorded: Recorded | None = None


@dataclass(frozen=True, slots=True)
class RetryAt:
    """To be sent again. `whole`: the destination is in trouble, not this ping."""

    at_ms: int
    reason: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Park:
    """Refused for good. `whole`: the destination refuses whatever comes from here."""

    reason: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have been recorded or not, and no key protects it from counting twice."""

    reason: str


Outcome = Delivered | Duplicate | RetryAt | Park | Uncertain


@dataclass(frozen=True, slots=True)
class Attempt:
    """The circumstances of one sending.

    `attempts` counts the failures before it, of the ping or of its destination; `dice` gives
    numbers from 0 to 1.
    """

    now_ms: int
    attempts: int
    idempotent: bool
    dice: Callable[[], float]


def judge(  # noqa: PLR0911 - one line per kind of answer
    answer: Reply | NoReply, attempt: Attempt
) -> Outcome:
    """Return what becomes of a ping after this answer."""
    if isinstance(answer, NoReply):
        if answer.sent and not attempt.idempotent:
            return Uncertain(f"no answer came: {answer.reason}")
        return RetryAt(_later(attempt), answer.reason, whole=True)
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own classes
        return _accepted(answer, attempt)
    reason = f"{answer.status}: {words_of(answer)}"
    if answer.status in NOT_TAKEN:
        return RetryAt(_not_before(answer, attempt), reason, whole=True)
    if answer.status >= 500:  # noqa: PLR2004 - same
        if not attempt.idempotent:
            return Uncertain(reason)
        return RetryAt(_not_before(answer, attempt), reason, whole=False)
    return Park(reason, whole=answer.status in AIMED_WRONG)


def _accepted(answer: Reply, attempt: Attempt) -> Outcome:
    if not attempt.idempotent:
        is_page = answer.body.lstrip().startswith(b"<")
        return Uncertain("a page came in place of an answer") if is_page else Delivered()
    receipt = receipt_of(answer)
    if receipt is None:
        reason = f"{answer.status}, but the answer is no receipt: {words_of(answer)}"
        return RetryAt(_later(attempt), reason, whole=True)
    replayed = answer.headers.get(REPLAYED_HEADER.lower(), "").lower() == "true"
    if receipt.duplicate or replayed:
        return Duplicate(receipt.recorded)
    return Delivered()


def receipt_of(answer: Reply) -> Receipt | None:
    """Read a receipt; None when the body is none."""
    try:
        receipt = msgspec.json.decode(answer.body, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return receipt if receipt.ok else None


def words_of(answer: Reply) -> str:
    """Return what a problem body says, in one line; of other bodies, how they begin."""
    return quick.words_of(answer.body)


def back_off_ms(attempts: int, dice: Callable[[], float]) -> int:
    """Return how long to wait after `attempts` failures: doubling up to five minutes, full jitter.

    The rule is AWS's "full jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = min(FIRST_DELAY_MS * 2 ** min(attempts, 20), LONGEST_DELAY_MS)
    return int(longest * dice())


def _later(attempt: Attempt) -> int:
    return attempt.now_ms + back_off_ms(attempt.attempts, attempt.dice)


def _not_before(answer: Reply, attempt: Attempt) -> int:
    asked = retry_after_ms(answer.headers.get("retry-after", ""), attempt.now_ms)
    return max(_later(attempt), attempt.now_ms + asked)


def retry_after_ms(text: str, now_ms: int) -> int:
    """Return how long a Retry-After asks to wait (RFC 9110 section 10.2.3), at most a day.

    It holds seconds or an HTTP date; anything else, and what has passed, is 0.
    """
    if text.strip().isascii() and text.strip().isdecimal():
        asked = int(text.strip()[:9]) * 1000
    else:
        try:
            asked = int(parsedate_to_datetime(text).timestamp() * 1000) - now_ms
        except (ValueError, TypeError, OverflowError):
            return 0
    return min(max(asked, 0), LONGEST_WAIT_MS)
