"""One process's word for its own recording, said in every write that relies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from server_stub.store import uptimes
from server_stub.store.uptimes import Beat, Trusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from server_stub.store.engine import Store

T = TypeVar("T")

LAG_MS = 1_000
"""A ping takes a moment from its arrival to the writer's queue: nobody vouches for that moment."""


class Recorder:
    """Says until when everything that arrived here is stored, and whether pings were refused."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, now_ms: int) -> None:
        """Say that this process has begun to record."""
        self._said(now_ms, uptimes.begin, lambda _connection, _trusted: None)

    def write(self, now_ms: int, work: Callable[[Connection, Trusted], T]) -> T:
        """Run `work` in a transaction of the writer, with the time that can be trusted in it."""
        return self._said(now_ms, uptimes.beat, work)

    def end(self) -> None:
        """Say that this process records no more, once what it heard is stored."""
        self._store.write(lambda connection: uptimes.end(connection, self._store.recorder_id))

    def _said(
        self,
        now_ms: int,
        say: Callable[[Connection, Beat], Trusted],
        work: Callable[[Connection, Trusted], T],
    ) -> T:
        # Before the write is handed in: what arrives from now on is not in it.
        upto_ms = self._store.heard_upto(now_ms - LAG_MS)

        def write(connection: Connection) -> tuple[T, int]:
            # And here, where it is written: what was refused while it waited is a gap to it.
            troubles = self._store.troubles
            is_gap = troubles != self._store.troubles_told
            told = Beat(self._store.recorder_id, now_ms, upto_ms, is_gap)
            return work(connection, say(connection, told)), troubles

        done, self._store.troubles_told = self._store.write(write)
        return done
