"""Mails summaries when their day or week is over: each once, whatever happens in between."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.domain.summary_period import latest_period
from server_stub.reports.summary import summary_letter
from server_stub.reports.summary_facts import summary_facts
from server_stub.store import summaries
from telemhq_agents.clock import quarter
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from server_stub.store.engine import Store
    from server_stub.store.summaries import Place, Subscriber

LOG = logging.getLogger("telemhq.server")
LAG_MS = 60_000
"""Runs that ended just before midnight may arrive a moment after it."""

LOOKED_AT = 100
"""Subscribers at a time."""

FIRST: Place = (0, 0)


class Summaries:
    """The summaries of one process.

    Every one is due at the start of a quarter-hour in UTC, whatever its time zone: there is one
    round over all subscribers for each, and one as the server starts.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._round_ms: int | None = None
        self._after: Place | None = None
        self._waiting: list[Subscriber] = []

    def run_once(self, now_ms: int) -> int:
        """Write one summary, or look who wants one; return 0 when nobody waits any more."""
        now_ms -= LAG_MS
        if self._round_ms != quarter(now_ms):
            self._round_ms, self._after, self._waiting = quarter(now_ms), FIRST, []
        if self._waiting:
            self._write(self._waiting[0], now_ms)
            self._waiting.pop(0)
        elif self._after is not None:
            self._look(self._after, now_ms)
        return int(bool(self._waiting) or self._after is not None)

    def _look(self, after: Place, now_ms: int) -> None:
        with self._store.read() as connection:
            found, following = summaries.subscribers(connection, after, LOOKED_AT)
            self._waiting = [
                one
                for one in found
                for key in _key(one, now_ms)
                if not summaries.is_done(connection, one.place, key)
            ]
        self._after = following

    def _write(self, to: Subscriber, now_ms: int) -> None:
        try:
            self._mail(to, now_ms)
        except ProblemError:
            raise
        except Exception:
            LOG.exception("the summary of tracker %d cannot be written", to.tracker_id)

    def _mail(self, to: Subscriber, now_ms: int) -> None:
        period = latest_period(to.summary, now_ms)
        content = summary_letter(summary_facts(self._store, to, period)).content()
        self._store.write(
            lambda connection: summaries.book(connection, to, period, content, now_ms + LAG_MS)
        )


def _key(one: Subscriber, now_ms: int) -> list[str]:
    """Return what the latest period of a subscriber is called, if anything (a zone may be gone)."""
    try:
        return [latest_period(one.summary, now_ms).key]
    except UsageError:
        LOG.exception("the summary of tracker %d is never due", one.tracker_id)
        return []
