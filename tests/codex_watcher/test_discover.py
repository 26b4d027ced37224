from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from codex_watcher.discover import discover

if TYPE_CHECKING:
    from pathlib import Path

THREAD = "01a1f7e2-4a82-7481-af6a-5e4880f379f2"
SEGMENT = "01a1f7e2-4ea4-7fe0-89df-311d2b54f9e9"
KEY = f"2026-11-20T07-36-05-{THREAD}"
NAME = f"rollout-{KEY}.jsonl"


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize(
    "place",
    [
        f"sessions/2026/11/20/{NAME}",
        f"sessions/2026/11/20/{NAME}.zst",
        f"archived_sessions/{NAME}",
        f"archived_sessions/{NAME}.zst",
    ],
)
def test_a_rollout_keeps_its_key_wherever_it_lies(tmp_path: Path, place: str) -> None:
    put(tmp_path, place)

    (found,) = discover(tmp_path)

    assert (found.file_key, found.thread_id, found.is_segment) == (KEY, THREAD, False)
    assert found.path == tmp_path / place


def test_a_segment_is_a_file_of_its_own_of_the_same_thread(tmp_path: Path) -> None:
    put(tmp_path, f"sessions/{NAME}", f"sessions/rollout-{KEY}_{SEGMENT}.jsonl")

    whole, segment = discover(tmp_path)

    assert whole.file_key != segment.file_key
    assert whole.thread_id == segment.thread_id == THREAD
    assert (whole.is_segment, segment.is_segment) == (False, True)


def test_the_plain_file_counts_before_the_compressed_one(tmp_path: Path) -> None:
    put(tmp_path, f"sessions/2026/11/20/{NAME}.zst", f"archived_sessions/{NAME}")

    assert [rollout.path for rollout in discover(tmp_path)] == [
        tmp_path / "archived_sessions" / NAME
    ]


def test_a_name_without_uuids_is_keyed_by_its_path(tmp_path: Path) -> None:
    put(tmp_path, "sessions/2026/11/20/rollout-fast-agent-7.jsonl.zst", "sessions/x/7.jsonl")

    assert [(rollout.file_key, rollout.thread_id) for rollout in discover(tmp_path)] == [
        ("sessions/2026/11/20/rollout-fast-agent-7.jsonl", ""),
        ("sessions/x/7.jsonl", ""),
    ]


def test_everything_else_of_codex_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "history.jsonl", "state_5.sqlite", "sessions/notes.txt", f"log/{NAME}")

    assert discover(tmp_path) == []


def test_a_pipe_is_no_log_and_a_link_to_a_log_is(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    put(tmp_path, f"elsewhere/{NAME}", "sessions/plain.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    os.mkfifo(folder / "pipe.jsonl.zst")
    (folder / "device.jsonl").symlink_to("/dev/zero")
    (folder / "gone.jsonl").symlink_to(tmp_path / "nowhere.jsonl")
    (folder / NAME).symlink_to(tmp_path / "elsewhere" / NAME)

    assert {rollout.path.name for rollout in discover(tmp_path)} == {NAME, "plain.jsonl"}


def test_a_home_without_sessions_has_none(tmp_path: Path) -> None:
    assert discover(tmp_path / "nothing") == []
