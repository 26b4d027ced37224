from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from server_stub.domain.run import Arrival, RunFacts
from server_stub.store.engine import Store, writing_engine
from server_stub.store.ingest import Booked, book
from server_stub.store.limits import OverLimit
from server_stub.store.quotas import Quota
from server_stub.store.tables import (
    accounts,
    alerts,
    buckets,
    idempotency_keys,
    memberships,
    ping_counts,
    runs,
    session_buckets,
    trackers,
    tracking_tokens,
    transitions,
)
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.ping import KIND_LOG, KIND_SKIP, KIND_START
from tests.server_stub.blocking import wait_until_blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from server_stub.store.ingest import Outcome

NOON = 1_763_640_000_000  # 2025-11-20T12:00:00Z
HOUR = 60 * 60 * 1000
HOURLY = {"cron": "0 * * * *", "grace_s": 600}
CHEAP = {"path": "cost_usd", "operator": "less_than", "value": 5, "id": "a1"}


def ping(
    at: int = NOON,
    *,
    key: str = "",
    failed: bool = False,
    ended: int | None = None,
    fields: dict[str, Any] | None = None,
    kind: str = "run",
    primary: bool = True,
    token: str = "tok",  # noqa: S107 - made up
) -> Arrival:
    amounts = Amounts(runs=int(primary), failures=int(failed), input_tokens=10)
    facts = RunFacts(at if ended is None else ended, amounts, kind=kind)
    return Arrival(token, key, at, facts, fields or {})


def ingest(store: Store, *arrivals: Arrival) -> list[Outcome]:
    futures = [store.writer.ingest(one) for one in arrivals]
    return [future.result(timeout=20) for future in futures]


def together(store: Store, *arrivals: Arrival) -> list[Outcome]:
    """Book all in one group commit."""
    release = threading.Event()
    store.writer.submit(lambda _connection: release.wait(20))
    futures = [store.writer.ingest(one) for one in arrivals]
    release.set()
    return [future.result(timeout=20) for future in futures]


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def rule(store: Store, **rules: Any) -> None:
    """Give every tracker these rules."""
    written = json.dumps(rules)
    store.write(lambda connection: connection.execute(update(trackers).values(rules=written)))


def tracker(store: Store) -> dict[str, Any]:
    (found,) = rows(store, trackers)
    return found


def moves(store: Store) -> list[tuple[str, str, str]]:
    found = sorted(rows(store, transitions), key=lambda row: row["id"])
    return [(row["from_state"], row["to_state"], row["cause"]) for row in found]


