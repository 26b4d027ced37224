"""Prunes runs that plans keep no more, and what was told of them: a few at a time, between pings."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.store import retention, told_retention
from telemhq_agents.clock import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.store.engine import Store
    from server_stub.store.retention import Holding

LOG = logging.getLogger("telemhq.server")
PASS_EVERY_MS = 30 * 60 * 1000
ASKED_EVERY_S = 60.0
REST_S = 0.02
"""Between two slices: four fifths of the time the writer books pings and nothing else."""

SLICE_NS = 3_000_000
"""How long a slice may work; what is left of 5 ms is for its commit."""

FIRST_SLICE = 20
LARGEST_SLICE = 500
TOLD_AT_ONCE = 50
"""Changes of state and alerts: about a millisecond."""

TRACKERS_AT_ONCE = 200
LOOKS_AT_ONCE = 20
NOWHERE = (0, 0)


class Retention:
    """One process's walk through the trackers; a pass every half an hour.

    It may be ended anywhere: a slice is whole or was never there, and the next pass begins anew.
    """

    def __init__(self, store: Store, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self._store = store
        self._now_ns = now_ns
        self._slice = FIRST_SLICE
        self._begun_ms: int | None = None
        self._after: tuple[int, int] | None = None
        self._waiting: deque[Holding] = deque()
        self._pruning: tuple[Holding, int, int] | None = None
        self._forgetting: tuple[Holding, int] | None = None

    def run_once(self, now_ms: int) -> int:
        """Look at some trackers, or prune one slice; 0 when the pass is over."""
        if self._pruning is not None:
            return self._prune_or_skip(*self._pruning)
        if self._forgetting is not None:
            return self._forget_or_skip(*self._forgetting)
        if self._waiting:
            return self._look(now_ms)
        if self._after is None:
            if not self._is_time(now_ms):
                return 0
            self._begun_ms, self._after = now_ms, NOWHERE
        return self._read_on(self._after)

    def _is_time(self, now_ms: int) -> bool:
        """Tell whether the last pass is long past, or lies in the future of a clock set back."""
        begun_ms = self._begun_ms
        return begun_ms is None or not 0 <= now_ms - begun_ms < PASS_EVERY_MS

    def _read_on(self, after: tuple[int, int]) -> int:
        with self._store.read() as connection:
            found = retention.holdings(connection, after, TRACKERS_AT_ONCE)
        self._waiting.extend(found)
        last = found[-1] if len(found) == TRACKERS_AT_ONCE else None
        self._after = None if last is None else (last.account_id, last.tracker_id)
        return len(found)

    def _look(self, now_ms: int) -> int:
        """Look at the next trackers, up to the first that has something to prune."""
        for looked in range(LOOKS_AT_ONCE):
            if not self._waiting:
                return looked
            holding = self._waiting.popleft()
            with self._store.read() as connection:
                below_id = retention.outlived(connection, holding, now_ms)
                told_below_id = told_retention.outlived(connection, holding, now_ms)
            if told_below_id is not None:
                self._forgetting = (holding, told_below_id)
            if below_id is not None:
                self._pruning = (holding, 0, below_id)
            if self._pruning or self._forgetting:
                return looked + 1
        return LOOKS_AT_ONCE

    def _prune_or_skip(self, holding: Holding, after_id: int, below_id: int) -> int:
        try:
            return self._prune(holding, after_id, below_id)
        except ProblemError:
            raise
        except Exception:
            LOG.exception("runs of tracker %d cannot be pruned; others are", holding.tracker_id)
            self._pruning = None
            return 1

    def _forget_or_skip(self, holding: Holding, below_id: int) -> int:
        try:
            gone = self._store.write(
                lambda connection: told_retention.prune(connection, holding, below_id, TOLD_AT_ONCE)
            )
        except ProblemError:
            raise
        except Exception:
            LOG.exception("alerts of tracker %d cannot be pruned; others are", holding.tracker_id)
            gone = 0
        if gone == 0:
            self._forgetting = None
        return 1

    def _prune(self, holding: Holding, after_id: int, below_id: int) -> int:
        limit = self._slice
        pruned = self._store.write(
            lambda connection: retention.prune(
                connection,
                holding,
                after_id=after_id,
                below_id=below_id,
                limit=limit,
                now_ns=self._now_ns,
            )
        )
        upto_id = pruned.upto_id
        self._pruning = None if upto_id is None else (holding, upto_id, below_id)
        if upto_id is not None or pruned.took_ns > SLICE_NS:
            fitting = limit * SLICE_NS // max(pruned.took_ns, 1)
            self._slice = max(1, min(fitting, 2 * limit, LARGEST_SLICE))
        return 1
