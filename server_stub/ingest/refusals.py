"""What a ping is answered that is not booked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.plan import next_month
from server_stub.domain.problem import ProblemError
from server_stub.problems import status_problem
from server_stub.store.ingest import Refusal
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.ping import MAX_KEY_LENGTH
from telemhq_agents.contract.problem import Problem

if TYPE_CHECKING:
    from server_stub.store.limits import OverLimit
    from server_stub.store.quotas import Quota

Headers = list[tuple[bytes, bytes]]

UNKNOWN_TOKEN = Problem(
    type="unknown-tracking-token",
    title="No tracker has this tracking token",
    status=404,
    next="copy the ping URL again from the tracker",
)
UNKNOWN_VERB = Problem(
    type="unknown-ping-verb",
    title="A ping URL does not end like this",
    status=404,
    detail="after the tracking token comes nothing, start, fail, log, or an exit code (0 to 255)",
    next="correct the end of the URL; nothing was recorded",
)
GONE_TOKEN = Problem(
    type="tracking-token-gone",
    title="This tracking token was taken back",
    status=410,
    detail="the token was rotated, or its tracker deleted; nothing was recorded",
    next="copy the present ping URL from the tracker, or make a new tracker",
)
REVOKED_OWNER = Problem(
    type="membership-revoked",
    title="The owner of this tracker is no longer a member of its account",
    status=403,
    detail="nothing was recorded",
    next="ask a manager of the account to let them in again, or use a tracker of your own",
)
REFUSALS = {
    Refusal.UNKNOWN: UNKNOWN_TOKEN,
    Refusal.GONE: GONE_TOKEN,
    Refusal.REVOKED: REVOKED_OWNER,
}
TOO_SLOW = status_problem(408, "its body never came whole; nothing was recorded")
STOPPING = status_problem(503, "the server is stopping; nothing of this request was recorded")
CLOSE = (b"connection", b"close")


class RefusedError(ProblemError):
    """A ping is refused, and the answer has headers of its own."""

    def __init__(self, problem: Problem, headers: Headers) -> None:
        super().__init__(problem)
        self.headers = headers


def over_limit(limit: OverLimit, now_ms: int) -> RefusedError:
    """Return the refusal of a ping that met a limit of its account's plan."""
    quota = limit.quota
    if quota is None:
        return RefusedError(too_large(limit.payload_bytes, f"the plan {limit.plan}"), [])
    again_ms = next_month(quota.month_ms)
    problem = Problem(
        type="quota-exceeded",
        title="This month's pings are used up",
        status=402,
        detail=f"the plan {limit.plan} takes {quota.limit:,} pings a month until"
        f" {to_iso(again_ms)}; nothing was recorded",
        next="send it again next month, or ask the people who run this server for a larger plan",
    )
    wait = str(_seconds(again_ms - now_ms)).encode()
    return RefusedError(problem, [(b"retry-after", wait), *quota_headers(quota, now_ms)])


def quota_headers(quota: Quota, now_ms: int) -> Headers:
    """Return what is left of a month's quota, as draft-ietf-httpapi-ratelimit-headers spells it.

    `w` is the month's length and `t` what is left of it, in seconds.
    """
    end_ms = next_month(quota.month_ms)
    window, left = (end_ms - quota.month_ms) // 1000, max(0, quota.limit - quota.used)
    policy = f'"pings";q={quota.limit};w={window}'
    state = f'"pings";r={left};t={_seconds(end_ms - now_ms)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def _seconds(milliseconds: int) -> int:
    """Return whole seconds, rounded up: who waits so long does not come too early."""
    return max(0, -(-milliseconds // 1000))


def bad_key(detail: str) -> Problem:
    """Return the refusal of an Idempotency-Key."""
    return Problem(
        type="invalid-idempotency-key",
        title="The Idempotency-Key cannot be used",
        status=400,
        detail=detail,
        next=f"send 1 to {MAX_KEY_LENGTH} printable ASCII characters, or no key at all",
    )


def too_large(limit: int, whose: str = "this server") -> Problem:
    """Return the refusal of a body of more than `limit` bytes."""
    return Problem(
        type="body-too-large",
        title="The body of the ping is too large",
        status=413,
        detail=f"{whose} takes up to {limit} bytes",
        next="send operational figures only, no prompts and no outputs",
    )
