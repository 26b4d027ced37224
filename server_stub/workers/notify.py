"""Sends what waits in the outbox, as soon as it is due, and forgets what was sent long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.notify.notifier import Notifier
from server_stub.store import delivery_log
from server_stub.workers.loop import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.settings import Settings
    from server_stub.store.engine import Store

FORGETTING_S = 60.0


def notify_jobs(store: Store, settings: Settings, wake: Callable[[], None]) -> list[Job]:
    """Return the jobs; the first only starts deliveries, which end in threads of their own."""
    notifier = Notifier(store, settings, more=wake)

    def forget(now_ms: int) -> int:
        return store.write(lambda connection: delivery_log.prune(connection, now_ms))

    return [
        Job("notify", notifier.run_once, stop=notifier.stop),
        Job("old deliveries", forget, every_s=FORGETTING_S),
    ]
