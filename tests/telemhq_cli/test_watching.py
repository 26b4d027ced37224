"""Noticing what changes: by the system's notifications, and where there are none, by looking."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from watchdog.observers.inotify import InotifyObserver

from telemhq_cli import watching
from telemhq_cli.sweep import Folder
from telemhq_cli.watching import Changes, Notifications, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# A race of watchdog's own, whose end is right.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def watch(changes: Changes) -> Iterator[Watch]:
    running = Watch(changes)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.05)


def noticed(watch: Watch, changes: Changes, seconds: float = 5) -> set[Path]:
    watch.wait(seconds)
    return changes.take()


class Deaf:
    """A system that has no watches: none at all, none for a folder, or fewer than folders."""

    def __init__(self, *, for_a_folder: int = 0, short: bool = False) -> None:
        self.for_a_folder = for_a_folder
        self.short = short
        self.stopped = False

    def follow(self, folders: Iterable[Folder]) -> bool:
        if self.for_a_folder:
            raise OSError(self.for_a_folder, os.strerror(self.for_a_folder), str([*folders]))
        return False

    def is_short(self, folders: int) -> bool:
        return self.short and folders > 0

    def stop(self) -> None:
        self.stopped = True


def at_all(number: int) -> Callable[[Changes], Deaf]:
    def nothing_left(changes: Changes) -> Deaf:
        raise OSError(number, os.strerror(number))

    return nothing_left


def test_a_line_deep_below_is_noticed_at_once(
    watch: Watch, changes: Changes, tmp_path: Path
) -> None:
    watch.follow([Folder(tmp_path)])

    folder = tmp_path / "2026" / "11" / "20"
    folder.mkdir(parents=True)
    (folder / "rollout.jsonl").write_text("{}\n")

    assert noticed(watch, changes) == {folder / "rollout.jsonl"}
    assert not watch.is_polling
    assert watch.why_polling == ""


def test_reading_is_no_change(watch: Watch, changes: Changes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n")
    watch.follow([Folder(tmp_path)])

    path.read_text()

    assert noticed(watch, changes, 0.4) == set()


def test_what_is_no_log_is_no_change(watch: Watch, changes: Changes, tmp_path: Path) -> None:
    watch.follow([Folder(tmp_path)])

    (tmp_path / "state.sqlite").write_text("x")
    (tmp_path / ".entry.tmp").write_text("x")

    assert noticed(watch, changes, 0.4) == set()


def test_taking_an_entry_out_of_the_spool_is_no_change_but_leaving_one_is(
    watch: Watch, changes: Changes, tmp_path: Path
) -> None:
    (tmp_path / "claimed").mkdir()
    entry = tmp_path / "1.json"
    entry.write_text("{}")
    watch.follow([Folder(tmp_path, deep=False)])

    entry.rename(tmp_path / "claimed" / "1.json")
    assert noticed(watch, changes, 0.4) == set()
    (tmp_path / ".2.tmp").write_text("{}")
    (tmp_path / ".2.tmp").rename(tmp_path / "2.json")
    assert noticed(watch, changes) == {tmp_path / "2.json"}


def test_a_folder_that_comes_later_or_anew_is_followed_with_what_lies_in_it(
    watch: Watch, changes: Changes, tmp_path: Path
) -> None:
    folder = tmp_path / "sessions"
    watch.follow([Folder(folder)])
    folder.mkdir()
    (folder / "a.jsonl").touch()
    assert noticed(watch, changes) == {folder / "a.jsonl"}
    (folder / "a.jsonl").unlink()
    folder.rename(tmp_path / "gone")
    noticed(watch, changes, 0.2)
    folder.mkdir()
    (folder / "b.jsonl").touch()

    assert noticed(watch, changes) == {folder / "b.jsonl"}


def test_a_folder_behind_a_link_is_followed(watch: Watch, changes: Changes, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "there")
    watch.follow([Folder(tmp_path / "here")])

    (tmp_path / "there" / "a.jsonl").touch()

    assert noticed(watch, changes) == {tmp_path / "there" / "a.jsonl"}


def test_to_be_woken_is_no_change(watch: Watch, changes: Changes, tmp_path: Path) -> None:
    watch.follow([Folder(tmp_path)])
    began = time.monotonic()

    changes.wake()

    assert noticed(watch, changes, 20) == set()
    assert time.monotonic() - began < 10


def test_what_changed_is_taken_once_and_kept_until_it_is(changes: Changes) -> None:
    changes.note([Path("/a")])
    changes.note([Path("/b"), Path("/a")])

    assert changes.wait(0)
    assert changes.take() == {Path("/a"), Path("/b")}
    assert not changes.wait(0)
    assert changes.take() == set()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC])
def test_a_machine_without_watches_is_polled_and_says_why(
    number: int, changes: Changes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object, **__: object) -> None:
        raise OSError(number, "inotify limit reached")

    monkeypatch.setattr(InotifyObserver, "schedule", nothing_left)
    watch = Watch(changes)

    watch.follow([Folder(tmp_path)])
    (tmp_path / "log.jsonl").write_text("{}\n")

    assert noticed(watch, changes) == {tmp_path / "log.jsonl"}
    assert watch.is_polling
    assert watch.why_polling == "inotify limit reached"
    watch.stop()


@pytest.mark.parametrize(
    ("deaf", "why"),
    [
        (at_all(errno.EMFILE), os.strerror(errno.EMFILE)),
        (lambda _: Deaf(for_a_folder=errno.ENOSPC), os.strerror(errno.ENOSPC)),
        (lambda _: Deaf(short=True), "fewer watches are left than there are folders"),
    ],
)
def test_however_notifications_fail_polling_takes_over(
    deaf: Callable[[Changes], Deaf], why: str, changes: Changes, tmp_path: Path
) -> None:
    watch = Watch(changes, deaf)
    watch.follow([Folder(tmp_path)])
    noticed(watch, changes, 0.2)

    (tmp_path / "log.jsonl").write_text("{}\n")

    assert noticed(watch, changes) == {tmp_path / "log.jsonl"}
    assert watch.why_polling == why


def test_a_notifier_that_fails_is_stopped(changes: Changes, tmp_path: Path) -> None:
    deaf = Deaf(for_a_folder=errno.ENOSPC)

    Watch(changes, lambda _: deaf).follow([Folder(tmp_path)])

    assert deaf.stopped


def test_a_notification_that_got_lost_is_found_by_the_second_look(
    changes: Changes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SECOND_LOOK_S", 0.1)
    watch = Watch(changes, lambda _: Deaf())
    watch.follow([Folder(tmp_path)])

    (tmp_path / "log.jsonl").write_text("{}\n")

    assert noticed(watch, changes) == {tmp_path / "log.jsonl"}
    assert not watch.is_polling


def test_polling_finds_an_old_session_that_goes_on(
    changes: Changes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLLING_LOOK_S", 0.3)
    for number in range(80):
        (tmp_path / f"{number}.jsonl").write_text("")
        os.utime(tmp_path / f"{number}.jsonl", (number + 1, number + 1))
    watch = Watch(changes, at_all(errno.EMFILE))
    watch.follow([Folder(tmp_path)])

    (tmp_path / "0.jsonl").write_text("{}\n")

    assert noticed(watch, changes) == {tmp_path / "0.jsonl"}


@pytest.mark.skipif(not Path("/proc/self/fdinfo").exists(), reason="only Linux tells of watches")
def test_watches_are_counted_against_folders(changes: Changes, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    before = Notifications(changes)
    try:
        before.follow([Folder(tmp_path)])

        assert not before.is_short(4)
        assert before.is_short(1000)
    finally:
        before.stop()
