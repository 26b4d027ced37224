"""Rules in the store: several processes, one tracker, and pings in between."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from server_stub.domain.run import Arrival, RunFacts
from server_stub.domain.tracker import TrackerDraft
from server_stub.domain.tracker_file import ChangedTracker, Difference
from server_stub.store import channels, joining, rules, tracker_file, trackers, transitions
from server_stub.store.engine import Store, writing_engine
from server_stub.store.tables import alerts, deliveries
from server_stub.store.tables import runs as stored_runs
from server_stub.store.tables import trackers as stored_trackers
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Alerting, Channel, ChannelKind, Rules, Schedule
from tests.server_stub.blocking import wait_until_blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from server_stub.domain.tracker import Tracker

NOW = 1_800_000_000_000
TOKEN = "nightly"
HOURLY = Rules(schedule=Schedule(interval_s=3600))


@pytest.fixture
def stores(database_url: str) -> Iterator[tuple[Store, Store]]:
    """Two servers on one database."""
    both = (Store(database_url), Store(database_url))
    for store in both:
        store.start()
    yield both
    for store in both:
        store.stop()


@pytest.fixture
def tracker(stores: tuple[Store, Store]) -> Tracker:
    return made(stores[0], Rules())


def made(store: Store, judged_by: Rules) -> Tracker:
    start = store.write(
        lambda connection: joining.set_up(
            connection, email="ada@example.com", name="Ada", team=None, now_ms=1
        )
    )
    assert start is not None
    draft = TrackerDraft(start.account_id, start.user_id, "nightly", rules=judged_by)
    tracker_id = store.write(lambda connection: trackers.create(connection, draft, TOKEN, NOW))
    assert tracker_id is not None
    with store.read() as connection:
        found = trackers.find(connection, tracker_id, [start.account_id])
    assert found is not None
    return found


def again(store: Store, tracker: Tracker) -> Tracker:
    with store.read() as connection:
        found = trackers.find(connection, tracker.id, [tracker.account_id])
    assert found is not None
    return found


def ping(store: Store, received_ms: int, *, failed: bool = False) -> None:
    facts = RunFacts(ended_ms=received_ms, amounts=Amounts(runs=1, failures=int(failed)))
    store.writer.ingest(Arrival(TOKEN, "", received_ms, facts)).result(20)


def save(store: Store, tracker: Tracker, wanted: Rules, expected: int | None) -> bool:
    return (
        store.write(lambda connection: rules.save(connection, tracker, wanted, expected, NOW))
        is not None
    )


def test_of_two_who_saw_the_same_rules_one_changes_them(
    stores: tuple[Store, Store], tracker: Tracker
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for revision in range(10):
            wanted = [Rules(failures_to_fail=2 * revision + number + 2) for number in (0, 1)]
            won = list(pool.map(save, stores, [tracker] * 2, wanted, [revision] * 2))
            assert sorted(won) == [False, True]
    assert again(stores[0], tracker).rules_revision == 10


def test_pings_and_changes_of_rules_at_the_same_moment_lose_nothing(
    stores: tuple[Store, Store], tracker: Tracker
) -> None:
    count = 40

    def send(number: int) -> None:
        ping(stores[number % 2], NOW + number, failed=False)

    def change(number: int) -> None:
        save(stores[number % 2], tracker, Rules(min_duration_ms=number + 1), None)

    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, number) for number in range(count)]
        changed = [pool.submit(change, number) for number in range(count)]
        for done in (*sent, *changed):
            done.result(30)

    after = again(stores[0], tracker)
    assert after.rules_revision == count
    assert (after.state, after.last_run_ms) == (TrackerState.ACTIVE, NOW + count - 1)
    with stores[0].read() as connection:
        assert len(connection.execute(select(stored_runs.c.id)).all()) == count
        told = transitions.page(
            connection, tracker.account_id, tracker.id, before_id=None, limit=100
        )
    assert [(one.before, one.after) for one in told] == [(TrackerState.NEW, TrackerState.ACTIVE)]


def test_a_schedule_expects_a_ping_from_the_first_one_on(
    stores: tuple[Store, Store], tracker: Tracker
) -> None:
    store, _ = stores
    ping(store, NOW)

    assert save(store, tracker, HOURLY, 0)

    due = again(store, tracker).due_ms
    assert due is not None
    assert NOW < due <= NOW + 3_600_000


def test_a_pause_and_its_end_keep_the_rules(store: Store) -> None:
    tracker = made(store, HOURLY)
    place = (tracker.account_id, tracker.id)
    ping(store, NOW)

    store.write(lambda connection: rules.pause(connection, *place, NOW + 1))
    paused = again(store, tracker)
    store.write(lambda connection: rules.resume(connection, *place, NOW + 2))
    resumed = again(store, tracker)

    assert (paused.state, paused.due_ms) == (TrackerState.PAUSED, None)
    assert resumed.due_ms is not None
    assert paused.rules == resumed.rules == tracker.rules
    with store.read() as connection:
        told = transitions.page(connection, *place, before_id=None, limit=9)
    assert [one.cause.value for one in told][:2] == ["resumed", "paused"]


def test_a_tracker_that_is_gone_keeps_its_rules_from_being_saved(
    stores: tuple[Store, Store], tracker: Tracker
) -> None:
    store, _ = stores
    place = (tracker.account_id, tracker.id)
    store.write(lambda connection: trackers.delete(connection, *place, NOW))

    assert not save(store, tracker, HOURLY, None)
    with store.read() as connection:
        assert rules.read(connection, *place) is None


def test_channels_follow_the_rules_and_go_with_their_tracker(store: Store) -> None:
    mail = Channel(ChannelKind.EMAIL, "ops@example.com")
    hook = Channel(ChannelKind.WEBHOOK, "https://hooks.example.com/a")
    tracker = made(store, Rules(alerting=Alerting(channels=[mail])))
    place = (tracker.account_id, tracker.id)

    def listed() -> list[str]:
        with store.read() as connection:
            found = channels.of_trackers(connection, tracker.account_id, [tracker.id])
        return [one.target for one in channels.listed(found)]

    told = [listed()]
    save(store, tracker, Rules(alerting=Alerting(channels=[hook])), 0)
    told.append(listed())
    save(store, tracker, Rules(alerting=Alerting(channels=[hook]), failures_to_fail=2), 1)
    told.append(listed())
    store.write(lambda connection: trackers.delete(connection, *place, NOW))
    told.append(listed())

    assert told == [[mail.target], [hook.target], [hook.target], []]


QUIET = Alerting(quiet_from="00:00", quiet_until="23:59")
"""Nearly the whole day: what fails waits."""


def told(store: Store) -> list[tuple[str, str, str]]:
    """Each alert's event, why nobody is told of it, and how its deliveries stand."""
    asked = (
        select(alerts.c.event, alerts.c.withheld, deliveries.c.state)
        .select_from(alerts)
        .join(deliveries, deliveries.c.alert_id == alerts.c.id, isouter=True)
        .order_by(alerts.c.id)
    )
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(asked)]


