"""A scheduled tracker fails, mails, posts and recovers, with real programs, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.demo_alerts import databases, play

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("wanted", ["SQLite", "PostgreSQL"])
def test_a_missing_ping_and_its_return_are_told_once_each(
    wanted: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, url in databases():
        if name == wanted:
            story = play(tmp_path, url)

    assert [hook["event"] for hook in story.hooks] == ["tracker.failed", "tracker.recovered"]
    assert [hook["tracker"]["status"] for hook in story.hooks] == ["failed", "active"]
    assert story.hooks[0]["run"] is None
    assert story.hooks[1]["run"]["payload"]["status"] == "success"
    assert len(story.mails) == 2
    assert all("nightly" in subject for subject in story.mails)
    assert story.told[-1][0] < 60
    assert "ping is missing" in capfd.readouterr().out
