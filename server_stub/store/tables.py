"""Every table of the server. Times are integers, milliseconds UTC; money is integer nano-USD.

`account_id` leads every key of the big tables and is their distribution column. Ids are 63-bit
integers that sort by time of birth (store/ids.py); the API shows them as strings.
"""

from __future__ import annotations

from server_stub.store.schema.metadata import metadata
from server_stub.store.schema.people import (
    accounts,
    api_keys,
    invitations,
    memberships,
    naming_keys,
    users,
)
from server_stub.store.schema.runs import (
    BUCKET_KEY,
    SESSION_BUCKET_KEY,
    archives,
    buckets,
    idempotency_keys,
    ping_counts,
    runs,
    session_buckets,
)
from server_stub.store.schema.telling import (
    alerts,
    channels,
    deliveries,
    delivery_attempts,
    summaries,
    transitions,
)
from server_stub.store.schema.trackers import (
    badges,
    field_choices,
    metrics_keys,
    status_pages,
    trackers,
    tracking_tokens,
)
from server_stub.store.schema.workings import leases, recorders, uptimes

__all__ = [
    "BUCKET_KEY",
    "SESSION_BUCKET_KEY",
    "accounts",
    "alerts",
    "api_keys",
    "archives",
    "badges",
    "buckets",
    "channels",
    "deliveries",
    "delivery_attempts",
    "field_choices",
    "idempotency_keys",
    "invitations",
    "leases",
    "memberships",
    "metadata",
    "metrics_keys",
    "naming_keys",
    "ping_counts",
    "recorders",
    "runs",
    "session_buckets",
    "status_pages",
    "summaries",
    "trackers",
    "tracking_tokens",
    "transitions",
    "uptimes",
    "users",
]
