"""Real damage to real files: the ledger is moved aside and made again out of what there is."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, cast

import pytest

from telemhq_agents.errors import BrokenLedgerError, DamagedError, TelemhqError
from telemhq_agents.ledger.connection import PAGE_BYTES
from telemhq_agents.ledger.damage import Replaced, backup, is_damaged, replace
from telemhq_agents.ledger.exporting import export
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from tests.telemhq_agents.history import BORN, FlatPrices, ended, fact, ledger_sums

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from telemhq_agents.pricing import Prices

PRICES = cast("Prices", FlatPrices())
PAGE = PAGE_BYTES
WRAPPERS = ("https://server/ping/x", "wrapper-1", b'{"status":"ok"}')


def opened(path: Path) -> Ledger:
    return Ledger.open(path, prices=PRICES, now_ms=lambda: BORN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of 300 responses, closed."""
    path = tmp_path / "data" / "ledger.sqlite3"
    with opened(path) as ledger:
        book(ledger, range(300))
        ledger.enqueue(*WRAPPERS, BORN)
    return path


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    place = tmp_path / "backups"
    place.mkdir()
    return place


def book(ledger: Ledger, numbers: range) -> None:
    facts = [fact(f"f{number}", turn=f"t{number}", at_ms=BORN + number) for number in numbers]
    ledger.book(Batch(facts, [ended(f"t{number}") for number in numbers]))


def replaced(path: Path, backups: Path) -> Replaced | None:
    return replace(path, backups, device_id="laptop", now_ms=BORN, prices=PRICES)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def wrong_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:16] = b"SQLite format 9\0"
    path.write_bytes(content)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_a_page(path: Path) -> None:
    os.truncate(path, PAGE * 3 + 777)


def zeroed_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[PAGE * 2 : PAGE * 20] = bytes(PAGE * 18)
    path.write_bytes(content)


def scribbled_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[PAGE * 2 : PAGE * 20] = b"\xa5" * (PAGE * 18)
    path.write_bytes(content)


DAMAGES = [garbage, wrong_header, truncated, cut_in_a_page, zeroed_pages, scribbled_pages]
every_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)


def test_a_whole_ledger_is_left_alone(path: Path, backups: Path) -> None:
    before = path.read_bytes()

    assert not is_damaged(path)
    assert replaced(path, backups) is None
    assert path.read_bytes() == before


@every_damage
def test_a_damaged_ledger_is_moved_aside_whole_and_an_empty_one_takes_its_place(
    path: Path, backups: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    content = path.read_bytes()

    done = replaced(path, backups)

    assert done is not None
    assert done.aside == path.with_name("ledger.sqlite3.damaged-20261120T080000Z")
    assert done.aside.read_bytes() == content
    assert done.source is None
    assert not is_damaged(path)
    with opened(path) as ledger:
        assert ledger.usage([]).total.responses == 0
        book(ledger, range(300))  # the logs, read again
        assert ledger.usage([]).total.responses == 300


@every_damage
@pytest.mark.parametrize("kind", ["backup", "export"])
def test_a_damaged_ledger_is_made_again_out_of_the_newest_backup(
    path: Path, backups: Path, damage: Callable[[Path], None], kind: str
) -> None:
    saved = save(path, backups, kind)
    with opened(path) as ledger:
        sums = ledger_sums(ledger)
    damage(path)

    done = replaced(path, backups)

    assert done is not None
    assert (done.source, done.passed_over) == (saved, [])
    with opened(path) as ledger:
        assert ledger_sums(ledger) == sums
        (row,) = ledger.outbox()
        assert (row.destination, row.key, row.body) == WRAPPERS
        assert row.sending  # it may have arrived since
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def save(path: Path, backups: Path, kind: str, name: str = "one") -> Path:
    with opened(path) as ledger:
        if kind == "backup":
            target = backups / f"{name}.sqlite3"
            backup(ledger, target)
        else:
            target = backups / f"{name}.jsonl"
            target.write_bytes(b"".join(export(ledger, "laptop", BORN)))
    return target


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("new.sqlite3", b"no database" * 1000),
        ("new.sqlite3", b""),
        ("new.jsonl", b"no export"),
        ("new.jsonl", b""),
    ],
)
def test_a_newer_backup_that_is_damaged_itself_is_passed_over_and_named(
    path: Path, backups: Path, name: str, content: bytes
) -> None:
    good = save(path, backups, "backup", "old")
    os.utime(good, (1, 1))
    (backups / name).write_bytes(content)
    garbage(path)

    done = replaced(path, backups)

    assert done is not None
    assert done.source == good
    assert len(done.passed_over) == 1
    assert str(backups / name) in done.passed_over[0]
    with opened(path) as ledger:
        assert ledger.usage([]).total.responses == 300