def test_a_broken_assertion_fails_its_run_and_its_tracker_in_one_commit(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    rule(store, assertions=[CHEAP])

    cheap, dear = ingest(
        store, ping(fields={"cost_usd": 4.5}), ping(NOON + 1, fields={"cost_usd": 7})
    )

    assert isinstance(cheap, Booked)
    assert isinstance(dear, Booked)
    by_id = {row["id"]: row for row in rows(store, runs)}
    assert (by_id[cheap.run_id]["outcome"], by_id[dear.run_id]["outcome"]) == ("passed", "failed")
    (held,) = json.loads(by_id[cheap.run_id]["verdicts"])
    (broken,) = json.loads(by_id[dear.run_id]["verdicts"])
    assert (held["assertion"], held["verdict"]) == ("a1", "held")
    assert (broken["verdict"], "cost_usd is 7" in broken["message"]) == ("broken", True)
    assert tracker(store)["state"] == "failing"
    expected = [("new", "active", "first run"), ("active", "failing", "assertion broken")]
    assert moves(store) == expected
    (alert,) = rows(store, alerts)
    assert (alert["event"], alert["run_id"]) == ("tracker.failed", dear.run_id)


def test_a_batch_is_judged_in_the_order_of_arrival(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    together(
        store, ping(NOON), ping(NOON + 1, failed=True), ping(NOON + 2), ping(NOON + 3, failed=True)
    )

    assert [(before, after) for before, after, _ in moves(store)] == [
        ("new", "active"),
        ("active", "failing"),
        ("failing", "active"),
        ("active", "failing"),
    ]
    assert tracker(store)["state"] == "failing"
    assert tracker(store)["memory_revision"] == 1


def test_a_run_says_when_the_next_one_is_due_and_when_to_look_for_it(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    rule(store, schedule=HOURLY)

    ingest(store, ping(NOON + 5))

    found = tracker(store)
    assert found["due_ms"] == NOON + HOUR
    assert NOON + HOUR <= found["wake_ms"] <= NOON + HOUR + 600_000


def test_a_repeated_key_is_not_judged_again(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    rule(store, schedule=HOURLY, failures_to_fail=2)
    ingest(store, ping(key="k", failed=True))
    before = tracker(store)

    together(store, ping(NOON + HOUR, key="k", failed=True), ping(NOON + 2 * HOUR, key="k"))

    assert tracker(store) == before


@pytest.mark.parametrize(
    "other",
    [
        ping(NOON + HOUR, primary=False),
        ping(NOON + HOUR, kind=KIND_SKIP, primary=False),
        ping(NOON + HOUR, kind=KIND_LOG, primary=False),
        ping(NOON + HOUR, kind="correction"),
    ],
    ids=["not primary", "skip", "log", "correction"],
)
def test_what_is_no_run_is_neither_judged_nor_a_sign_of_life(
    other: Arrival, store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    rule(store, schedule=HOURLY, assertions=[CHEAP])
    ingest(store, ping(fields={"cost_usd": 1}))
    before = tracker(store)

    (outcome,) = ingest(store, other)

    assert tracker(store) == before
    assert isinstance(outcome, Booked)
    (run,) = [row for row in rows(store, runs) if row["id"] == outcome.run_id]
    assert (run["outcome"], run["verdicts"]) == ("", None)


def test_a_paused_tracker_records_and_is_not_judged(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    store.write(lambda connection: connection.execute(update(trackers).values(state="paused")))

    ingest(store, ping(failed=True))

    found = tracker(store)
    assert (found["state"], found["last_run_ms"], found["last_status"]) == ("paused", NOON, "error")
    assert [row["outcome"] for row in rows(store, runs)] == [""]
    assert moves(store) == []


def test_a_failing_tracker_recovers_by_a_run(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    ingest(store, ping(failed=True), ping(NOON + 1))

    assert tracker(store)["state"] == "active"
    assert [row["event"] for row in rows(store, alerts)] == ["tracker.failed", "tracker.recovered"]


def test_a_start_that_never_ends_is_looked_for(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    rule(store, max_duration_ms=60_000)

    ingest(store, ping(kind=KIND_START, primary=False))

    assert tracker(store)["wake_ms"] == NOON + 60_000
    assert tracker(store)["last_run_ms"] is None


def history() -> list[Arrival]:
    """Twenty runs, each sent twice: which of them failed is in the pattern."""
    pattern = "..x.xx...x.xxx.x..xx"
    return 2 * [
        ping(NOON, key=f"k{number}", ended=NOON - HOUR + number * 1000, failed=sign == "x")
        for number, sign in enumerate(pattern)
    ]


LATEST = [False, False, True, True]
"""The last four of the pattern of `history`: `..xx`."""


def forget(connection: Connection) -> None:
    for table in (runs, idempotency_keys, buckets, session_buckets, transitions, alerts):
        connection.execute(delete(table))
    fresh = {"state": "new", "memory": "{}", "due_ms": None, "wake_ms": None, "last_run_ms": None}
    connection.execute(update(trackers).values(fresh))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shuffled=st.permutations(history()),
    sizes=st.lists(st.integers(1, 12), min_size=20, max_size=20),
)
def test_any_order_of_arrival_gives_the_same_sums_runs_and_counters(
    store: Store, one_tracker: None, shuffled: list[Arrival], sizes: list[int]
) -> None:
    store.write(forget)
    rule(store, failures_to_fail=4, successes_to_recover=3, schedule=HOURLY)

    for size in sizes:
        together(store, *shuffled[:size])
        del shuffled[:size]
    together(store, *shuffled)

    recent = json.loads(tracker(store)["memory"])["recent"]
    assert [failed for _, _, failed in recent] == LATEST
    assert [ended for ended, _, _ in recent] == [NOON - HOUR + n * 1000 for n in range(16, 20)]
    assert Counter(row["outcome"] for row in rows(store, runs)) == {"passed": 10, "failed": 10}
    for table in (buckets, session_buckets):
        sums = [(row["runs"], row["failures"], row["input_tokens"]) for row in rows(store, table)]
        assert sums == [(20, 10, 200)]


@pytest.fixture
def one_tracker(add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")


def test_two_processes_lose_nothing_of_a_trackers_state(postgres_url: str) -> None:
    stores = [Store(postgres_url), Store(postgres_url)]
    for store in stores:
        store.start()
    stores[0].write(lambda connection: some_trackers(connection, 20))
    rule(stores[0], failures_to_fail=40)

    futures = [
        stores[number % 2].writer.ingest(ping(NOON + number, failed=True, token=f"tok{which}"))
        for number in range(40)
        for which in (range(20) if number % 3 else range(19, -1, -1))
    ]
    assert all(isinstance(future.result(timeout=30), Booked) for future in futures)

    for found in rows(stores[0], trackers):
        assert len(json.loads(found["memory"])["recent"]) == 40
        assert found["state"] == "failing"
    assert Counter(after for _, after, _ in moves(stores[0])) == {"active": 20, "failing": 20}
    for store in stores:
        store.stop()


def some_trackers(connection: Connection, count: int) -> None:
    place = {"account_id": 1, "created_ms": 1}
    for number in range(count):
        mine = {"id": 10 + number, "owner_id": 100, "name": f"t{number}"}
        connection.execute(insert(trackers).values(mine | place))
        token = {"token": f"tok{number}", "tracker_id": 10 + number}
        connection.execute(insert(tracking_tokens).values(token | place))


def test_a_tracker_is_judged_by_one_process_at_a_time(postgres_url: str) -> None:
    engine = writing_engine(postgres_url)
    with engine.begin() as connection:
        some_trackers(connection, 1)
        connection.execute(update(trackers).values(rules='{"failures_to_fail": 2}'))

    def follow() -> None:
        with engine.begin() as connection:
            book(connection, [ping(NOON + 1, failed=True, token="tok0")])

    follower = threading.Thread(target=follow)
    with engine.begin() as connection:
        book(connection, [ping(NOON, failed=True, token="tok0")])
        follower.start()
        wait_until_blocked(engine, follower)
    follower.join()

    with engine.connect() as connection:
        assert connection.execute(select(trackers.c.state)).scalar_one() == "failing"
    engine.dispose()


def limited(store: Store, plan: str) -> None:
    values = {"id": 1, "kind": "team", "name": "Shop", "created_ms": 1, "plan": plan}
    store.write(lambda connection: connection.execute(insert(accounts).values(values)))


def used(store: Store) -> dict[int, int]:
    return {row["month_ms"]: row["pings"] for row in rows(store, ping_counts)}


NOVEMBER, DECEMBER = 1_761_955_200_000, 1_764_547_200_000
"""2025-11-01 and 2025-12-01, the starts of two UTC months."""


def spend(store: Store, pings: int) -> None:
    row = {"account_id": 1, "month_ms": NOVEMBER, "pings": pings}
    store.write(lambda connection: connection.execute(insert(ping_counts).values(row)))


def test_the_last_ping_of_a_quota_is_taken_and_the_next_one_refused(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    limited(store, "free")
    spend(store, 998)

    outcomes = together(store, *(ping(key=f"k{number}") for number in range(4)))

    full = Quota(1000, 1000, NOVEMBER, "free")
    assert [type(outcome) for outcome in outcomes] == [Booked, Booked, OverLimit, OverLimit]
    assert all(outcome.quota == full for outcome in outcomes if isinstance(outcome, OverLimit))
    assert used(store) == {NOVEMBER: 1000}
    assert len(rows(store, runs)) == 2
    assert len(rows(store, idempotency_keys)) == 2


def test_a_known_key_and_a_correction_are_taken_when_the_quota_is_used_up(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    limited(store, "free")
    spend(store, 999)
    ingest(store, ping(key="fact:k"))
    facts = RunFacts(NOON, Amounts(input_tokens=-1), kind="correction", corrects="fact:k")

    again, corrected, fresh = together(
        store,
        ping(key="fact:k"),
        Arrival("tok", "fact:k.r1", NOON, facts),
        ping(key="fact:another"),
    )

    assert isinstance(again, Booked)
    assert again.duplicate
    assert isinstance(corrected, Booked)
    assert not corrected.duplicate
    assert isinstance(fresh, OverLimit)
    assert used(store) == {NOVEMBER: 1000}


def test_a_quota_begins_anew_with_the_utc_month(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    limited(store, "free")
    spend(store, 1000)

    late, early = together(store, ping(DECEMBER - 1), ping(DECEMBER))

    assert isinstance(late, OverLimit)
    assert isinstance(early, Booked)
    assert early.quota == Quota(1000, 1, DECEMBER, "free")
    assert used(store) == {NOVEMBER: 1000, DECEMBER: 1}


def test_a_teams_quota_grows_with_its_members(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    limited(store, "team")
    member = {"account_id": 1, "role": "member", "joined_ms": 1}
    people: list[dict[str, Any]] = [
        {"user_id": 100},
        {"user_id": 101},
        {"user_id": 102, "state": "revoked"},
    ]
    store.write(
        lambda connection: [
            connection.execute(insert(memberships).values(member | one)) for one in people
        ]
    )

    (outcome,) = ingest(store, ping())

    assert isinstance(outcome, Booked)
    assert outcome.quota == Quota(200_000, 1, NOVEMBER, "team")


def test_without_a_quota_nothing_is_counted(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")

    (outcome,) = ingest(store, ping())

    assert isinstance(outcome, Booked)
    assert outcome.quota is None
    assert used(store) == {}


def test_two_processes_share_one_quota(postgres_url: str) -> None:
    stores = [Store(postgres_url), Store(postgres_url)]
    for store in stores:
        store.start()
    stores[0].write(lambda connection: some_trackers(connection, 2))
    limited(stores[0], "free")
    spend(stores[0], 950)

    futures = [
        stores[number % 2].writer.ingest(ping(key=f"k{number}", token=f"tok{number % 2}"))
        for number in range(100)
    ]
    outcomes = [future.result(timeout=30) for future in futures]

    assert Counter(type(outcome) for outcome in outcomes) == {Booked: 50, OverLimit: 50}
    assert used(stores[0]) == {NOVEMBER: 1000}
    assert len(rows(stores[0], runs)) == 50
    for store in stores:
        store.stop()
