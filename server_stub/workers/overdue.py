"""Looks at trackers whose time has come: pings that are late or missing, runs that never ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.store import sweep
from server_stub.store.recorder import LAG_MS, Recorder

if TYPE_CHECKING:
    from server_stub.store.engine import Store

LOG = logging.getLogger("telemhq.server")
LARGEST_SLICE = 50
FIRST_SLICE = 4
SLICE_NS = 5_000_000
"""How long the writer may be kept from booking pings."""

PUT_OFF_MS = 10 * 60 * 1000


class Overdue:
    """The sweep of one process; it learns how many trackers fit into a slice of the writer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store)
        self._slice = FIRST_SLICE

    def run_once(self, now_ms: int) -> int:
        """Look at one slice of what is due; return how many trackers that was."""
        with self._store.read() as connection:
            wake_ms = sweep.next_wake(connection)
        if wake_ms is None or wake_ms > now_ms - LAG_MS:
            return 0
        try:
            return self._tick(now_ms)
        except ProblemError:
            raise
        except Exception:
            LOG.exception("a slice of trackers is judged one by one")
            return self._tick_each(now_ms, self._slice)

    def _tick(self, now_ms: int) -> int:
        limit = self._slice
        swept = self._recorder.write(
            now_ms, lambda connection, trusted: sweep.tick(connection, trusted, limit)
        )
        if swept.count == limit:
            fitting = limit * SLICE_NS // max(swept.took_ns, 1)
            self._slice = max(1, min(fitting, 2 * limit, LARGEST_SLICE))
        return swept.count

    def _tick_each(self, now_ms: int, limit: int) -> int:
        """Judge trackers one by one; put off those that cannot be, so that nobody waits for them."""
        for done in range(limit):
            with self._store.read() as connection:
                first = sweep.first_due(connection, now_ms - LAG_MS)
            if first is None:
                return done
            self._tick_one(now_ms, *first)
        return limit

    def _tick_one(self, now_ms: int, account_id: int, tracker_id: int) -> None:
        try:
            self._recorder.write(
                now_ms,
                lambda connection, trusted: sweep.tick_one(
                    connection, account_id, tracker_id, trusted
                ),
            )
        except ProblemError:
            raise
        except Exception:
            LOG.exception("tracker %d cannot be judged; it is put off", tracker_id)
            until_ms = now_ms + PUT_OFF_MS
            self._store.write(
                lambda connection: sweep.put_off(connection, account_id, tracker_id, until_ms)
            )
