from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest
from watchdog.observers.inotify import InotifyObserver

from telemhq_cli import watching
from telemhq_cli.watching import Folder, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A race of watchdog's own, whose end is right.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def watch(changed: threading.Event) -> Iterator[Watch]:
    running = Watch(changed)
    yield running
    running.stop()


def test_a_line_deep_below_wakes(watch: Watch, changed: threading.Event, tmp_path: Path) -> None:
    watch.follow([Folder(tmp_path)])

    folder = tmp_path / "2026" / "11" / "20"
    folder.mkdir(parents=True)
    (folder / "rollout.jsonl").write_text("{}\n")

    assert changed.wait(5)
    assert not watch.is_polling


def test_reading_does_not_wake(watch: Watch, changed: threading.Event, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n")
    watch.follow([Folder(tmp_path)])

    path.read_text()

    assert not changed.wait(0.4)


def test_what_is_no_log_does_not_wake(
    watch: Watch, changed: threading.Event, tmp_path: Path
) -> None:
    watch.follow([Folder(tmp_path)])

    (tmp_path / "state.sqlite").write_text("x")
    (tmp_path / ".entry.tmp").write_text("x")

    assert not changed.wait(0.4)


def test_taking_an_entry_out_of_the_spool_does_not_wake_but_leaving_one_does(
    watch: Watch, changed: threading.Event, tmp_path: Path
) -> None:
    (tmp_path / "claimed").mkdir()
    entry = tmp_path / "1.json"
    entry.write_text("{}")
    watch.follow([Folder(tmp_path, deep=False)])

    entry.rename(tmp_path / "claimed" / "1.json")
    assert not changed.wait(0.4)
    (tmp_path / ".2.tmp").write_text("{}")
    (tmp_path / ".2.tmp").rename(tmp_path / "2.json")
    assert changed.wait(5)


def test_a_folder_that_comes_later_or_anew_is_followed(
    watch: Watch, changed: threading.Event, tmp_path: Path
) -> None:
    folder = tmp_path / "sessions"
    watch.follow([Folder(folder)])
    folder.mkdir()
    watch.follow([Folder(folder)])
    (folder / "a.jsonl").touch()
    assert changed.wait(5)
    (folder / "a.jsonl").unlink()
    folder.rename(tmp_path / "gone")
    folder.mkdir()
    watch.follow([Folder(folder)])
    changed.clear()

    (folder / "b.jsonl").touch()

    assert changed.wait(5)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC])
def test_a_machine_without_watches_is_polled(
    number: int, changed: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object, **__: object) -> NoReturn:
        raise OSError(number, "inotify limit reached")

    monkeypatch.setattr(watching, "POLLING_INTERVAL_S", 0.1)
    monkeypatch.setattr(InotifyObserver, "schedule", nothing_left)
    watch = Watch(changed)
    try:
        watch.follow([Folder(tmp_path)])
        assert watch.is_polling

        (tmp_path / "log.jsonl").write_text("{}\n")

        assert changed.wait(5)
    finally:
        watch.stop()
