"""The one background thread: runs each job when its time has come, one after the other.

A job that fails is logged and tried again later and later; it ends neither the loop nor other jobs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from telemhq_agents import clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server_stub.workers.leases import Lease

LOG = logging.getLogger("telemhq.server")
NS = 1_000_000_000
LONGEST_WAIT_S = 60.0
STOPPING_S = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again, every `every_s` seconds.

    `run` takes the present moment (milliseconds UTC) and returns how much it did: after anything
    but nothing it is asked again after `rest_s`. It keeps the writer busy for at most 5 ms at a time.
    One that failed waits longer and longer, up to `longest_s`.
    `everywhere`: in each process, not only in the one that holds the lease. `stop` is called once
    when the server stops.
    """

    name: str
    run: Callable[[int], int | None]
    every_s: float = 1.0
    everywhere: bool = False
    rest_s: float = 0.0
    longest_s: float = LONGEST_WAIT_S
    stop: Callable[[], None] | None = None


class _Turn:
    """When a job is next, and how often it failed since it last worked."""

    __slots__ = ("failures", "job", "next_ns")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.next_ns = 0
        self.failures = 0


class Loop:
    """Runs jobs in a thread of its own until it is stopped."""

    def __init__(
        self,
        lease: Lease,
        *,
        now_ms: Callable[[], int] = clock.now_ms,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._turns: list[_Turn] = []
        self._lease = lease
        self._now_ms = now_ms
        self._now_ns = now_ns
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="telemhq-workers", daemon=True)

    def take_on(self, jobs: Iterable[Job]) -> None:
        """Run these jobs from the start on, in this order."""
        self._turns += [_Turn(job) for job in jobs]

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to do: somebody has brought work."""
        self._woken.set()

    def stop(self) -> None:
        """Let the job that runs come to its end, and stop."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(STOPPING_S)
        for turn in self._turns:
            if turn.job.stop is not None:
                self._guard(turn.job.name, turn.job.stop)
        self._guard("lease", self._lease.release)

    def run_due(self, *, woken: bool = False) -> float:
        """Run each job whose time has come once; return how many seconds there is nothing to do.

        `woken` asks every job that is not backing off.
        """
        for turn in self._turns:
            early = woken and not turn.failures
            if not self._stopping and (early or turn.next_ns <= self._now_ns()):
                self._take(turn)
        soonest_ns = min((turn.next_ns for turn in self._turns), default=self._now_ns())
        return min(max(soonest_ns - self._now_ns(), 0) / NS, LONGEST_WAIT_S)

    def _take(self, turn: _Turn) -> None:
        job = turn.job
        try:
            now_ms = self._now_ms()
            mine = job.everywhere or self._lease.is_held(now_ms)
            done = job.run(now_ms) if mine else 0
        except Exception as error:  # noqa: BLE001 - the loop survives every job
            turn.failures += 1
            self._tell(turn, error)
            wait_s = min(job.every_s * 2**turn.failures, max(job.longest_s, job.every_s))
        else:
            turn.failures = 0
            wait_s = job.rest_s if done else job.every_s
        turn.next_ns = self._now_ns() + int(wait_s * NS)

    def _tell(self, turn: _Turn, error: Exception) -> None:
        """Log a failure: in full the first time, in a line where the database is merely away."""
        if isinstance(error, ProblemError):
            LOG.warning("background job %s could not write: %s", turn.job.name, error)
        elif turn.failures == 1:
            LOG.error("background job %s failed", turn.job.name, exc_info=error)
        else:
            LOG.error("background job %s failed %d times", turn.job.name, turn.failures)

    def _run(self) -> None:
        woken = False
        while not self._stopping:
            wait_s = self.run_due(woken=woken)
            woken = self._woken.wait(wait_s)
            self._woken.clear()

    @staticmethod
    def _guard(name: str, stop: Callable[[], None]) -> None:
        try:
            stop()
        except ProblemError as error:
            LOG.warning("background job %s could not write at its end: %s", name, error)
        except Exception:
            LOG.exception("background job %s could not be stopped", name)