def test_what_a_crash_left_of_the_old_write_ahead_log_is_not_applied_to_the_new_ledger(
    path: Path, backups: Path
) -> None:
    ledger = opened(path)
    book(ledger, range(300, 400))
    logs = {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("-wal", "-shm")}
    ledger.close()
    garbage(path)
    for suffix, content in logs.items():
        path.with_name(path.name + suffix).write_bytes(content)

    done = replaced(path, backups)

    assert done is not None
    assert done.aside.with_name(done.aside.name + "-wal").read_bytes() == logs["-wal"]
    assert not is_damaged(path)
    with opened(path) as new:
        assert new.usage([]).total.responses == 0


def test_damage_that_shows_in_the_middle_of_work_is_told_as_damage(path: Path) -> None:
    ledger = opened(path)
    scribbled_pages(path)

    with pytest.raises(BrokenLedgerError) as caught:
        book(ledger, range(300))

    ledger.close()
    assert str(path) in caught.value.message
    assert is_damaged(path)


def test_a_wrappers_ping_that_can_still_be_read_is_got_out_of_the_damage(
    path: Path, backups: Path
) -> None:
    connection = sqlite3.connect(path)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'buckets'"
    ).fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[PAGE * (root - 1) : PAGE * root] = bytes(PAGE)
    path.write_bytes(content)

    done = replaced(path, backups)

    assert done is not None
    assert done.pings == 1
    with opened(path) as ledger:
        (row,) = ledger.outbox()
        assert (row.destination, row.key, row.body) == WRAPPERS
        assert row.sending


def test_of_several_processes_that_find_the_damage_one_replaces_the_ledger(
    path: Path, backups: Path
) -> None:
    save(path, backups, "backup")
    garbage(path)
    found: list[Replaced | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(replaced(path, backups))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len([one for one in found if one is not None]) == 1
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    with opened(path) as ledger:
        assert ledger.usage([]).total.responses == 300


def test_damage_twice_in_a_second_keeps_both_files(path: Path, backups: Path) -> None:
    for _ in range(2):
        garbage(path)
        assert replaced(path, backups) is not None

    assert {one.name for one in path.parent.glob("*.damaged-*")} == {
        "ledger.sqlite3.damaged-20261120T080000Z",
        "ledger.sqlite3.damaged-20261120T080000Z-2",
    }


def test_a_ledger_of_a_newer_program_is_not_taken_for_damaged(path: Path, backups: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()

    with pytest.raises(TelemhqError, match="newer telemhq"):
        replaced(path, backups)

    assert list(path.parent.glob("*.damaged-*")) == []


# Backups


def test_a_backup_is_whole_private_and_a_ledger_of_its_own(path: Path, tmp_path: Path) -> None:
    with opened(path) as ledger:
        book(ledger, range(300, 310))  # in the write-ahead log, not in the file
        size = backup(ledger, tmp_path / "new" / "copy.sqlite3")

    copy = tmp_path / "new" / "copy.sqlite3"
    assert (copy.stat().st_size, stat.S_IMODE(copy.stat().st_mode)) == (size, 0o600)
    assert [one.name for one in copy.parent.iterdir()] == ["copy.sqlite3"]
    with opened(path) as ledger, opened(copy) as saved:
        assert ledger_sums(saved) == ledger_sums(ledger)
        assert saved.usage([]).total.responses == 310


def test_a_backup_can_be_made_while_another_process_is_in_the_middle_of_booking(
    path: Path, tmp_path: Path
) -> None:
    with opened(path) as agent, agent.transaction():
        book(agent, range(300, 310))
        with opened(path) as ledger:
            backup(ledger, tmp_path / "copy.sqlite3")

    with opened(tmp_path / "copy.sqlite3") as saved:
        assert saved.usage([]).total.responses == 300


def test_a_backup_of_a_damaged_ledger_leaves_the_older_one(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"
    with opened(path) as ledger:
        backup(ledger, target)
    good = target.read_bytes()
    ledger = opened(path)
    scribbled_pages(path)

    with pytest.raises(BrokenLedgerError):
        backup(ledger, target)

    ledger.close()
    assert target.read_bytes() == good
    assert [one.name for one in tmp_path.glob("*copy*")] == ["copy.sqlite3"]


def test_a_backup_that_cannot_be_written_is_named(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with opened(path) as ledger, pytest.raises(DamagedError) as caught:
        backup(ledger, tmp_path / "file" / "copy.sqlite3")

    assert str(tmp_path / "file" / "copy.sqlite3") in caught.value.message
