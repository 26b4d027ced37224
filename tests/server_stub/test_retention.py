"""What a plan keeps no more goes, is counted, and is never in the way of a ping."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from server_stub.domain.payload import judge
from server_stub.domain.plan import PLANS, Plan
from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival
from server_stub.store import retention
from server_stub.store.engine import Store
from server_stub.store.ids import first_of
from server_stub.store.ingest import Booked
from server_stub.store.retention import Holding
from server_stub.store.tables import (
    accounts,
    alerts,
    archives,
    buckets,
    deliveries,
    idempotency_keys,
    memberships,
    metadata,
    runs,
    trackers,
    tracking_tokens,
    transitions,
)
from server_stub.store.writer import UNAVAILABLE
from server_stub.workers.retention import PASS_EVERY_MS, SLICE_NS, Retention
from telemhq_agents.clock import from_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

DAY = 24 * 60 * 60 * 1000
NOW = from_iso("2026-11-20T12:00:00Z")
FREE_DAYS = 7


def open_account(store: Store, plan: str = "free", *, account: int = 1, first: int = 10) -> None:
    def write(connection: Connection) -> None:
        connection.execute(
            insert(accounts).values(id=account, kind="team", name="E", created_ms=1, plan=plan)
        )
        connection.execute(
            insert(memberships).values(account_id=account, user_id=9, role="owner", joined_ms=1)
        )
        for tracker in (first, first + 1):
            place = {"account_id": account, "created_ms": 1}
            connection.execute(insert(trackers).values(id=tracker, owner_id=9, name="t", **place))
            connection.execute(
                insert(tracking_tokens).values(token=f"t{tracker}", tracker_id=tracker, **place)
            )

    store.write(write)


def ping(
    store: Store,
    payload: dict[str, Any],
    at_ms: int,
    key: str = "",
    token: str = "t10",  # noqa: S107 - of the first tracker
) -> Booked:
    """Book a ping as if it had arrived at a moment."""
    booked = store.writer.ingest(
        Arrival(token, key, at_ms, judge(payload, at_ms), fields=payload)
    ).result()
    assert isinstance(booked, Booked)
    if not booked.duplicate:
        moved = update(runs).where(runs.c.id == booked.run_id)
        born = first_of(at_ms) + booked.run_id % (1 << 20)
        store.write(lambda connection: connection.execute(moved.values(id=born)))
    return booked


def prune_all(store: Store, at_ms: int = NOW) -> int:
    """Run one whole pass; return in how many steps."""
    worker = Retention(store)
    steps = 0
    while worker.run_once(at_ms):
        steps += 1
    return steps


def whole(store: Store) -> dict[int, tuple[int, int]]:
    """Return the runs and failures of each tracker: kept and archived together."""
    sums: dict[int, tuple[int, int]] = {}
    kept = select(runs.c.tracker_id, func.sum(runs.c.runs), func.sum(runs.c.failures))
    gone = select(archives.c.tracker_id, func.sum(archives.c.runs), func.sum(archives.c.failed))
    with store.read() as connection:
        for asked in (kept.group_by(runs.c.tracker_id), gone.group_by(archives.c.tracker_id)):
            for tracker, count, failed in connection.execute(asked):
                before = sums.get(tracker, (0, 0))
                sums[tracker] = (before[0] + int(count), before[1] + int(failed))
    return sums


def count(store: Store, table: Any) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def archived(store: Store) -> list[tuple[int, int, int, int, int, int]]:
    columns = archives.c
    asked = select(
        columns.tracker_id,
        columns.day_ms,
        columns.runs,
        columns.failed,
        columns.first_ms,
        columns.last_ms,
    ).order_by(columns.tracker_id, columns.day_ms)
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(asked)]


def sums(store: Store) -> tuple[int, ...]:
    asked = select(*(func.sum(buckets.c[name]) for name in ("runs", "failures", "input_tokens")))
    with store.read() as connection:
        return tuple(int(value or 0) for value in connection.execute(asked).one())


def test_a_run_is_kept_to_the_last_millisecond_of_its_plans_days(store: Store) -> None:
    open_account(store)
    oldest_kept = NOW - FREE_DAYS * DAY
    for at_ms in (oldest_kept - 1, oldest_kept, NOW):
        ping(store, {"n": at_ms}, at_ms)

    prune_all(store)

    with store.read() as connection:
        kept = sorted(connection.execute(select(runs.c.received_ms)).scalars())
    assert kept == [oldest_kept, NOW]


def test_what_went_is_there_as_counts_and_dates_of_each_day(store: Store) -> None:
    open_account(store)
    day = from_iso("2026-11-01T00:00:00Z")
    first, last, next_day = day, day + DAY - 1, day + DAY
    ping(store, {"status": "success"}, last)
    ping(store, {"status": "error"}, first)
    ping(store, {"status": "success"}, next_day)
    ping(store, {"status": "success"}, next_day, token="t11")
    before = sums(store)

    prune_all(store)

    assert archived(store) == [
        (10, day, 2, 1, first, last),
        (10, next_day, 1, 0, next_day, next_day),
        (11, next_day, 1, 0, next_day, next_day),
    ]
    assert count(store, runs) == 0
    assert sums(store) == before == (4, 1, 0)


def test_days_are_those_on_which_runs_ended(store: Store) -> None:
    open_account(store)
    ping(store, {"ended_at": "2026-10-31T23:59:59.999Z"}, from_iso("2026-11-02T00:00:00Z"))

    prune_all(store)

    ((_, day, *_),) = archived(store)
    assert day == from_iso("2026-10-31T00:00:00Z")


def test_a_run_that_an_assertion_failed_counts_as_failed_once(store: Store) -> None:
    open_account(store)
    rules = '{"assertions":[{"path":"n","operator":"equals","value":1,"id":"a"}]}'
    store.write(lambda connection: connection.execute(update(trackers).values(rules=rules)))
    at_ms = NOW - 30 * DAY
    for payload in ({"n": 1}, {"n": 2}, {"n": 2, "status": "error"}, {"n": 1, "status": "error"}):
        ping(store, payload, at_ms)

    prune_all(store)

    ((_, _, all_runs, failed, *_),) = archived(store)
    assert (all_runs, failed) == (4, 3)


def test_starts_skips_and_logs_go_without_a_trace(store: Store) -> None:
    open_account(store)
    for kind in ("start", "skip", "log"):
        ping(store, {"kind": kind}, NOW - 30 * DAY)

    prune_all(store)

    assert count(store, runs) == 0
    assert archived(store) == []


def test_later_passes_add_to_the_same_day(store: Store) -> None:
    open_account(store)
    day = from_iso("2026-11-01T00:00:00Z")
    ping(store, {}, day + 5 * 3_600_000)
    prune_all(store)
    ping(store, {"ended_at": "2026-11-01T04:00:00Z", "status": "error"}, day + 6 * 3_600_000)
    prune_all(store)

    assert archived(store) == [(10, day, 2, 1, day + 4 * 3_600_000, day + 5 * 3_600_000)]


def tell(store: Store, day: int, *, waits: bool = False) -> None:
    """Have a change of state, its alert and a delivery of it, so many days ago."""
    at_ms = NOW - day * DAY
    number = first_of(at_ms) + day
    place = {"account_id": 1, "tracker_id": 10}
    state = {"from_state": "active", "to_state": "failing", "cause": "ping is missing"}
    alert = {"event": "tracker.failed", "transition_id": number, "created_ms": at_ms}
    told = {"kind": "email", "target": "a@b.c", "event": "tracker.failed", "content": "{}"}
    waiting = {"next_ms": NOW if waits else None, "done_ms": None if waits else at_ms}

    def write(connection: Connection) -> None:
        changed = {"id": number, "at_ms": at_ms, "noted_ms": at_ms}
        connection.execute(insert(transitions).values(**place, **state, **changed))
        connection.execute(insert(alerts).values(id=number, **place, **alert))
        sent = {"id": number, "alert_id": number, "created_ms": at_ms}
        connection.execute(insert(deliveries).values(**place, **told, **sent, **waiting))

    store.write(write)


def days_of(store: Store, table: Any) -> list[int]:
    """Return how many days ago each row is from."""
    with store.read() as connection:
        ids = connection.execute(select(table.c.id)).scalars().all()
    return sorted(day for number in ids for day in [number % 4096] if day)


def test_changes_and_alerts_beyond_what_status_pages_show_are_forgotten(store: Store) -> None:
    open_account(store)
    for day in (1, 8, 89, 90, 92, 93, 200, 500):
        tell(store, day)
    tell(store, 300, waits=True)

    prune_all(store)

    assert days_of(store, transitions) == [1, 8, 89, 90, 92]
    # That of the last change before stays with it: it may say why nobody was told.
    assert days_of(store, alerts) == [1, 8, 89, 90, 92, 300]


def test_many_changes_are_forgotten_in_slices(store: Store) -> None:
    open_account(store, "pro")
    for day in range(360, 500):
        tell(store, day)

    steps = prune_all(store)

    assert days_of(store, transitions) == list(range(360, 368))
    assert days_of(store, alerts) == list(range(360, 368))
    assert steps > 3


def test_an_unlimited_plan_keeps_everything(store: Store) -> None:
    open_account(store, "unlimited")
    ping(store, {}, NOW - 3000 * DAY)
    tell(store, 3000)
    tell(store, 2000)

    prune_all(store)

    # The run made a change of its own: the tracker became active.
    assert [count(store, table) for table in (runs, transitions, alerts)] == [1, 3, 2]


def test_of_a_pro_tracker_the_latest_runs_are_kept_whatever_their_age(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = Plan("pro", charted_runs=3)
    monkeypatch.setattr("server_stub.store.retention.plan_of", lambda _: three)
    open_account(store, "pro")
    for number in range(5):
        ping(store, {"n": number}, NOW - (500 - number) * DAY)
        ping(store, {"kind": "start"}, NOW - (500 - number) * DAY + 1)
    ping(store, {"n": 9}, NOW - 900 * DAY, token="t11")

    prune_all(store)

    with store.read() as connection:
        asked = select(runs.c.tracker_id).where(runs.c.kind == "run")
        kept = sorted(connection.execute(asked).scalars())
    assert kept == [10, 10, 10, 11]
    assert whole(store) == {10: (5, 0), 11: (1, 0)}


def test_exactly_as_many_runs_as_may_be_charted_stay(store: Store) -> None:
    open_account(store, "pro")
    for number in range(3):
        ping(store, {"n": number}, NOW - DAY + number)
    with store.read() as connection:
        found = {
            most: retention._place(connection, Holding(1, 10, PLANS["pro"]), most)
            for most in (2, 3, 4)
        }
        ids = sorted(connection.execute(select(runs.c.id)).scalars())

    assert found == {2: ids[1], 3: 0, 4: 0}


def test_a_key_stays_known_when_its_run_is_gone(store: Store) -> None:
    open_account(store)
    first = ping(store, {"input_tokens": 5}, NOW - 30 * DAY, "fact:a")
    prune_all(store)

    again = ping(store, {"input_tokens": 5}, NOW, "fact:a")

    assert (again.duplicate, again.run_id) == (True, first.run_id)
    assert again.recorded is None
    assert count(store, idempotency_keys) == 1
    assert sums(store) == (1, 0, 5)


def test_a_run_goes_together_with_its_corrections(store: Store) -> None:
    open_account(store)
    correction = {"kind": "correction", "corrects": "fact:a", "revision": 1, "input_tokens": 2}
    ping(store, {"input_tokens": 5}, NOW - 8 * DAY, "fact:a")
    ping(store, correction, NOW - DAY, "fact:a#1")
    ping(store, {"input_tokens": 7}, NOW - DAY, "fact:b")

    prune_all(store)

    assert count(store, runs) == 1
    assert whole(store) == {10: (2, 0)}
    assert sums(store) == (2, 0, 14)


def test_a_correction_that_came_first_stays_as_long_as_its_run(store: Store) -> None:
    open_account(store)
    correction = {"kind": "correction", "corrects": "fact:a", "revision": 1, "input_tokens": 2}
    ping(store, correction, NOW - 9 * DAY, "fact:a#1")
    ping(store, {"input_tokens": 5}, NOW - DAY, "fact:a")

    prune_all(store)

    again = ping(store, {"input_tokens": 5}, NOW, "fact:a")
    assert again.recorded is not None
    assert (again.recorded.input_tokens, again.recorded.revision) == (7, 1)
    prune_all(store, NOW + 30 * DAY)
    assert count(store, runs) == 0


def test_a_correction_of_a_run_that_is_gone_is_counted_when_it_goes(store: Store) -> None:
    open_account(store)
    ping(store, {"input_tokens": 5}, NOW - 30 * DAY, "fact:a")
    prune_all(store)
    correction = {"kind": "correction", "corrects": "fact:a", "revision": 1, "failures": 1}
    ping(store, correction, NOW, "fact:a#1")

    assert whole(store) == {10: (1, 1)}
    prune_all(store, NOW + 30 * DAY)

    assert whole(store) == {10: (1, 1)}
    assert count(store, runs) == 0


def placed(store: Store, table: Any) -> dict[tuple[int, int], int]:
    """Return the input tokens by tracker and member."""
    place = (table.c.tracker_id, table.c.member_id)
    asked = select(*place, func.sum(table.c.input_tokens)).group_by(*place)
    with store.read() as connection:
        return {(row[0], row[1]): int(row[2]) for row in connection.execute(asked)}


def test_a_correction_lands_where_the_run_was_that_is_gone(store: Store) -> None:
    open_account(store)
    owned = update(trackers).where(trackers.c.id == 11).values(owner_id=8)
    store.write(lambda connection: connection.execute(owned))
    ping(store, {"input_tokens": 5}, NOW - 30 * DAY, "fact:a")
    prune_all(store)
    correction = {"kind": "correction", "corrects": "fact:a", "revision": 1, "input_tokens": 2}

    ping(store, correction, NOW, "fact:a#1", "t11")

    assert placed(store, buckets) == {(10, 9): 7}
    assert placed(store, runs) == {(10, 9): 2}


def test_a_correction_of_a_correction_that_is_gone_stays_where_it_arrived(store: Store) -> None:
    open_account(store)
    ping(store, {"input_tokens": 5}, NOW - 30 * DAY, "fact:a")
    first = {"kind": "correction", "corrects": "fact:a", "revision": 1, "input_tokens": 2}
    ping(store, first, NOW - 30 * DAY, "fact:a#1", "t11")
    prune_all(store)

    ping(store, first | {"corrects": "fact:a#1", "input_tokens": 1}, NOW, "fact:x", "t11")

    assert placed(store, buckets) == {(10, 9): 7, (11, 9): 1}


def test_pruning_goes_in_slices_and_a_slow_one_makes_the_next_smaller(store: Store) -> None:
    open_account(store)
    for number in range(35):
        ping(store, {"n": number}, NOW - 30 * DAY + number)
    writes = []
    ticks = iter(range(0, 10**12, 2 * SLICE_NS))
    worker = Retention(store, now_ns=lambda: next(ticks))
    before = count(store, runs)
    while worker.run_once(NOW):
        left = count(store, runs)
        writes.append(before - left)
        before = left

    # Twice as long as it may: half as many rows.
    assert [rows for rows in writes if rows] == [20, 10, 5]
    assert before == 0


def test_a_fast_database_gets_larger_slices(store: Store) -> None:
    open_account(store)
    for number in range(70):
        ping(store, {"n": number}, NOW - 30 * DAY + number)
    worker = Retention(store, now_ns=lambda: 0)
    sizes, before = [], count(store, runs)
    while worker.run_once(NOW):
        left = count(store, runs)
        sizes.append(before - left)
        before = left

    assert [rows for rows in sizes if rows] == [20, 40, 10]


def test_between_two_passes_there_is_nothing_to_do(store: Store) -> None:
    open_account(store)
    worker = Retention(store)
    while worker.run_once(NOW):
        pass
    ping(store, {}, NOW - 30 * DAY)

    assert worker.run_once(NOW + PASS_EVERY_MS - 1) == 0
    assert worker.run_once(NOW + PASS_EVERY_MS) > 0
    # A clock that was set back does not stop pruning for as long as it was set back.
    while worker.run_once(NOW + PASS_EVERY_MS):
        pass
    assert worker.run_once(NOW - 30 * DAY) > 0


def test_a_pass_reaches_every_tracker_of_every_limited_account(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_stub.workers.retention.TRACKERS_AT_ONCE", 3)
    for account in range(1, 5):
        plan = "unlimited" if account == 2 else "free"
        open_account(store, plan, account=account, first=100 * account)
        for tracker in (100 * account, 100 * account + 1):
            ping(store, {}, NOW - 30 * DAY, token=f"t{tracker}")
    store.write(
        lambda connection: connection.execute(
            update(trackers).where(trackers.c.id == 400).values(deleted_ms=NOW)
        )
    )

    prune_all(store)

    with store.read() as connection:
        kept = sorted(connection.execute(select(runs.c.tracker_id)).scalars())
    assert kept == [200, 201]
    assert [row[0] for row in archived(store)] == [100, 101, 300, 301, 400, 401]


def test_a_tracker_that_cannot_be_pruned_does_not_keep_others_from_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_account(store)
    for token in ("t10", "t11"):
        ping(store, {}, NOW - 30 * DAY, token=token)
    pruning = retention.prune

    def stubborn(connection: Connection, holding: Holding, **rest: Any) -> Any:
        if holding.tracker_id == 10:
            raise ValueError("a bad row")
        return pruning(connection, holding, **rest)

    monkeypatch.setattr(retention, "prune", stubborn)

    prune_all(store)

    assert [row[0] for row in archived(store)] == [11]
    assert "runs of tracker 10 cannot be pruned" in caplog.text


def test_two_processes_that_prune_at_once_count_every_run_once(postgres_url: str) -> None:
    stores = [Store(postgres_url) for _ in range(2)]
    for store in stores:
        store.start()
    open_account(stores[0])
    for number in range(120):
        ping(stores[0], {"status": "error" if number % 3 else "ok"}, NOW - 30 * DAY + number)

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(prune_all, stores))

    assert count(stores[0], runs) == 0
    assert whole(stores[0]) == {10: (120, 80)}
    for store in stores:
        store.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store for all histories of a property."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("retention") / "telemhq.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("shared_postgres_url")
    store = Store(url)
    store.start()
    yield store
    emptied(store)
    store.stop()


@contextmanager
def failing_commits(store: Store, *, fails: bool) -> Iterator[None]:
    """Let what is written be lost at its end, as where a process dies before the commit."""
    writing = store.write

    def lost(work: Callable[[Connection], Any]) -> Any:
        def doomed(connection: Connection) -> None:
            work(connection)
            raise ProblemError(UNAVAILABLE)

        return writing(doomed if fails else work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", lost)
        yield


def emptied(store: Store) -> None:
    def write(connection: Connection) -> None:
        for table in metadata.tables.values():
            connection.execute(delete(table))

    store.write(write)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    history=st.lists(
        st.tuples(
            st.sampled_from(["run", "error", "correction", "start"]),
            st.integers(0, 3),
            st.integers(0, 20),
        ),
        max_size=25,
    ),
    seed=st.integers(0, 1000),
)
def test_kept_and_archived_together_are_the_whole_wherever_pruning_is_broken_off(
    kept_store: Store, history: list[tuple[str, int, int]], seed: int
) -> None:
    store, chance = kept_store, random.Random(seed)
    emptied(store)
    open_account(store)
    for number, (what, fact, days) in enumerate(history):
        at_ms = NOW - days * DAY
        token = f"t{10 + fact % 2}"
        if what == "correction":
            body = {"kind": "correction", "corrects": f"fact:{fact}", "revision": number + 1}
            ping(store, {**body, "failures": 1}, at_ms, f"fact:{fact}#{number}", token)
        elif what == "start":
            ping(store, {"kind": "start"}, at_ms, token=token)
        else:
            ping(store, {"status": what}, at_ms, f"fact:{fact}", token)
    before, counted = whole(store), sums(store)

    # Broken off again and again: by the end of a process, and by a commit that fails.
    for _ in range(6):
        worker = Retention(store)
        worker._slice = chance.randint(1, 3)
        for _ in range(chance.randint(1, 6)):
            with failing_commits(store, fails=chance.random() < 0.3), suppress(ProblemError):
                worker.run_once(NOW)
    prune_all(store)

    kept = {tracker: both for tracker, both in whole(store).items() if both != (0, 0)}
    assert kept == {tracker: both for tracker, both in before.items() if both != (0, 0)}
    assert sums(store) == counted
    with store.read() as connection:
        oldest = connection.execute(
            select(func.min(runs.c.id)).where(runs.c.kind != "correction")
        ).scalar()
    assert oldest is None or oldest >= first_of(NOW - FREE_DAYS * DAY)
