"""SQLite's commits, told only once they are on the disk."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, insert, text

from server_stub.domain.problem import ProblemError
from server_stub.store.engine import Store
from server_stub.store.tables import accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection


class Disk:
    """A disk that takes its time, or fails."""

    def __init__(self) -> None:
        self.is_free = threading.Event()
        self.is_broken = False
        self.waits = 0
        self.begun = threading.Event()

    def sync(self, descriptor: int) -> None:
        self.waits += 1
        self.begun.set()
        assert self.is_free.wait(20)
        if self.is_broken:
            raise OSError(5, "Input/output error")
        os.fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    slow = Disk()
    monkeypatch.setattr("server_stub.store.sealing.sync", slow.sync)
    return slow


@pytest.fixture
def store(sqlite_url: str, disk: Disk) -> Iterator[Store]:
    running = Store(sqlite_url)
    running.start()
    yield running
    disk.is_free.set()
    running.stop()


def new_account(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        values = {"id": number, "kind": "team", "name": "x", "created_ms": 1}
        connection.execute(insert(accounts).values(**values))
        return number

    return work


def test_nobody_is_told_before_the_disk_has_it(store: Store, disk: Disk) -> None:
    told = store.writer.submit(new_account(1))

    assert disk.begun.wait(20)
    was_told_early = told.done()
    disk.is_free.set()

    assert not was_told_early
    assert told.result(20) == 1


def test_the_writer_goes_on_meanwhile_and_the_disk_is_waited_for_once(
    store: Store, disk: Disk
) -> None:
    first = store.writer.submit(new_account(1))
    assert disk.begun.wait(20)
    others = [store.writer.submit(new_account(number)) for number in range(2, 30)]
    written = threading.Event()
    store.writer.submit(lambda _connection: written.set())
    assert written.wait(20)
    disk.is_free.set()

    assert first.result(20) == 1
    assert [other.result(20) for other in others] == list(range(2, 30))
    assert disk.waits in {2, 3}


def test_a_disk_that_fails_is_a_503_until_it_does_no_more(
    store: Store, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.is_free.set()
    disk.is_broken = True

    with pytest.raises(ProblemError) as caught:
        store.write(new_account(1))
    disk.is_broken = False

    assert caught.value.problem.status == 503
    assert "Input/output error" in caplog.text
    assert store.write(new_account(2)) == 2


def test_a_connection_that_was_dropped_is_sealed_again(
    store: Store, disk: Disk, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.is_free.set()
    assert store.write(new_account(1)) == 1
    monkeypatch.setattr("server_stub.store.engine.BUSY_SECONDS", 0.01)
    other = create_engine(sqlite_url)
    with pytest.raises(ZeroDivisionError):
        store.write(lambda _connection: 1 // 0)
    with other.connect() as locking:
        locking.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(ProblemError):
            store.write(new_account(2))
    other.dispose()

    assert store.write(new_account(3)) == 3


def test_stopping_tells_everybody(sqlite_url: str, disk: Disk) -> None:
    store = Store(sqlite_url)
    store.start()
    waiting = [store.writer.submit(new_account(number)) for number in range(5)]

    threading.Timer(0.05, disk.is_free.set).start()
    store.stop()

    assert [one.result(0) for one in waiting] == list(range(5))
