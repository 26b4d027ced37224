"""The sweep: trackers whose time has come, on a real database."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from server_stub.domain.health import Health, Memory, Ran, after_tick
from server_stub.domain.problem import ProblemError
from server_stub.domain.rules import write
from server_stub.domain.run import Arrival, RunFacts
from server_stub.store import sweep, uptimes
from server_stub.store.engine import Store, writing_engine
from server_stub.store.ingest import Booked
from server_stub.store.recorder import LAG_MS
from server_stub.store.tables import alerts, recorders, trackers, tracking_tokens, transitions
from server_stub.store.tables import uptimes as uptimes_table
from server_stub.store.uptimes import LONGEST_SILENCE_MS, Beat, Trusted
from server_stub.store.writer import UNAVAILABLE
from server_stub.workers import overdue
from server_stub.workers.overdue import PUT_OFF_MS, Overdue
from server_stub.workers.uptime import Uptime
from telemhq_agents import clock
from telemhq_agents.contract import routes
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Rules, Schedule
from tests.server_stub.blocking import wait_until_blocked
from tests.server_stub.outbox import NOW_MS, TRACKER, Outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server_stub.store.sweep import Swept
    from tests.server_stub.cast import Cast

MINUTE, HOUR = 60_000, 3_600_000
HOURLY = Rules(schedule=Schedule(interval_s=3600, grace_s=60))
DUE = NOW_MS + HOUR
MISSED = DUE + MINUTE
SEEN = MISSED + LAG_MS
"""When the sweep, which lags behind by a moment, sees that a ping is missing."""


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store).open()


def expects(
    outbox: Outbox,
    tracker_id: int = TRACKER,
    *,
    due_ms: int = DUE,
    **values: Any,
) -> None:
    """Have a tracker whose ping is expected at `due_ms`."""
    memory = Memory(recent=(Ran(due_ms - HOUR, 1, failed=False),), arrived_ms=due_ms - HOUR)
    row = {
        "state": "active",
        "due_ms": due_ms,
        "wake_ms": due_ms,
        "rules": write(HOURLY),
        "memory": msgspec.json.encode(memory).decode(),
    } | values
    changed = update(trackers).where(trackers.c.id == tracker_id).values(row)
    outbox.store.write(lambda connection: connection.execute(changed))


def many(outbox: Outbox, count: int) -> None:
    for tracker_id in range(1000, 1000 + count):
        outbox.another_tracker(tracker_id, f"tracker {tracker_id}")
        expects(outbox, tracker_id)


def tracker(store: Store, tracker_id: int = TRACKER) -> dict[str, Any]:
    with store.read() as connection:
        asked = select(trackers).where(trackers.c.id == tracker_id)
        return dict(connection.execute(asked).one()._mapping)


def count(store: Store, *conditions: Any) -> int:
    with store.read() as connection:
        asked = select(func.count()).select_from(trackers).where(*conditions)
        return connection.execute(asked).scalar_one()


def was_up(store: Store, since_ms: int, until_ms: int) -> None:
    """Have a server that has been recording all this time."""

    def beats(connection: Connection) -> None:
        uptimes.begin(connection, Beat(store.recorder_id, since_ms, since_ms))
        connection.execute(update(uptimes_table).values(since_ms=since_ms, seen_ms=until_ms))
        connection.execute(update(recorders).values(upto_ms=until_ms))

    store.write(beats)


def also_records(store: Store, recorder_id: int, *, upto_ms: int) -> None:
    """Have another process that has stored everything it heard until then."""
    said = insert(recorders).values(id=recorder_id, upto_ms=upto_ms)
    store.write(lambda connection: connection.execute(said))


def sweep_until_done(job: Overdue, now_ms: int) -> int:
    total = 0
    while done := job.run_once(now_ms):
        total += done
    return total


def test_a_missing_ping_fails_its_tracker_and_its_owner_is_told(outbox: Outbox) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, SEEN)

    done = Overdue(outbox.store).run_once(SEEN)

    now = tracker(outbox.store)
    assert (done, now["state"], now["due_ms"], now["wake_ms"]) == (1, "failing", DUE, None)
    assert [(row["from_state"], row["to_state"], row["at_ms"]) for row in outbox.rows("transitions")] == [
        ("active", "late", DUE),
        ("late", "failing", MISSED),
    ]  # fmt: skip
    assert {row["noted_ms"] for row in outbox.rows("transitions")} == {MISSED}
    (delivery,) = outbox.deliveries()
    assert (delivery["event"], delivery["target"]) == ("tracker.failed", "ada@example.com")


def test_a_tracker_is_looked_at_when_its_time_has_come_and_not_before(outbox: Outbox) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, DUE)
    job = Overdue(outbox.store)

    before = job.run_once(DUE + LAG_MS - 1), tracker(outbox.store)["state"]
    late = job.run_once(DUE + LAG_MS), tracker(outbox.store)["state"]
    again = job.run_once(DUE + LAG_MS), tracker(outbox.store)["wake_ms"]

    assert (before, late, again) == ((0, "active"), (1, "late"), (0, MISSED))


def test_nothing_is_written_while_nothing_is_due(outbox: Outbox) -> None:
    expects(outbox)
    outbox.store.writer.stop()

    assert Overdue(outbox.store).run_once(NOW_MS) == 0


def test_a_tracker_is_not_missed_by_a_server_that_was_down(outbox: Outbox) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, DUE + 30_000)
    back = MISSED + HOUR

    Overdue(outbox.store).run_once(back)
    then = tracker(outbox.store)
    was_up(outbox.store, back, back + MINUTE)
    Overdue(outbox.store).run_once(back + MINUTE + LAG_MS)

    assert (then["state"], then["wake_ms"]) == ("late", back + MINUTE)
    assert [row["at_ms"] for row in outbox.rows("transitions")] == [DUE, back + MINUTE]


def test_nothing_is_missing_that_another_process_may_have_heard_and_not_stored_yet(
    outbox: Outbox,
) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, SEEN)
    also_records(outbox.store, 5, upto_ms=MISSED - 5000)
    job = Overdue(outbox.store)

    sweep_until_done(job, SEEN)
    lagging = tracker(outbox.store)["state"]
    beat = update(recorders).where(recorders.c.id == 5).values(upto_ms=MISSED)
    outbox.store.write(lambda connection: connection.execute(beat))
    sweep_until_done(job, SEEN)

    assert (lagging, tracker(outbox.store)["state"]) == ("late", "failing")


def test_a_ping_that_waits_long_in_one_process_is_not_missed_by_another(postgres_url: str) -> None:
    slow, other = Store(postgres_url), Store(postgres_url)
    slow.start()
    other.start()
    outbox = Outbox(other).open()
    expects(outbox)
    token = {"token": "tok", "account_id": 1, "tracker_id": TRACKER, "created_ms": 1}
    other.write(lambda connection: connection.execute(insert(tracking_tokens).values(token)))
    was_up(other, NOW_MS, MISSED)
    also_records(other, slow.recorder_id, upto_ms=MISSED - 4000)
    release = threading.Event()
    slow.writer.submit(lambda _connection: release.wait(20))
    ping = slow.writer.ingest(Arrival("tok", "", MISSED - 1, RunFacts(MISSED - 1, Amounts(runs=1))))
    beating = threading.Thread(target=Uptime(slow).run_once, args=(SEEN,))
    beating.start()

    swept = sweep_until_done(Overdue(other), SEEN + 3000), tracker(other)["state"]
    release.set()
    beating.join()
    booked = ping.result(20)
    sweep_until_done(Overdue(other), SEEN + 3000)

    assert swept == (1, "late")
    assert isinstance(booked, Booked)
    assert (tracker(other)["state"], tracker(other)["due_ms"]) == ("active", MISSED - 1 + HOUR)
    slow.stop()
    other.stop()


def test_a_process_that_fell_silent_is_a_gap_for_all(outbox: Outbox) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, SEEN)
    also_records(outbox.store, 5, upto_ms=SEEN - LONGEST_SILENCE_MS - 1)

    sweep_until_done(Overdue(outbox.store), SEEN)
    silent = tracker(outbox.store)

    assert (silent["state"], silent["wake_ms"]) == ("late", SEEN + MINUTE)


def test_an_outage_of_a_moment_that_refused_a_ping_is_a_gap(outbox: Outbox) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, SEEN)
    job = Overdue(outbox.store)

    def be_away(_connection: Connection) -> None:
        raise PoolTimeoutError

    with pytest.raises(ProblemError):
        outbox.store.write(be_away)
    sweep_until_done(job, SEEN)
    after = tracker(outbox.store)
    was_up(outbox.store, SEEN, SEEN + MINUTE)
    sweep_until_done(job, SEEN + MINUTE + LAG_MS)

    assert (after["state"], after["wake_ms"]) == ("late", SEEN + MINUTE)
    assert tracker(outbox.store)["state"] == "failing"


def test_thousands_that_are_due_at_once_are_swept_in_slices(outbox: Outbox) -> None:
    many(outbox, 120)
    was_up(outbox.store, NOW_MS, SEEN)
    job = Overdue(outbox.store)
    first = job.run_once(SEEN)

    rest = sweep_until_done(job, SEEN)

    assert (first, first + rest) == (overdue.FIRST_SLICE, 120)
    assert count(outbox.store, trackers.c.state == "failing") == 120
    assert len(outbox.rows("alerts")) == 120


def test_a_slice_shrinks_where_the_writer_was_kept_too_long(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(outbox, 30)
    was_up(outbox.store, NOW_MS, SEEN)
    moments = iter(range(0, 1_000_000_000_000, 20_000_000))
    monkeypatch.setattr(sweep, "monotonic_ns", lambda: next(moments))
    job = Overdue(outbox.store)

    sizes = [job.run_once(SEEN) for _ in range(4)]

    assert sizes == [4, 1, 1, 1]  # 20 ms for each slice, where 5 ms are allowed


def test_a_tracker_that_cannot_be_judged_does_not_stop_the_others(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    many(outbox, 3)
    expects(outbox, 1001, rules='{"schedule": 5}')
    was_up(outbox.store, NOW_MS, SEEN)

    with caplog.at_level(logging.ERROR):
        sweep_until_done(Overdue(outbox.store), SEEN)

    assert [tracker(outbox.store, one)["state"] for one in (1000, 1001, 1002)] == [
        "failing",
        "active",
        "failing",
    ]
    assert tracker(outbox.store, 1001)["wake_ms"] == SEEN + PUT_OFF_MS
    assert "tracker 1001 cannot be judged" in caplog.text


def test_a_database_that_is_away_is_the_loops_business(outbox: Outbox) -> None:
    expects(outbox)
    outbox.store.writer.stop()

    with pytest.raises(ProblemError) as refused:
        Overdue(outbox.store).run_once(SEEN)

    assert refused.value.problem == UNAVAILABLE


def test_a_deleted_tracker_is_looked_at_no_more(outbox: Outbox) -> None:
    expects(outbox, deleted_ms=NOW_MS)
    was_up(outbox.store, NOW_MS, SEEN)

    Overdue(outbox.store).run_once(SEEN)

    now = tracker(outbox.store)
    assert (now["state"], now["wake_ms"]) == ("active", None)
    assert outbox.rows("transitions") == []


def test_what_changed_since_it_was_read_is_left_to_who_changed_it(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    expects(outbox)
    was_up(outbox.store, NOW_MS, SEEN)

    def tick(connection: Connection) -> Swept:
        def ping(*arguments: Any) -> Any:
            newer = update(trackers).where(trackers.c.id == TRACKER)
            connection.execute(newer.values(memory_revision=7, wake_ms=DUE + HOUR))
            return after_tick(*arguments)

        monkeypatch.setattr(sweep, "after_tick", ping)
        return sweep.tick(connection, Trusted(NOW_MS, MISSED), 10)

    outbox.store.write(tick)

    assert (tracker(outbox.store)["state"], outbox.rows("transitions")) == ("active", [])


def test_two_servers_sweep_the_same_trackers_once(outbox: Outbox, database_url: str) -> None:
    many(outbox, 60)
    was_up(outbox.store, NOW_MS, SEEN)
    other = Store(database_url)
    other.start()
    also_records(outbox.store, other.recorder_id, upto_ms=MISSED)
    jobs = [Overdue(outbox.store), Overdue(other)]
    threads = [threading.Thread(target=sweep_until_done, args=(job, SEEN)) for job in jobs]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.stop()

    assert count(outbox.store, trackers.c.state == "failing") == 60
    with outbox.store.read() as connection:
        told = connection.execute(
            select(alerts.c.tracker_id, func.count()).group_by(alerts.c.tracker_id)
        ).all()
        moved = connection.execute(select(func.count()).select_from(transitions)).scalar_one()
    assert {number for _, number in told} == {1}
    assert (len(told), moved) == (60, 120)


def test_a_tracker_that_a_ping_holds_just_now_is_the_pings(own_postgres_url: str) -> None:
    store = Store(own_postgres_url)
    store.start()
    outbox = Outbox(store).open()
    expects(outbox)
    was_up(store, NOW_MS, SEEN)
    engine = writing_engine(own_postgres_url)
    sweeping = threading.Thread(target=Overdue(store).run_once, args=(SEEN,))
    with engine.connect() as booking, booking.begin():
        arrived = update(trackers).where(trackers.c.id == TRACKER)
        booking.execute(arrived.values(memory_revision=1, wake_ms=DUE + HOUR))

        sweeping.start()
        wait_until_blocked(engine, sweeping)
        waited = sweeping.is_alive()
    sweeping.join()

    now = tracker(store)
    assert (waited, now["state"], now["wake_ms"]) == (True, "active", DUE + HOUR)
    assert outbox.rows("transitions") == []
    store.stop()
    engine.dispose()


def test_the_next_wake_is_the_earliest_one(outbox: Outbox) -> None:
    with outbox.store.read() as connection:
        none = sweep.next_wake(connection)
    many(outbox, 2)
    expects(outbox, 1001, wake_ms=DUE - 5)

    with outbox.store.read() as connection:
        assert (none, sweep.next_wake(connection)) == (None, DUE - 5)


def test_health_survives_the_store(outbox: Outbox) -> None:
    expects(outbox)
    row = tracker(outbox.store)

    health = Health(
        TrackerState(row["state"]),
        row["due_ms"],
        row["wake_ms"],
        msgspec.json.decode(row["memory"], type=Memory),
    )

    assert health.memory.recent == (Ran(NOW_MS, 1, failed=False),)


def test_a_running_server_notices_silence_and_the_next_ping_by_itself(cast: Cast) -> None:
    made = cast.member.new_tracker()
    quick = {"schedule": {"interval_s": 1, "grace_s": 0}}
    rules = routes.TRACKER_RULES.format(tracker_id=made["id"])
    cast.member.did("PUT", rules, quick)
    assert cast.nobody.http.post(made["ping_url"]).status_code == 200

    failing = _wait_for(cast, made, "failing")
    assert cast.nobody.http.post(made["ping_url"]).status_code == 200

    path = routes.TRACKER_TRANSITIONS.format(tracker_id=made["id"])
    page = cast.member.got(path)["transitions"]
    assert [one["to_state"] for one in page[:4]] == ["active", "failing", "late", "active"]
    assert failing["cause"] == "ping is missing"
    due = clock.from_iso(page[3]["at"]) + 1000
    assert [clock.from_iso(one["at"]) for one in page[1:3]] == [due, due]


def _wait_for(cast: Cast, made: Any, state: str) -> Any:
    deadline_ms = clock.now_ms() + 15_000
    while clock.now_ms() < deadline_ms:
        shown = cast.member.got(routes.TRACKER.format(tracker_id=made["id"]))
        if shown["state"] == state:
            return shown
        time.sleep(0.05)
    raise AssertionError(f"it is {shown['state']}, not {state}")
