"""Since when the server records, and which process works in the background."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from server_stub.domain.problem import ProblemError
from server_stub.store import leases, uptimes
from server_stub.store.engine import Store
from server_stub.store.leases import LEASE_MS
from server_stub.store.recorder import LAG_MS, Recorder
from server_stub.store.tables import leases as leases_table
from server_stub.store.uptimes import LONGEST_SILENCE_MS, Beat, Trusted
from server_stub.workers import leases as workers_leases
from server_stub.workers.leases import RENEW_NS, Lease
from server_stub.workers.uptime import Uptime
from tests.server_stub.outbox import NOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

BEAT = 5000


def span(store: Store) -> tuple[int, int] | None:
    with store.read() as connection:
        return uptimes.span(connection)


def test_while_it_beats_the_server_is_up_since_its_first_beat(store: Store) -> None:
    uptime = Uptime(store)

    for beat in range(4):
        uptime.run_once(NOW_MS + beat * BEAT)

    assert span(store) == (NOW_MS, NOW_MS + 3 * BEAT)


@pytest.mark.parametrize("silence", [LONGEST_SILENCE_MS + 1, 3_600_000, -3_600_000])
def test_a_silence_or_a_clock_that_was_set_is_a_gap(store: Store, silence: int) -> None:
    uptime = Uptime(store)
    uptime.run_once(NOW_MS)

    uptime.run_once(NOW_MS + silence)

    assert span(store) == (NOW_MS + silence, NOW_MS + silence)


@pytest.mark.parametrize("silence", [LONGEST_SILENCE_MS, -LONGEST_SILENCE_MS])
def test_a_beat_that_is_a_little_late_or_early_is_none(store: Store, silence: int) -> None:
    uptime = Uptime(store)
    uptime.run_once(NOW_MS)

    uptime.run_once(NOW_MS + silence)

    assert span(store) == (NOW_MS, max(NOW_MS, NOW_MS + silence))


def test_writes_that_fail_leave_a_gap(store: Store, database_url: str) -> None:
    uptime = Uptime(store)
    uptime.run_once(NOW_MS)
    store.writer.stop()
    with pytest.raises(ProblemError):
        uptime.run_once(NOW_MS + BEAT)
    again = Store(database_url)
    again.start()

    said = Beat(again.recorder_id, NOW_MS + 60_000, NOW_MS + 59_000)
    later = again.write(lambda connection: uptimes.beat(connection, said))

    again.stop()
    assert later == Trusted(NOW_MS + 60_000, NOW_MS + 59_000)


def test_a_restart_of_the_only_process_is_a_gap_however_short(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    store.start()
    Uptime(store).run_once(NOW_MS)

    Uptime(store).run_once(NOW_MS + 1000)

    assert span(store) == (NOW_MS + 1000, NOW_MS + 1000)
    store.stop()


def test_a_second_process_that_starts_makes_no_gap(postgres_url: str) -> None:
    store, other = Store(postgres_url), Store(postgres_url)
    store.start()
    other.start()
    Uptime(store).run_once(NOW_MS)

    Uptime(other).run_once(NOW_MS + 1000)

    assert span(store) == (NOW_MS, NOW_MS + 1000)
    other.stop()
    store.stop()


def test_a_server_that_stopped_and_starts_again_was_away_however_briefly(postgres_url: str) -> None:
    store, again = Store(postgres_url), Store(postgres_url)
    store.start()
    again.start()
    uptime = Uptime(store)
    uptime.run_once(NOW_MS)
    uptime.stop()

    Uptime(again).run_once(NOW_MS + 1000)

    assert span(again) == (NOW_MS + 1000, NOW_MS + 1000)
    again.stop()
    store.stop()


def test_what_can_be_trusted_ends_where_the_slowest_process_is(postgres_url: str) -> None:
    store, slow = Store(postgres_url), Store(postgres_url)
    store.start()
    slow.start()
    Uptime(slow).run_once(NOW_MS)
    recorder = Recorder(store)
    recorder.begin(NOW_MS + 1000)

    behind = recorder.write(NOW_MS + 9000, lambda _connection, trusted: trusted)
    silent = recorder.write(NOW_MS + 12_000, lambda _connection, trusted: trusted)

    assert behind == Trusted(NOW_MS, NOW_MS - LAG_MS)
    assert silent == Trusted(NOW_MS + 12_000, NOW_MS + 12_000 - LAG_MS)
    slow.stop()
    store.stop()


def test_a_process_in_which_a_ping_waits_long_is_not_silent_to_itself(store: Store) -> None:
    def said(after_s: int) -> Trusted:
        told = Beat(store.recorder_id, NOW_MS + after_s * 1000, NOW_MS + 1000)
        return store.write(lambda connection: uptimes.beat(connection, told))

    trusted = [said(after_s) for after_s in (2, 7, 12, 17, 22)]

    assert trusted == [Trusted(NOW_MS + 2000, NOW_MS + 1000)] * 5


def test_an_outage_is_one_gap_whatever_is_written_after_it(store: Store) -> None:
    uptime, sweep = Uptime(store), Recorder(store)
    uptime.run_once(NOW_MS)

    def be_away(_connection: object) -> None:
        raise PoolTimeoutError

    with pytest.raises(ProblemError):
        store.write(be_away)
    uptime.run_once(NOW_MS + 5000)
    trusted = sweep.write(NOW_MS + 10_000, lambda _connection, trusted: trusted)

    assert trusted == Trusted(NOW_MS + 5000, NOW_MS + 10_000 - LAG_MS)


def test_what_is_refused_while_a_sweep_waits_for_its_turn_is_a_gap_to_it(store: Store) -> None:
    recorder = Recorder(store)
    recorder.begin(NOW_MS)
    release = threading.Event()
    store.writer.submit(lambda _connection: release.wait(20))

    def be_away(_connection: object) -> None:
        raise PoolTimeoutError

    with ThreadPoolExecutor() as threads:
        refused = store.writer.submit(be_away)
        sweeping = threads.submit(recorder.write, NOW_MS + 5000, lambda _connection, told: told)
        time.sleep(0.1)  # until it waits, too
        release.set()

    assert isinstance(refused.exception(), ProblemError)
    assert sweeping.result().since_ms == NOW_MS + 5000


def test_a_process_that_others_gave_up_says_that_there_was_a_gap(postgres_url: str) -> None:
    store, slow = Store(postgres_url), Store(postgres_url)
    store.start()
    slow.start()
    slow_one, recorder = Uptime(slow), Recorder(store)
    slow_one.run_once(NOW_MS)
    recorder.begin(NOW_MS + 11_500)
    recorder.write(NOW_MS + 20_000, lambda _connection, _trusted: None)

    slow_one.run_once(NOW_MS + 21_000)

    assert span(store) == (NOW_MS + 21_000, NOW_MS + 21_000)
    slow.stop()
    store.stop()


def test_processes_that_give_each_other_up_do_not_wait_for_each_other(postgres_url: str) -> None:
    stores = [Store(postgres_url) for _ in range(4)]
    for store in stores:
        store.start()
    recorders = [Recorder(store) for store in stores]
    for recorder in recorders:
        recorder.begin(NOW_MS)

    for beat in range(1, 20):
        now_ms = NOW_MS + beat * 60_000
        with ThreadPoolExecutor() as threads:
            told = [
                threads.submit(recorder.write, now_ms, lambda _connection, trusted: trusted)
                for recorder in recorders
            ]
        assert {one.result().since_ms for one in told} == {now_ms}

    assert [store.troubles for store in stores] == [0, 0, 0, 0]
    for store in stores:
        store.stop()


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    running = Store(postgres_url)
    running.start()
    yield running
    running.stop()


def take(store: Store, holder: str, now_ms: int) -> bool:
    return store.write(lambda connection: leases.take(connection, "workers", holder, now_ms))


def test_one_process_holds_a_lease_until_it_ends(shared: Store) -> None:
    assert take(shared, "one", NOW_MS)
    assert not take(shared, "other", NOW_MS + LEASE_MS - 1)
    assert take(shared, "one", NOW_MS + LEASE_MS - 1)
    assert not take(shared, "other", NOW_MS + LEASE_MS)
    assert take(shared, "other", NOW_MS + 2 * LEASE_MS)
    assert not take(shared, "one", NOW_MS + 2 * LEASE_MS)


def test_a_lease_that_was_given_back_can_be_taken_at_once(shared: Store) -> None:
    take(shared, "one", NOW_MS)

    shared.write(lambda connection: leases.release(connection, "workers", "other"))
    kept = take(shared, "other", NOW_MS)
    shared.write(lambda connection: leases.release(connection, "workers", "one"))

    assert (kept, take(shared, "other", NOW_MS)) == (False, True)


def test_a_lease_from_before_the_clock_was_set_back_is_over(shared: Store) -> None:
    take(shared, "gone", NOW_MS + 3_600_000)

    assert take(shared, "one", NOW_MS)


def test_the_only_process_of_a_database_needs_no_lease(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    store.start()

    held = [Lease(store).is_held(NOW_MS), Lease(store).is_held(NOW_MS)]

    with store.read() as connection:
        assert (held, connection.execute(select(leases_table)).all()) == ([True, True], [])
    store.stop()


def test_a_lease_is_asked_for_once_in_a_while_and_lost_with_the_database(
    shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [0]
    monkeypatch.setattr(workers_leases, "monotonic_ns", lambda: now_ns[0])
    mine, other = Lease(shared), Lease(shared)

    assert (mine.is_held(NOW_MS), other.is_held(NOW_MS)) == (True, False)
    shared.write(lambda connection: connection.execute(delete(leases_table)))
    assert mine.is_held(NOW_MS)  # not asked again yet
    mine.release()
    now_ns[0] = RENEW_NS
    assert (other.is_held(NOW_MS), mine.is_held(NOW_MS)) == (True, False)
    shared.writer.stop()
    now_ns[0] = 2 * RENEW_NS
    with pytest.raises(ProblemError):
        other.is_held(NOW_MS)
    with pytest.raises(ProblemError):
        other.is_held(NOW_MS)
