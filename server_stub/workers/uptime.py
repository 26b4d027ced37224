"""Shows that this server is recording, so that the sweep trusts only time in which it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.store import uptimes

if TYPE_CHECKING:
    from server_stub.store.engine import Store


class Uptime:
    """The heartbeat of one process. Where no ping can be written, no beat can either."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = False

    def run_once(self, now_ms: int) -> None:
        """Show that pings can be recorded just now."""
        beat = uptimes.beat if self._begun else uptimes.begin
        self._store.write(lambda connection: beat(connection, now_ms))
        self._begun = True
