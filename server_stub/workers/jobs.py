"""Every background job of the server, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.store import uptimes
from server_stub.workers.leases import Lease
from server_stub.workers.loop import Job, Loop
from server_stub.workers.notify import notify_jobs
from server_stub.workers.overdue import Overdue
from server_stub.workers.retention import ASKED_EVERY_S, REST_S, Retention
from server_stub.workers.summaries import Summaries
from server_stub.workers.uptime import Uptime

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.settings import Settings
    from server_stub.store.engine import Store


def background(store: Store, settings: Settings) -> Loop:
    """Return the loop of one server process, ready to start."""
    loop = Loop(Lease(store))
    loop.take_on(jobs(store, settings, loop.wake))
    return loop


def jobs(store: Store, settings: Settings, wake: Callable[[], None]) -> list[Job]:
    """Return the jobs, each made for one process; `wake` makes the loop look at once."""
    uptime = Uptime(store)
    beat_s = uptimes.BEAT_S if store.is_alone else uptimes.SHARED_BEAT_S
    return [
        Job(
            "uptime",
            uptime.run_once,
            every_s=beat_s,
            everywhere=True,
            longest_s=beat_s,
            stop=uptime.stop,
        ),
        Job("overdue", Overdue(store).run_once),
        *notify_jobs(store, settings, wake),
        Job("summaries", Summaries(store).run_once),
        Job("retention", Retention(store).run_once, every_s=ASKED_EVERY_S, rest_s=REST_S),
    ]
