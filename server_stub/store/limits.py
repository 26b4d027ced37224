"""The limits of its account's plan that a ping may meet."""

from __future__ import annotations

import msgspec

from server_stub.domain.plan import PLANS, UNLIMITED
from server_stub.store.quotas import Quota


class OverLimit(msgspec.Struct, frozen=True):
    """The limit of the plan that a ping was refused for.

    Either the month's `quota`, which is used up, or how many `payload_bytes` a ping may have.
    """

    plan: str
    quota: Quota | None = None
    payload_bytes: int = 0


def over_payload_limit(plan: str, size: int) -> OverLimit | None:
    """Return the limit that a ping of `size` bytes exceeds, None where it does not."""
    most = payload_bytes(plan)
    return None if most is None or size <= most else OverLimit(plan, payload_bytes=most)


def payload_bytes(plan: str) -> int | None:
    """Return how many bytes a ping may have under a plan (by its name), None for any number."""
    return PLANS.get(plan, PLANS[UNLIMITED]).payload_bytes
