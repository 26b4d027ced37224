"""Ids: 63-bit integers that sort by time of birth, unique without asking the database.

41 bits of milliseconds since 2024 (enough until 2093) and 22 bits that start at a random place in
each millisecond and count up, so that several server processes hardly ever meet. Where two do, the
primary key refuses: a batch is then booked one by one under new ids, a ping that came alone is
answered with a 500 and gets another id when it is sent again.
"""

from __future__ import annotations

import secrets
import threading

from telemhq_agents.clock import now_ms

EPOCH_MS = 1_704_067_200_000
LOW_BITS = 22
LOW_LIMIT = 1 << LOW_BITS


class Ids:
    """Hands out ids that only grow, whatever the clock does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, at_ms: int) -> int:
        """Return an id born at `at_ms`, larger than every one before it."""
        return self.take(at_ms, 1)[0]

    def take(self, at_ms: int, count: int) -> range:
        """Return so many ids born at `at_ms`, each larger than every one before it."""
        with self._lock:
            earliest = (at_ms - EPOCH_MS) << LOW_BITS
            fresh = earliest > self._last
            first = earliest + secrets.randbelow(LOW_LIMIT // 2) if fresh else self._last + 1
            self._last = first + count - 1
            return range(first, first + count)


_ids = Ids()


def first_of(at_ms: int) -> int:
    """Return the least id that may be born at `at_ms` or later."""
    return max(at_ms - EPOCH_MS, 0) << LOW_BITS


def new_id() -> int:
    """Return an id born now."""
    return _ids.new(now_ms())


def new_ids(count: int) -> range:
    """Return so many ids born now."""
    return _ids.take(now_ms(), count)
