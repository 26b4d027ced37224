"""What the hook missed is said, and only what it could have told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_code_hooks import coverage

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_795_000_000_000
DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(("ended", "announced"), [(0, 0), (12, 12), (3, 4)])
def test_where_nothing_was_missed_nothing_is_said(ended: int, announced: int) -> None:
    assert coverage.unannounced(ended, announced) == ""


def test_what_was_missed_is_counted_and_not_lost() -> None:
    told = coverage.unannounced(1200, 1197)

    assert told.startswith("3 of 1,200 turns were not announced by the hook")
    assert "read from the transcripts" in told


def written(path: Path, days_ago: float) -> Path:
    path.touch()
    moment = (NOW_MS - days_ago * DAY_MS) / 1000
    os.utime(path, (moment, moment))
    return path


@pytest.mark.parametrize(("backup", "settings", "days_ago"), [(3, 1, 3), (30, 1, 7), (None, 2, 2)])
def test_it_is_looked_back_to_the_installation_and_a_week_at_most(
    backup: float | None, settings: float, days_ago: float, tmp_path: Path
) -> None:
    kept = tmp_path / "settings.json.telemhq-backup"
    if backup is not None:
        written(kept, backup)

    since_ms = coverage.since_ms(written(tmp_path / "settings.json", settings), kept, NOW_MS)

    assert since_ms == NOW_MS - days_ago * DAY_MS


def test_without_any_file_nothing_could_have_been_told(tmp_path: Path) -> None:
    assert coverage.since_ms(tmp_path / "a", tmp_path / "b", NOW_MS) == NOW_MS
