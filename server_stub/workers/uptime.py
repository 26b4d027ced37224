"""Shows that this server is recording, so that the sweep trusts only time in which it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.store.recorder import Recorder

if TYPE_CHECKING:
    from server_stub.store.engine import Store


class Uptime:
    """The heartbeat of one process. Where no ping can be written, no beat can either."""

    def __init__(self, store: Store) -> None:
        self._recorder = Recorder(store)
        self._begun = False

    def run_once(self, now_ms: int) -> None:
        """Show that pings can be recorded just now."""
        if self._begun:
            self._recorder.write(now_ms, lambda _connection, _trusted: None)
        else:
            self._recorder.begin(now_ms)
            self._begun = True

    def stop(self) -> None:
        """Show that nothing is recorded any more: others need not wait for this process."""
        if self._begun:
            self._recorder.end()
