"""What one ping says, as the store wants it. Pure records; judging a payload is domain/payload.py.

Made once per ping, so they are msgspec's records: frozen like dataclasses, made five times faster.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.ping import FACT_KEY_PREFIX, KIND_RUN

ACCOUNT_SCOPE = 0
"""The scope of keys that are accepted once per account; any other scope is a tracker's id."""


class RunFacts(msgspec.Struct, frozen=True, array_like=True):
    """One judged ping. Times are milliseconds UTC, `payload` is the JSON text that is stored.

    `amounts` is what the ping adds to its buckets. `corrects` and `revision` are set for
    corrections only. `clamped` marks an `ended_at` that lay in the future. `pair_key` pairs a start
    with its end ("" pairs with any).
    """

    ended_ms: int
    amounts: Amounts
    payload: str = "{}"
    kind: str = KIND_RUN
    corrects: str = ""
    revision: int = 0
    clamped: bool = False
    provider: str = ""
    model: str = ""
    project: str = ""
    status: str = ""
    source: str = ""
    session_id: str = ""
    thread_id: str = ""
    tool_tokens: int | None = None
    has_cost: bool = False
    has_duration: bool = False
    pair_key: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def shown_status(self) -> str:
        """The status that a tracker shows for its latest run: the sender's word, or what we saw."""
        return self.status or ("error" if self.amounts.failures else "success")


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """A judged ping at the door: for which tracking token, under which key ("" = none), when.

    `fields` is the payload that assertions are made about, `size` what a plan's limit of the
    payload is about, in bytes.
    """

    token: str
    key: str
    received_ms: int
    facts: RunFacts
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    size: int = 0


def key_digest(key: str) -> bytes:
    """Return what the store keeps of an idempotency key."""
    return hashlib.sha256(key.encode()).digest()[:16]


def key_scope(key: str, tracker_id: int) -> int:
    """Return where a key is unique: in the account for collector facts, else in its tracker."""
    return ACCOUNT_SCOPE if key.startswith(FACT_KEY_PREFIX) else tracker_id


def fact_digest(facts: RunFacts, key: str) -> bytes | None:
    """Return the digest of the collector fact that a run books or corrects, None for other runs."""
    born_as = facts.corrects or key
    return key_digest(born_as) if born_as.startswith(FACT_KEY_PREFIX) else None
