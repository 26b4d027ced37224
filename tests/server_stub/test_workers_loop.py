"""The background thread: every job in its turn, none for the others' harm."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from server_stub.domain.problem import ProblemError
from server_stub.store import uptimes
from server_stub.store.engine import Store
from server_stub.store.writer import UNAVAILABLE
from server_stub.workers.loop import Job, Loop
from telemhq_agents.clock import now_ms

if TYPE_CHECKING:
    import pytest

    from server_stub.workers.leases import Lease
    from tests.server_stub.conftest import LiveServer

NOW_MS = 1_795_000_000_000


@dataclass
class FakeLease:
    """A lease that is held or not, as the test says."""

    held: bool = True
    released: int = 0

    def is_held(self, _now_ms: int) -> bool:
        return self.held

    def release(self) -> None:
        self.released += 1


@dataclass
class Bench:
    """A loop under a clock of its own, driven by hand."""

    lease: FakeLease = field(default_factory=FakeLease)
    second: float = 0.0
    ran: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = Loop(
            cast("Lease", self.lease),
            now_ms=lambda: NOW_MS + int(self.second * 1000),
            now_ns=lambda: int(self.second * 1e9),
        )

    def job(self, name: str, *answers: int | Exception | None, **options: float) -> None:
        """Add a job that gives these answers in turn, the last one for ever."""
        left = list(answers)

        def run(now_ms: int) -> int | None:
            self.ran.append((name, (now_ms - NOW_MS) / 1000))
            answer = left.pop(0) if len(left) > 1 else left[0] if left else None
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.loop.take_on([Job(name, run, **options)])  # type: ignore[arg-type]  # - its options

    def pass_time(self, seconds: float) -> None:
        """Let the loop sleep as long as it says, until so much time has passed."""
        until = self.second + seconds
        while self.second <= until:
            self.second += max(self.loop.run_due(), 0.001)

    def moments(self, name: str) -> list[float]:
        return [round(second) for job, second in self.ran if job == name]


def test_each_job_runs_at_its_own_pace() -> None:
    bench = Bench()
    bench.job("often", every_s=1)
    bench.job("seldom", every_s=5)

    bench.pass_time(11)

    assert bench.moments("seldom") == [0, 5, 10]
    assert bench.moments("often") == list(range(12))


def test_a_job_with_more_to_do_is_asked_again_at_once_and_the_others_in_between() -> None:
    bench = Bench()
    bench.job("busy", 10, 10, 3, 0)
    bench.job("other", 0)

    waits = [bench.loop.run_due() for _ in range(4)]

    assert [name for name, _ in bench.ran] == ["busy", "other", "busy", "busy", "busy"]
    assert waits == [0, 0, 0, 1]


def test_a_job_rests_between_its_pieces_of_work_where_it_says_so() -> None:
    bench = Bench()
    bench.job("gentle", 1, 1, 0, every_s=60, rest_s=0.5)

    waits = []
    for _ in range(3):
        waits.append(bench.loop.run_due())
        bench.second += waits[-1]

    assert waits == [0.5, 0.5, 60]


def test_a_job_that_fails_is_tried_later_and_later_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.job("broken", ValueError("no idea"))
    bench.job("sound", every_s=50)

    with caplog.at_level(logging.WARNING):
        bench.pass_time(200)

    assert bench.moments("broken") == [0, 2, 6, 14, 30, 62, 122, 182]
    assert bench.moments("sound") == [0, 50, 100, 150, 200]
    assert caplog.text.count("Traceback") == 1
    assert "background job broken failed 5 times" in caplog.text


def test_a_heartbeat_that_fails_is_tried_as_often_as_ever() -> None:
    bench = Bench()
    bench.job("beat", ValueError("away"), every_s=2, longest_s=2)

    bench.pass_time(8)

    assert bench.moments("beat") == [0, 2, 4, 6, 8]


def test_a_job_that_works_again_keeps_its_pace_again() -> None:
    bench = Bench()
    bench.job("shaky", ValueError("once"), ValueError("twice"), 0, ValueError("again"), 0)

    bench.pass_time(10)

    assert bench.moments("shaky") == [0, 2, 6, 7, 9, 10]


def test_a_database_that_is_away_is_told_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.job("writing", ProblemError(UNAVAILABLE))

    with caplog.at_level(logging.WARNING):
        bench.pass_time(3)

    assert "background job writing could not write" in caplog.text
    assert "Traceback" not in caplog.text


def test_without_the_lease_only_what_runs_everywhere_runs() -> None:
    bench = Bench(FakeLease(held=False))
    bench.job("mine", 5)
    bench.job("everywhere", 0, everywhere=True)

    bench.pass_time(2)

    assert bench.moments("mine") == []
    assert bench.moments("everywhere") == [0, 1, 2]


def test_work_that_somebody_brings_is_done_at_once_but_not_by_a_job_that_backs_off() -> None:
    bench = Bench()
    bench.job("slow", every_s=60)
    bench.job("broken", ValueError("no"), every_s=60)
    bench.loop.run_due()

    bench.second = 1
    bench.loop.run_due(woken=True)

    assert bench.ran == [("slow", 0), ("broken", 0), ("slow", 1)]


def test_a_thread_wakes_for_work_and_stops_fast() -> None:
    lease, seen, stopped = FakeLease(), threading.Event(), threading.Event()
    calls: list[int] = []

    def run(now_ms: int) -> None:
        calls.append(now_ms)
        if len(calls) > 1:
            seen.set()

    loop = Loop(cast("Lease", lease))
    loop.take_on([Job("slow", run, every_s=3600, stop=stopped.set)])
    loop.start()
    while not calls:
        threading.Event().wait(0.001)
    loop.wake()
    woken = seen.wait(5)
    loop.stop()

    assert (woken, stopped.is_set(), lease.released) == (True, True, 1)


def test_a_stop_that_fails_lets_the_others_stop(caplog: pytest.LogCaptureFixture) -> None:
    stopped: list[str] = []

    def fail() -> None:
        raise ValueError("cannot")

    loop = Loop(cast("Lease", FakeLease()))
    loop.take_on(
        [
            Job("one", lambda _now_ms: None, stop=fail),
            Job("other", lambda _now_ms: None, stop=lambda: stopped.append("other")),
        ]
    )

    with caplog.at_level(logging.ERROR):
        loop.stop()

    assert stopped == ["other"]
    assert "background job one could not be stopped" in caplog.text


def test_a_running_server_shows_that_it_records(server: LiveServer) -> None:
    store = Store(server.settings.database_url)
    deadline_ms = now_ms() + 10_000
    found = None
    while found is None and now_ms() < deadline_ms:
        with store.read() as connection:
            found = uptimes.span(connection)
        threading.Event().wait(0.02)
    store.stop()

    assert found is not None
    assert abs(found[1] - now_ms()) < 10_000
