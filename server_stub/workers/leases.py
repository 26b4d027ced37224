"""Which of several processes works in the background: the one that holds the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from server_stub.store import leases
from telemhq_agents.clock import monotonic_ns

if TYPE_CHECKING:
    from server_stub.store.engine import Store

RENEW_NS = leases.RENEW_S * 1_000_000_000
WORKERS = "workers"


class Lease:
    """One process's claim to the background work, renewed well before it ends."""

    def __init__(self, store: Store, name: str = WORKERS) -> None:
        self._store = store
        self._name = name
        self._holder = uuid4().hex
        self._held = False
        self._asked_ns: int | None = None

    def is_held(self, now_ms: int) -> bool:
        """Tell whether this process is the one; asks the database once in a while."""
        asked_ns = self._asked_ns
        if asked_ns is None or monotonic_ns() - asked_ns >= RENEW_NS:
            self._held = False  # whoever cannot ask does not know
            self._held = self._store.write(
                lambda connection: leases.take(connection, self._name, self._holder, now_ms)
            )
            self._asked_ns = monotonic_ns()
        return self._held

    def release(self) -> None:
        """Let another process go on at once."""
        if self._held:
            self._held = False
            self._store.write(
                lambda connection: leases.release(connection, self._name, self._holder)
            )
