"""Since when the server records, and which process works in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select

from server_stub.domain.problem import ProblemError
from server_stub.store import leases, uptimes
from server_stub.store.engine import Store
from server_stub.store.leases import LEASE_MS
from server_stub.store.tables import leases as leases_table
from server_stub.store.uptimes import LONGEST_SILENCE_MS
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

    later = again.write(lambda connection: uptimes.beat(connection, NOW_MS + 60_000))

    again.stop()
    assert later == NOW_MS + 60_000


def test_a_restart_of_the_only_process_is_a_gap_however_short(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    store.start()
    Uptime(store).run_once(NOW_MS)

    Uptime(store).run_once(NOW_MS + 1000)

    assert span(store) == (NOW_MS + 1000, NOW_MS + 1000)
    store.stop()


def test_a_second_process_that_starts_makes_no_gap(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.start()
    Uptime(store).run_once(NOW_MS)

    Uptime(store).run_once(NOW_MS + 1000)

    assert span(store) == (NOW_MS, NOW_MS + 1000)
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
