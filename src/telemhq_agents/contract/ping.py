"""The ping door, `POST /ping/{tracking_token}`: names, limits and the receipt.

A ping is one JSON object (or form fields, or query parameters, or nothing at all). What the
published contract leaves open is decided here and written down in docs/reference/ping.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""Names the run. The same key again is answered with the first answer and a marker."""

REPLAYED_HEADER = "Idempotency-Replayed"
"""`true` on the answer to a key that was accepted before."""

BODY_LIMIT_HEADER = "Ping-Body-Limit"
"""How many bytes of a body that is text are kept; senders need not send more (Healthchecks' name)."""

MAX_KEY_LENGTH = 200
FACT_KEY_PREFIX = "fact:"
"""Keys of collector facts: accepted once per account. Any other key: once per tracker."""

SMALLEST_PAYLOAD_LIMIT = 1024
"""Bytes. The smallest plan's payload limit: a collector's ping never exceeds it."""

MAX_BODY_BYTES = 64 * 1024
"""Bytes. Default of a self-hosted server (`TELEMHQ_MAX_BODY_BYTES`)."""

LONGEST_TAIL = 10_000
"""Bytes. What is kept of the end of a body that is text."""

OUTPUT_TAIL = "output_tail"
"""The field that holds it, and the tail of a wrapped command's output."""

RID = "rid"
"""The query parameter that pairs a start with its end."""

RUN_KEY = "run_key"
"""The field by which our own starts name the `Idempotency-Key` that their end will have."""

KIND_RUN = "run"
KIND_CORRECTION = "correction"
KIND_START = "start"
"""A run has begun: not a run itself; `run_key` is the key that its end will have."""

KIND_SKIP = "skip"
"""A run was due and did not begin, because the last one was still going: not a run, not a sign of
life."""

KIND_LOG = "log"
"""Something to be remembered: not a run, not judged, not a sign of life."""

VERB_START = "start"
"""Among a server's `verbs` (capabilities) where it wants to be told of starts."""

VERB_FAIL = "fail"
VERB_LOG = "log"
VERB_EXIT_CODE = "exit-code"
"""Among a server's `verbs` where `/ping/{token}/fail`, `/log` and `/{0 to 255}` record."""

VERB_SKIP = "skip"
"""Among a server's `verbs` where it knows what a skip is; to any other it would count as a run."""

COUNT_FIELDS: tuple[str, ...] = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "tool_tokens",
    "total_tokens",
    "responses",
    "unpriced_tokens",
    "items_processed",
    "items_failed",
    "records_processed",
)
"""Whole numbers, never negative except in a correction."""

NUMBER_FIELDS: tuple[str, ...] = ("latency_ms", "duration_ms", "duration", "cost_usd", "eval_score")
"""Numbers, never negative except in a correction."""

TEXT_FIELDS: tuple[str, ...] = (
    "provider",
    "model",
    "project",
    "status",
    "source",
    "session_id",
    "thread_id",
    "turn_id",
    "error",
    "cwd_hash",
    "device_id",
    "agent_version",
)

PROJECT_FIELDS: tuple[str, ...] = (
    "project",
    "project_name",
    "repo",
    "repository",
    "git_repo",
    "service",
    "workflow",
    "customer_workflow",
    "agent",
    "app",
)
"""Project-like fields, first non-empty string wins."""

DURATION_FIELDS: tuple[str, ...] = ("duration_ms", "latency_ms", "duration")
"""Names for wall time in milliseconds, first present wins."""

FAILED_STATUSES = frozenset({"error", "errored", "fail", "failed", "failure", "timeout"})
"""`status` values (case-insensitive) that make a run a failure; so does `exit_code` other than 0."""

TOTAL_FIELDS: tuple[str, ...] = ("runs", "failures")
"""Signed counts that only a correction may carry beside the fields above."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the server holds for a collector fact: its own sums, corrections included.

    `project` is what the run's project was called, "" where a server does not tell: corrections
    name the same one, also after the sender has begun to hash names.
    """

    revision: int
    runs: int
    failures: int
    responses: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_usd: float
    unpriced_tokens: int
    duration_ms: int
    project: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The body of a 200 answer to a ping: sent only after the run is committed.

    `duplicate` marks an answer to a key that was accepted before; `id` and `received_at` are then
    the first answer's. `recorded` comes with duplicates of collector facts while the raw run is
    still kept, so that two machines that read the same log agree on one sum.
    """

    id: str
    received_at: str
    ok: bool = True
    duplicate: bool = False
    warnings: list[str] = field(default_factory=list)
    recorded: Recorded | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do, told by `GET /ping/{tracking_token}`. A foreign server tells nothing."""

    idempotency: bool = False
    corrections: bool = False
    verbs: list[str] = field(default_factory=list)
    max_body_bytes: int = SMALLEST_PAYLOAD_LIMIT


@dataclass(frozen=True, slots=True)
class Instructions:
    """The answer to `GET /ping/{tracking_token}`: how to use it; nothing is recorded."""

    message: str
    ping_url: str
    example: str
    fields: list[str]
    capabilities: Capabilities
