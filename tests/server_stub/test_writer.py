from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, func, insert, make_url, select, text

from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival, RunFacts
from server_stub.store.engine import Store
from server_stub.store.ingest import Booked
from server_stub.store.tables import accounts, buckets, runs, trackers, tracking_tokens
from telemhq_agents.contract.amounts import Amounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from sqlalchemy import Connection

AT = 1_763_600_400_000

END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'"


def one_run(key: str = "", *, tokens: int = 7, model: str = "m") -> Arrival:
    amounts = Amounts(runs=1, input_tokens=tokens, total_tokens=tokens)
    return Arrival("tok", key, AT, RunFacts(AT, amounts, model=model))


def new_account(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        values = {"id": number, "kind": "team", "name": "x", "created_ms": 1}
        connection.execute(insert(accounts).values(**values))
        return number

    return work


def stored_runs(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(runs)).scalar_one()


def stored_accounts(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars())


def hold(store: Store) -> threading.Event:
    """Keep the writer busy until the event is set, so that a batch gathers behind it."""
    release = threading.Event()
    store.writer.submit(lambda _connection: release.wait(10))
    return release


def test_work_is_committed_before_its_future_is_done(store: Store) -> None:
    assert store.write(new_account(5)) == 5

    assert stored_accounts(store) == [5]


def test_work_that_fails_writes_nothing_and_tells_its_caller_why(store: Store) -> None:
    def work(connection: Connection) -> None:
        new_account(1)(connection)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        store.write(work)

    assert stored_accounts(store) == []
    assert store.write(new_account(2)) == 2


def test_what_waits_is_committed_together_and_in_order(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    release = hold(store)
    transactions: list[int] = []
    futures = [store.writer.ingest(one_run(f"k{number}")) for number in range(50)]
    after = store.writer.submit(lambda connection: transactions.append(_seen(connection)))

    release.set()
    outcomes = [future.result(timeout=10) for future in futures]
    after.result(timeout=10)

    assert transactions == [50]
    ids = [outcome.run_id for outcome in outcomes if isinstance(outcome, Booked)]
    assert len(ids) == 50
    assert ids == sorted(ids)


def _seen(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(runs)).scalar_one()


def test_one_reply_tells_a_whole_batch(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    release = hold(store)
    replies: list[list[tuple[Any, Any]]] = []
    done = threading.Event()

    def reply(pairs: list[tuple[Any, Any]]) -> None:
        replies.append(pairs)
        done.set()

    for number in range(20):
        store.writer.book(one_run(), number, reply)
    release.set()
    assert done.wait(10)

    assert [[ticket for ticket, _ in pairs] for pairs in replies] == [list(range(20))]


def test_one_poisoned_ping_fails_alone(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    release = hold(store)
    beyond_any_column = 2**70

    good = [store.writer.ingest(one_run(f"good{number}")) for number in range(5)]
    bad = store.writer.ingest(one_run("bad", tokens=beyond_any_column))
    worse = store.writer.ingest(one_run("worse", model="half a pair: \ud800"))
    good += [store.writer.ingest(one_run(f"late{number}")) for number in range(5)]
    release.set()

    assert all(isinstance(future.result(timeout=10), Booked) for future in good)
    for future, status, slug in ((bad, 422, "sum-too-large"), (worse, 500, "not-storable")):
        with pytest.raises(ProblemError) as caught:
            future.result(timeout=10)
        assert (caught.value.problem.status, caught.value.problem.type) == (status, slug)
    assert stored_runs(store) == 10


def test_a_sum_that_would_outgrow_its_column_is_refused_and_stays_as_it_was(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    largest = 2**63 - 1
    store.writer.ingest(one_run(tokens=largest - 10)).result(timeout=10)

    release = hold(store)
    over = store.writer.ingest(one_run("over", tokens=11))
    fits = store.writer.ingest(one_run("fits", tokens=10))
    release.set()

    assert isinstance(fits.result(timeout=10), Booked)
    with pytest.raises(ProblemError) as caught:
        over.result(timeout=10)
    assert (caught.value.problem.status, caught.value.problem.type) == (422, "sum-too-large")
    with store.read() as connection:
        assert connection.execute(select(buckets.c.input_tokens)).scalar_one() == largest
    assert stored_runs(store) == 2


def test_a_refused_ping_leaves_its_key_free(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    with pytest.raises(ProblemError):
        store.writer.ingest(one_run("k", tokens=2**70)).result(timeout=10)

    outcome = store.writer.ingest(one_run("k")).result(timeout=10)

    assert isinstance(outcome, Booked)
    assert not outcome.duplicate


def test_stopping_finishes_what_was_handed_in(
    database_url: str, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    store = Store(database_url)
    store.start()
    release = hold(store)
    futures = [store.writer.ingest(one_run()) for _ in range(30)]

    threading.Timer(0.05, release.set).start()
    store.stop()

    assert all(future.done() and isinstance(future.result(), Booked) for future in futures)
    again = Store(database_url)
    assert stored_runs(again) == 30
    again.stop()


def test_after_stopping_everything_is_refused_at_once(store: Store) -> None:
    store.stop()

    for future in (store.writer.ingest(one_run()), store.writer.submit(new_account(1))):
        with pytest.raises(ProblemError) as caught:
            future.result(timeout=1)
        assert caught.value.problem.status == 503
    assert not store.writer.is_alive()
    assert not store.is_well()


def test_a_future_that_nobody_waits_for_harms_nobody(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    release = hold(store)
    given_up: Future[Any] = store.writer.ingest(one_run())
    given_up.cancel()
    other = store.writer.ingest(one_run())
    given_up_work = store.writer.submit(new_account(1))
    given_up_work.cancel()
    release.set()

    assert isinstance(other.result(timeout=10), Booked)
    assert store.write(new_account(2)) == 2
    assert stored_accounts(store) == [2]


def test_a_reply_that_fails_does_not_stop_the_writer(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    def reply(_pairs: list[tuple[Any, Any]]) -> None:
        raise RuntimeError("the event loop is closed")

    store.writer.book(one_run(), None, reply)

    assert isinstance(store.writer.ingest(one_run()).result(timeout=10), Booked)
    assert stored_runs(store) == 2


def test_a_lost_connection_is_opened_again_without_anybody_noticing(
    own_postgres_url: str, postgres_admin: Callable[[str], None]
) -> None:
    store = Store(own_postgres_url)
    store.start()
    store.write(new_account(1))

    postgres_admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname LIKE 't%'"
    )

    assert store.write(new_account(2)) == 2
    assert stored_accounts(store) == [1, 2]
    store.stop()


def test_a_database_that_is_away_is_a_503_until_it_is_back(
    own_postgres_url: str, postgres_admin: Callable[[str], None]
) -> None:
    name = make_url(own_postgres_url).database
    store = Store(own_postgres_url)
    store.start()
    store.write(new_account(1))
    postgres_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres_admin(END_ALL % name)

    with pytest.raises(ProblemError) as caught:
        store.write(new_account(2))
    with pytest.raises(ProblemError) as pinged:
        store.writer.ingest(one_run()).result(timeout=10)
    with pytest.raises(ProblemError) as read, store.read():
        pass
    postgres_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert {error.value.problem.status for error in (caught, pinged, read)} == {503}
    assert store.write(new_account(3)) == 3
    assert stored_accounts(store) == [1, 3]
    store.stop()


def test_a_statement_that_is_wrong_is_no_503(store: Store) -> None:
    with pytest.raises(Exception, match="nowhere"):
        store.write(lambda connection: connection.execute(text("SELECT * FROM nowhere")))
    with pytest.raises(Exception, match="nowhere"), store.read() as connection:
        connection.execute(text("SELECT * FROM nowhere"))


def test_an_sqlite_that_another_process_locks_is_a_503_until_it_is_free(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_stub.store.engine.BUSY_SECONDS", 0.05)
    store = Store(sqlite_url)
    store.start()
    other = create_engine(sqlite_url)
    with other.connect() as locking:
        locking.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(ProblemError) as caught:
            store.write(new_account(1))
    other.dispose()

    assert caught.value.problem.status == 503
    assert store.write(new_account(2)) == 2
    assert stored_accounts(store) == [2]
    store.stop()


def test_the_log_learns_once_that_nothing_can_be_recorded_and_once_that_it_can_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server_stub.store.engine.BUSY_SECONDS", 0.01)
    store = Store(sqlite_url)
    store.start()
    with locked(sqlite_url):
        for number in range(5):
            with pytest.raises(ProblemError):
                store.writer.ingest(one_run(f"k{number}")).result(timeout=10)
    store.write(new_account(1))
    store.write(new_account(2))
    store.stop()

    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "nothing can be recorded: OperationalError: database is locked",
        "runs are recorded again, after: OperationalError: database is locked",
    ]
    assert not any(record.exc_info for record in caplog.records)


@contextmanager
def locked(sqlite_url: str) -> Iterator[None]:
    """Another process writes to the file until the block ends."""
    other = create_engine(sqlite_url)
    with other.connect() as locking:
        locking.execute(text("BEGIN IMMEDIATE"))
        yield
    other.dispose()


def test_no_value_of_a_failed_statement_reaches_the_log_or_the_error(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "thq_secret"
    account = {"kind": "team", "name": secret, "created_ms": 1}

    with pytest.raises(Exception, match="accounts") as written:
        store.write(
            lambda connection: connection.execute(
                insert(accounts), [{"id": 1} | account, {"id": 1} | account]
            )
        )
    with pytest.raises(Exception, match="nowhere") as read, store.read() as connection:
        connection.execute(text("SELECT :secret FROM nowhere"), {"secret": secret})

    assert secret not in str(written.value)
    assert secret not in str(read.value)
    assert secret not in caplog.text


def test_a_refused_row_is_not_in_the_log(
    own_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(own_postgres_url)
    store.start()
    store.write(two_token_rows)
    store.write(
        lambda connection: connection.execute(text("ALTER TABLE runs ADD CHECK (model <> 'bad')"))
    )

    with pytest.raises(ProblemError):
        store.writer.ingest(one_run(model="bad", key="secret session")).result(timeout=10)
    store.stop()

    ours = [record for record in caplog.records if record.name == "telemhq.server"]
    assert "violates check constraint" in ours[-1].getMessage()
    assert not any("Failing row" in record.getMessage() or record.exc_info for record in ours)


def two_token_rows(connection: Connection) -> None:
    place = {"account_id": 1, "created_ms": 1}
    connection.execute(insert(trackers).values(id=10, owner_id=100, name="x", **place))
    connection.execute(insert(tracking_tokens).values(token="tok", tracker_id=10, **place))


def test_a_store_is_well_while_it_can_write(store: Store) -> None:
    assert store.is_well()
    store.write(new_account(1))
    assert store.is_well()


def test_a_locked_sqlite_is_not_well_until_it_is_free(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_stub.store.engine.BUSY_SECONDS", 0.3)
    monkeypatch.setattr("server_stub.store.engine.HEALTH_SECONDS", 0.05)
    store = Store(sqlite_url)
    store.start()

    with locked(sqlite_url), pytest.raises(ProblemError) as caught:
        store.is_well()

    assert caught.value.problem.status == 503
    monkeypatch.setattr("server_stub.store.engine.HEALTH_SECONDS", 10)
    assert store.is_well()
    store.stop()


def test_a_read_only_postgresql_is_not_well(
    own_postgres_url: str, postgres_admin: Callable[[str], None]
) -> None:
    name = make_url(own_postgres_url).database
    postgres_admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store = Store(own_postgres_url)
    store.start()

    with pytest.raises(ProblemError) as caught:
        store.is_well()

    assert caught.value.problem.status == 503
    postgres_admin(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgres_admin(END_ALL % name)
    assert store.is_well()
    store.stop()


def test_a_full_disk_is_not_well(sqlite_url: str) -> None:
    program = FULL_DISK.format(url=sqlite_url)

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["503", "True"], done.stderr


FULL_DISK = """
import resource, signal
from server_stub.domain.problem import ProblemError
from server_stub.store import writer
from server_stub.store.engine import Store
writer.LATELY_NS = 0
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
store = Store({url!r})
store.start()
store.write(lambda connection: connection.exec_driver_sql("PRAGMA user_version = 0"))
with store.read():
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
try:
    print(store.is_well())
except ProblemError as error:
    print(error.problem.status)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
print(store.is_well())
store.stop()
"""


def test_nothing_waits_for_a_batch_to_fill(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    store.writer.ingest(one_run()).result(timeout=10)

    began = time.monotonic()
    for _ in range(5):
        store.writer.ingest(one_run()).result(timeout=10)

    generous = 2.0
    assert time.monotonic() - began < generous


def test_two_processes_share_one_postgresql_and_one_key_is_booked_once(
    postgres_url: str,
) -> None:
    stores = [Store(postgres_url), Store(postgres_url)]
    for store in stores:
        store.start()
    stores[0].write(
        lambda connection: connection.execute(
            text(
                "INSERT INTO trackers (account_id, id, owner_id, name, created_ms)"
                " VALUES (1, 10, 100, 'x', 1)"
            )
        )
    )
    stores[0].write(
        lambda connection: connection.execute(
            text(
                "INSERT INTO tracking_tokens (token, account_id, tracker_id, created_ms)"
                " VALUES ('tok', 1, 10, 1)"
            )
        )
    )

    futures = [
        stores[side].writer.ingest(one_run(f"fact:{number}"))
        for number in range(200)
        for side in ((0, 1) if number % 2 else (1, 0))
    ]
    outcomes = [future.result(timeout=20) for future in futures]

    fresh = [
        outcome for outcome in outcomes if isinstance(outcome, Booked) and not outcome.duplicate
    ]
    assert len(outcomes) == 400
    assert len(fresh) == 200
    assert stored_runs(stores[0]) == 200
    with stores[0].read() as connection:
        summed = connection.execute(select(func.sum(buckets.c.input_tokens))).scalar_one()
    assert summed == 200 * 7
    for store in stores:
        store.stop()
