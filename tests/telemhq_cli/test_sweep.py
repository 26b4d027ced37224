"""Finding what changed by looking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from telemhq_cli.sweep import RECENT_FILES, Folder, Sweep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three old days of logs, one file each."""
    for day in ("01", "02", "03"):
        (tmp_path / "2026" / day).mkdir(parents=True)
        (tmp_path / "2026" / day / f"{day}.jsonl").write_text("{}\n")
    return tmp_path


def begun(*folders: Folder) -> Sweep:
    sweep = Sweep()
    sweep.begin(folders)
    return sweep


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("{}\n")


def test_what_lies_there_at_the_beginning_is_no_change(logs: Path) -> None:
    sweep = begun(Folder(logs))

    assert sweep.everything([Folder(logs)]) == set()
    assert sweep.recent() == set()
    assert sweep.folder_count == 5


def test_a_file_that_grew_is_found_once(logs: Path) -> None:
    sweep = begun(Folder(logs))
    append(logs / "2026" / "01" / "01.jsonl")

    assert sweep.everything([Folder(logs)]) == {logs / "2026" / "01" / "01.jsonl"}
    assert sweep.everything([Folder(logs)]) == set()


def test_a_file_rewritten_with_its_old_time_and_size_is_found_by_its_inode(logs: Path) -> None:
    path = logs / "2026" / "01" / "01.jsonl"
    sweep = begun(Folder(logs))
    before = path.stat()
    (logs / "other").write_text("[]\n")
    os.utime(logs / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    (logs / "other").rename(path)

    assert sweep.everything([Folder(logs)]) == {path}


def test_a_file_that_moved_is_found_where_it_is_now(logs: Path) -> None:
    sweep = begun(Folder(logs))
    (logs / "2026" / "01" / "01.jsonl").rename(logs / "2026" / "02" / "01.jsonl")

    assert sweep.everything([Folder(logs)]) == {logs / "2026" / "02" / "01.jsonl"}


def test_a_look_at_what_is_recent_finds_growth_new_files_and_new_folders_beside_it(
    logs: Path,
) -> None:
    sweep = begun(Folder(logs))
    append(logs / "2026" / "03" / "03.jsonl")
    (logs / "2026" / "03" / "new.jsonl").write_text("{}\n")
    (logs / "2026" / "04").mkdir()
    (logs / "2026" / "04" / "04.jsonl").write_text("{}\n")

    assert sweep.recent() == {
        logs / "2026" / "03" / "03.jsonl",
        logs / "2026" / "03" / "new.jsonl",
        logs / "2026" / "04" / "04.jsonl",
    }
    assert sweep.recent() == set()
    append(logs / "2026" / "04" / "04.jsonl")
    assert sweep.recent() == {logs / "2026" / "04" / "04.jsonl"}


def test_an_old_file_among_many_is_left_to_a_look_at_everything(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "one.jsonl").write_text("{}\n")
    os.utime(tmp_path / "old" / "one.jsonl", (1, 1))
    for number in range(RECENT_FILES):
        (tmp_path / "new" / f"{number}.jsonl").write_text("{}\n")
    sweep = begun(Folder(tmp_path))
    append(tmp_path / "old" / "one.jsonl")

    assert sweep.recent() == set()
    assert sweep.everything([Folder(tmp_path)]) == {tmp_path / "old" / "one.jsonl"}
    append(tmp_path / "old" / "one.jsonl")
    assert sweep.recent() == {tmp_path / "old" / "one.jsonl"}


def test_only_logs_and_spool_entries_count(tmp_path: Path) -> None:
    sweep = begun(Folder(tmp_path))
    for name in ("a.jsonl", "b.jsonl.zst", "c.json", "d.sqlite", ".e.tmp"):
        (tmp_path / name).write_text("")

    assert {path.name for path in sweep.everything([Folder(tmp_path)])} == {
        "a.jsonl",
        "b.jsonl.zst",
        "c.json",
    }


def test_a_shallow_folder_is_looked_at_without_what_lies_below(tmp_path: Path) -> None:
    spool = Folder(tmp_path, deep=False)
    (tmp_path / "claimed").mkdir()
    sweep = begun(spool)
    (tmp_path / "claimed" / "1.json").write_text("")
    (tmp_path / "2.json").write_text("")

    assert sweep.recent() == {tmp_path / "2.json"}
    assert sweep.everything([spool]) == set()


def test_a_folder_that_comes_goes_and_comes_again_is_no_trouble(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "sessions")
    sweep = begun(folder)
    assert sweep.recent() == set()
    folder.path.mkdir()
    (folder.path / "a.jsonl").write_text("")
    assert sweep.recent() == {folder.path / "a.jsonl"}
    (folder.path / "a.jsonl").unlink()
    folder.path.rmdir()
    assert sweep.recent() == set()
    assert sweep.everything([folder]) == set()
    folder.path.mkdir()
    (folder.path / "b.jsonl").write_text("")

    assert sweep.everything([folder]) == {folder.path / "b.jsonl"}


def test_a_folder_behind_a_link_is_looked_at_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "loop").symlink_to(tmp_path / "there")
    sweep = begun(Folder(tmp_path / "here"))
    (tmp_path / "there" / "a.jsonl").write_text("")

    assert sweep.recent() == {tmp_path / "there" / "a.jsonl"}