def change(store: Store, tracker: Tracker, judged_by: Rules, now_ms: int) -> None:
    saved = store.write(lambda connection: rules.save(connection, tracker, judged_by, None, now_ms))
    assert saved is not None


@pytest.mark.parametrize(
    ("alerting", "snoozed_until", "reason"),
    [
        (replace(QUIET, muted=True), "", "muted"),
        (QUIET, "2030-01-01T00:00:00Z", "snoozed"),
    ],
)
def test_an_alert_that_waits_does_not_go_out_once_nobody_is_to_be_told(
    stores: tuple[Store, Store], alerting: Alerting, snoozed_until: str, reason: str
) -> None:
    store = stores[0]
    tracker = made(store, Rules(alerting=QUIET))
    ping(store, NOW, failed=True)
    assert told(store) == [("tracker.failed", "", "waiting")]

    change(store, tracker, Rules(alerting=alerting, snoozed_until=snoozed_until), NOW + 1)

    assert told(store) == [("tracker.failed", reason, "withdrawn")]
    assert again(store, tracker).state is TrackerState.FAILING


def test_an_alert_that_waits_does_not_go_out_of_a_paused_tracker(
    stores: tuple[Store, Store],
) -> None:
    store = stores[0]
    tracker = made(store, Rules(alerting=QUIET))
    ping(store, NOW, failed=True)

    store.write(lambda connection: rules.pause(connection, tracker.account_id, tracker.id, NOW + 1))
    store.write(
        lambda connection: rules.resume(connection, tracker.account_id, tracker.id, NOW + 2)
    )
    ping(store, NOW + 3, failed=True)

    assert told(store) == [
        ("tracker.failed", "paused", "withdrawn"),
        ("tracker.failed", "", "waiting"),
    ]


def test_who_was_spared_an_alert_is_told_later_of_what_still_fails(
    stores: tuple[Store, Store],
) -> None:
    store = stores[0]
    tracker = made(store, Rules(alerting=QUIET))
    ping(store, NOW, failed=True)
    change(store, tracker, Rules(alerting=replace(QUIET, muted=True)), NOW + 1)
    assert again(store, tracker).state is TrackerState.FAILING

    change(store, tracker, Rules(), NOW + 2)

    with store.read() as connection:
        woken_ms = connection.execute(select(stored_trackers.c.wake_ms)).scalar_one()
    assert woken_ms == NOW + 2


def test_a_file_that_prunes_and_changes_does_not_wait_in_a_ring_with_pings(
    own_postgres_url: str,
) -> None:
    store = Store(own_postgres_url)
    store.start()
    pruned = made(store, Rules())
    place = (pruned.account_id, pruned.owner_id)
    draft = TrackerDraft(*place, "hourly")
    kept_id = store.write(lambda connection: trackers.create(connection, draft, "hourly", NOW))
    assert kept_id is not None
    reach = tracker_file.Reach(*place)
    with store.read() as connection:
        seen = tracker_file.known(connection, reach)
    known = {one.id: one for one in seen}
    difference = Difference(
        (), (ChangedTracker(known[kept_id], HOURLY, ()),), (), (known[pruned.id],)
    )

    def apply(connection: Connection) -> None:
        tracker_file.apply(
            connection, reach, seen, difference, made_by=place[1], tokens=[], now_ms=NOW
        )

    engine = writing_engine(own_postgres_url)
    applying = threading.Thread(target=store.write, args=(apply,))
    of = stored_trackers.c.id
    with engine.connect() as booking, booking.begin():
        booking.execute(select(of).where(of == pruned.id).with_for_update())
        applying.start()
        wait_until_blocked(engine, applying)
        booking.execute(select(of).where(of == kept_id).with_for_update(nowait=True))
    applying.join()

    with store.read() as connection:
        assert [one.rules for one in tracker_file.known(connection, reach)] == [HOURLY]
    store.stop()
    engine.dispose()
