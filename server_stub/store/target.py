"""The tracker behind a tracking token, as a ping meets it."""

from __future__ import annotations

from typing import Any

import msgspec

from server_stub.domain.membership import ACTIVE
from server_stub.domain.plan import UNLIMITED
from server_stub.store.tables import accounts, memberships, trackers, tracking_tokens

COLUMNS = (
    "token.token",
    "tracker.account_id",
    "tracker.id",
    "tracker.owner_id",
    "token.revoked_ms IS NOT NULL OR tracker.deleted_ms IS NOT NULL",
    f"coalesce(member.state, '{ACTIVE}') <> '{ACTIVE}'",
    f"coalesce(account.plan, '{UNLIMITED}')",
    "tracker.state",
    "tracker.due_ms",
    "tracker.wake_ms",
    "tracker.last_run_ms",
    "tracker.last_status",
    "tracker.rules",
    "tracker.memory",
)
"""What a `Target` is made of, in the order of its fields."""

TARGETS = f"""
    FROM {tracking_tokens.name} AS token
    JOIN {trackers.name} AS tracker
      ON tracker.account_id = token.account_id AND tracker.id = token.tracker_id
    LEFT JOIN {accounts.name} AS account ON account.id = tracker.account_id
    LEFT JOIN {memberships.name} AS member
      ON member.account_id = tracker.account_id AND member.user_id = tracker.owner_id
"""

TOUCHED = ("state", "due_ms", "wake_ms", "last_run_ms", "last_status", "memory")
"""What a ping may change of its tracker."""


class Target(msgspec.Struct, frozen=True, array_like=True):
    """The tracker behind a tracking token; `gone` when either was taken back.

    `revoked` when its owner is no longer a member of the account. `rules` and `memory` are JSON
    (contract/rules.py, domain/health.py). Times are milliseconds UTC.
    """

    token: str
    account_id: int
    tracker_id: int
    member_id: int
    gone: bool
    revoked: bool
    plan: str
    state: str
    due_ms: int | None
    wake_ms: int | None
    last_run_ms: int | None
    last_status: str
    rules: str
    memory: str

    @property
    def place(self) -> tuple[int, int]:
        """The tracker's key: account and id."""
        return (self.account_id, self.tracker_id)

    @property
    def touched(self) -> tuple[Any, ...]:
        """What a ping may change, in the order of `TOUCHED`."""
        return (
            self.state,
            self.due_ms,
            self.wake_ms,
            self.last_run_ms,
            self.last_status,
            self.memory,
        )
