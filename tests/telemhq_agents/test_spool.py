"""The spool: an entry is worked on by one process, and never lost."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from telemhq_agents import spool
from telemhq_agents.errors import DamagedError

OPEN_FILES = Path("/proc/self/fd")
PING: dict[str, Any] = {
    "kind": "ping",
    "key": "k1",
    "url": "http://127.0.0.1/ping/t",
    "body": '{"status":"success"}',
    "created_ms": 1_795_000_000_000,
    "destination": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "spool"


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def keys(folder: Path) -> list[str]:
    return [claimed.entry["key"] for claimed in spool.claim(folder)]


def other_process(folder: Path, then: str) -> subprocess.Popen[str]:
    """Start a process that claims all entries, tells their keys and goes on as `then` says."""
    program = (
        "import sys, time; from pathlib import Path; from telemhq_agents import spool\n"
        "claimed = list(spool.claim(Path(sys.argv[1])))\n"
        "print(*(each.entry['key'] for each in claimed), flush=True)\n"
        f"{then}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_what_was_written_is_claimed(folder: Path) -> None:
    path = spool.write(folder, PING)

    assert json.loads(path.read_bytes()) == {"v": 1, **PING}
    (claimed,) = spool.claim(folder)
    assert claimed.entry == {"v": 1, **PING}


def test_an_entry_is_whole_and_for_this_user_alone(folder: Path) -> None:
    old = os.umask(0)
    try:
        path = spool.write(folder, PING)
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_entries_come_in_the_order_they_were_written(folder: Path) -> None:
    for n in range(20):
        spool.write(folder, {**PING, "key": str(n)})

    assert keys(folder) == [str(n) for n in range(20)]


def test_what_was_claimed_is_not_claimed_again(folder: Path) -> None:
    spool.write(folder, PING)

    assert keys(folder) == ["k1"]
    assert keys(folder) == []
    assert spool.pending_count(folder) == 0


def test_what_is_done_is_gone(folder: Path) -> None:
    spool.write(folder, PING)
    (claimed,) = spool.claim(folder)

    spool.done(claimed)
    spool.done(claimed)

    assert not claimed.path.exists()


def test_what_was_put_back_is_claimed_again(folder: Path) -> None:
    spool.write(folder, PING)
    (claimed,) = spool.claim(folder)

    spool.put_back(folder, claimed)

    assert spool.pending_count(folder) == 1
    assert keys(folder) == ["k1"]


def test_only_the_kinds_that_were_asked_for_are_claimed(folder: Path) -> None:
    spool.write(folder, {"kind": "hook", "key": "hook"})
    spool.write(folder, PING)

    assert [each.entry["key"] for each in spool.claim(folder, {"ping"})] == ["k1"]
    assert spool.pending_count(folder) == 1


def test_no_spool_is_an_empty_one(folder: Path) -> None:
    assert keys(folder) == []
    assert (spool.pending_count(folder), spool.damaged_count(folder)) == (0, 0)
    assert not folder.exists()


def test_an_entry_of_a_newer_version_stays_untouched(folder: Path) -> None:
    newer = put(folder, "1-1.json", b'{"v":2,"kind":"ping","key":"future"}')
    spool.write(folder, PING)

    assert spool.pending_count(folder) == 1
    assert keys(folder) == ["k1"]
    assert newer.read_bytes() == b'{"v":2,"kind":"ping","key":"future"}'


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"kind":"ping"}', b'{"v":"1","kind":"ping"}', b'{"v":1}'],
)
def test_an_entry_that_nobody_can_read_is_set_aside_and_counted(
    content: bytes, folder: Path
) -> None:
    put(folder, "1-1.json", content)
    spool.write(folder, PING)

    assert keys(folder) == ["k1"]
    assert spool.damaged_count(folder) == 1
    assert (folder / "damaged" / "1-1.json").read_bytes() == content
    assert spool.pending_count(folder) == 0


def test_what_writers_are_at_is_left_alone_and_what_they_left_is_swept(folder: Path) -> None:
    put(folder, "notes.txt", b"mine")
    fresh = put(folder, ".5-5.tmp", b"{")
    stale = put(folder, ".4-4.tmp", b"{")
    os.utime(stale, (1, 1))
    spool.write(folder, PING)

    assert keys(folder) == ["k1"]
    assert fresh.exists()
    assert not stale.exists()
    assert (folder / "notes.txt").exists()


def test_two_processes_never_get_the_same_entry(folder: Path) -> None:
    for n in range(200):
        spool.write(folder, {**PING, "key": str(n)})

    others = [other_process(folder, "time.sleep(60)") for _ in range(3)]
    taken = [said(other) for other in others]

    assert sorted(int(key) for each in taken for key in each) == list(range(200))
    for other in others:
        other.kill()
        other.communicate()


def test_what_a_living_process_claimed_stays_its_own(folder: Path) -> None:
    spool.write(folder, PING)
    other = other_process(folder, "time.sleep(60)")
    assert said(other) == ["k1"]

    assert keys(folder) == []

    other.kill()
    other.communicate()


@pytest.mark.parametrize("end", ["", "import os; os._exit(1)", "time.sleep(60)"])
def test_what_a_dead_process_claimed_comes_back(end: str, folder: Path) -> None:
    spool.write(folder, PING)
    other = other_process(folder, end)
    assert said(other) == ["k1"]
    other.send_signal(signal.SIGKILL)
    other.communicate()

    assert keys(folder) == ["k1"]
    claimers = [each for each in (folder / "claimed").iterdir() if each.is_dir()]
    assert len(claimers) == 1


def test_a_claim_whose_lock_is_gone_comes_back(folder: Path) -> None:
    spool.write(folder, {**PING, "key": "new"})
    put(folder / "claimed" / "1-abc", "0-1.json", json.dumps({"v": 1, **PING}).encode())

    assert keys(folder) == ["k1", "new"]


def test_an_entry_can_be_claimed_from_its_birth(folder: Path) -> None:
    claimed = spool.write_claimed(folder, PING)

    assert keys(folder) == []
    assert json.loads(claimed.path.read_bytes()) == claimed.entry == {"v": 1, **PING}
    spool.put_back(folder, claimed)
    assert keys(folder) == ["k1"]


def test_who_leaves_takes_an_empty_folder_along_and_no_entry(folder: Path) -> None:
    claimed = spool.write_claimed(folder, PING)

    spool.leave(folder)
    assert claimed.path.exists()
    later = spool.write_claimed(folder, {**PING, "key": "k2"})
    spool.done(later)
    spool.leave(folder)

    assert [path for path in (folder / "claimed").iterdir() if path.suffix == ""] == [
        claimed.path.parent
    ]


def test_coming_and_going_leaves_no_file_open(folder: Path) -> None:
    before = len(list(OPEN_FILES.iterdir()))
    for _ in range(20):
        spool.write(folder, PING)
        for claimed in spool.claim(folder):
            spool.done(claimed)
        spool.leave(folder)

    assert len(list(OPEN_FILES.iterdir())) == before
    assert list((folder / "claimed").iterdir()) == []


def test_a_spool_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DamagedError, match="cannot be written") as raised:
        spool.write(tmp_path / "file" / "spool", PING)

    assert raised.value.next_step


def test_writing_loads_nothing_heavy(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from telemhq_agents import spool\n"
        "spool.write(Path(sys.argv[1]), {'kind': 'ping'})\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    )

    heavy = {"hashlib", "sqlite3", "ssl", "httpx", "msgspec", "asyncio", "subprocess", "email"}
    assert not heavy & set(done.stdout.split())
    assert time.time_ns() - int(next(folder.iterdir()).name.split("-")[0]) < 60e9


def test_whoever_looks_into_the_spool_lets_hooks_wake_again(folder: Path) -> None:
    mark = put(folder, ".waking", b"")

    assert spool.pending_count(folder) == 0

    assert not mark.exists()
    assert spool.pending_count(folder) == 0


def test_a_full_spool_is_full_until_somebody_takes_something(folder: Path) -> None:
    assert not spool.is_full(folder)
    put(folder, ".full", b"")
    assert spool.is_full(folder)
    assert spool.pending_count(folder) == 0

    assert keys(folder) == []

    assert not spool.is_full(folder)


def test_the_newest_entry_of_a_kind_tells_when_it_was_left(folder: Path) -> None:
    assert spool.newest_ms(folder, "hook") == 0
    for number, kind in enumerate(["hook", "hook", "ping"]):
        path = spool.write(folder, {**PING, "kind": kind})
        os.utime(path, (1000 + number, 1000 + number))

    assert spool.newest_ms(folder, "hook") == 1_001_000
    assert spool.newest_ms(folder, "ping") == 1_002_000


def test_what_another_user_works_on_or_left_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root's, where `sudo telemhq ping` used this home."""
    desk = folder / "claimed" / "1-aa"
    desk.mkdir(parents=True)
    theirs = put(folder, "1-1.json", json.dumps({"v": 1, **PING}).encode())
    ours = spool.write(folder, {**PING, "key": "k2"})
    real_open, real_read = os.open, Path.read_bytes

    def open_ours(path: Path, *more: int) -> int:
        if path == desk.with_name("1-aa.lock"):
            raise PermissionError
        return real_open(path, *more)

    def read_ours(path: Path) -> bytes:
        if path == theirs:
            raise PermissionError
        return real_read(path)

    monkeypatch.setattr(os, "open", open_ours)
    monkeypatch.setattr(Path, "read_bytes", read_ours)

    assert spool.pending_count(folder, {"ping"}) == 1
    assert keys(folder) == ["k2"]
    assert desk.is_dir()
    assert theirs.exists()
    assert not ours.exists()


def test_a_spool_where_nothing_can_be_claimed_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.write(folder, PING)

    def nobody(*_: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(spool, "_desk", nobody)

    with pytest.raises(DamagedError, match="cannot be written: Permission denied"):
        keys(folder)
