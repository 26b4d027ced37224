"""What `GET /ping/{tracking_token}` tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.store.limits import payload_bytes
from telemhq_agents.contract.ping import (
    COUNT_FIELDS,
    LONGEST_TAIL,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    VERB_EXIT_CODE,
    VERB_FAIL,
    VERB_LOG,
    VERB_SKIP,
    VERB_START,
    Capabilities,
    Instructions,
)

if TYPE_CHECKING:
    from server_stub.store.quotas import Quota

AROUND_A_TEXT_BYTES = 128
"""What a payload holds beside its text: a status, an exit code, a `rid`."""

VERBS_TOLD = [VERB_START, "end", VERB_SKIP, VERB_LOG, VERB_FAIL, VERB_EXIT_CODE]


def instructions(url: str, max_body_bytes: int, plan: str) -> Instructions:
    """Return how to use a ping URL whose account has `plan` (its name)."""
    most = payload_bytes(plan)
    return Instructions(
        message="POST here to record a run. Nothing was recorded by this GET.",
        ping_url=url,
        example=(
            "curl -X POST -H 'Content-Type: application/json'"
            f' -d \'{{"status": "success", "project": "my-job", "total_tokens": 1200}}\' {url}'
        ),
        fields=[*TEXT_FIELDS, *COUNT_FIELDS, *NUMBER_FIELDS, "ended_at", "exit_code"],
        capabilities=Capabilities(
            idempotency=True,
            corrections=True,
            verbs=VERBS_TOLD,
            max_body_bytes=max_body_bytes if most is None else min(max_body_bytes, most),
        ),
    )


def kept_bytes(max_body_bytes: int, quota: Quota | None) -> int:
    """Return how much of a text is kept, about; `quota` tells the plan, None for no limits."""
    most = payload_bytes(quota.plan) if quota is not None else None
    return min(LONGEST_TAIL, (most or max_body_bytes) - AROUND_A_TEXT_BYTES)
