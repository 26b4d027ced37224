"""The agent's log: whose it is, how large it gets, and what never gets into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_agents import clock
from telemhq_cli import journal
from telemhq_cli.journal import Journal, without_places

if TYPE_CHECKING:
    from pathlib import Path

ROLLOUT = "rollout-2026-11-20T07-36-20-01a1f7e3-8fbc-7c60-8de8-c76ab9d0bf33.jsonl"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/home/a b/my cool dir/c.jsonl: Permission denied", "…: Permission denied"),
        ("/home/me/My Secret Project: Permission denied", "…: Permission denied"),
        ("/srv/projects/-home-dev-secret: Permission denied", "…: Permission denied"),
        (f"/home/x/.codex/sessions/{ROLLOUT}: gone", f"…/{ROLLOUT}: gone"),
        (
            "The ledger /home/me/data/ledger.sqlite3 is held by another process.",
            "The ledger …/ledger.sqlite3 is held by another process.",
        ),
        ("move it away (mv /a/b/c /a/b/c.broken) and go on", "move it away (mv …) and go on"),
        ("'/home/x/secret project/file' cannot be read", "'…' cannot be read"),
        (r"C:\Users\me\x.json: bad", "…: bad"),
        ("~/.codex/x is gone", "… is gone"),
        (
            "https://telemhq.example.com/ping/tt_abcdefgh: no answer",
            "https://telemhq.example.com/…: no answer",
        ),
        ("http://host:8080/x?y=1 said 503", "http://host:8080/… said 503"),
        ("read 1/2 logs, 3 new responses", "read 1/2 logs, 3 new responses"),
        ("one\nline\ttells", "one line tells"),
        (f"token {'Ab1_' * 12} is refused", "token … is refused"),
    ],
)
def test_a_path_or_a_token_never_gets_into_the_log(said: str, kept: str) -> None:
    assert without_places(said) == kept


@pytest.mark.parametrize(
    "secret", ["sk-ant-api03-AbCdEfGhIjKlMnOpQrSt", "thq_0123456789abcdef", "me:pw@host"]
)
def test_a_secret_never_gets_into_the_log(secret: str) -> None:
    assert secret not in without_places(f"https://{secret}/x: asking https://{secret} failed")


@pytest.mark.parametrize("secret", ["sk-ant-api03-AbCdEfGhIjKlMnOpQrSt", "thq_0123456789abcdef"])
def test_a_key_is_masked_wherever_it_stands(secret: str) -> None:
    assert secret not in without_places(f"the key {secret} is refused")


def test_the_log_is_its_owners_and_tells_the_time_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: 1_795_000_000_123)
    path = tmp_path / "data" / "agent.log"

    Journal(path).write("started")

    assert path.read_text() == "2026-11-18T11:06:40.123Z started\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_full_makes_room_and_keeps_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    log = Journal(path, largest=300)

    for number in range(40):
        log.write(f"line {number:02}")

    sizes = [one.stat().st_size for one in tmp_path.iterdir()]
    assert {one.name for one in tmp_path.iterdir()} == {"agent.log", "agent.log.1"}
    assert max(sizes) <= 300
    lines = journal.last_lines(path, 9)
    assert [line[-7:] for line in lines] == [f"line {number:02}" for number in range(31, 40)]
    assert journal.last_lines(path, 0) == []


def test_closing_opens_whatever_lies_there_next(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    log = Journal(path)
    log.write("before")
    path.rename(tmp_path / "moved")
    log.write("still the moved one")
    log.close()

    log.write("after")

    assert len((tmp_path / "moved").read_text().splitlines()) == 2
    assert path.read_text().endswith(" after\n")


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    Journal(tmp_path / "file" / "agent.log").write("started")

    assert (tmp_path / "file").read_text() == ""


def test_following_goes_on_over_a_rotation_and_never_shows_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    path.write_text("old\n")
    later = journal.added(path)
    assert next(later) == []

    with path.open("a") as file:
        file.write("one\nha")
    assert next(later) == ["one"]
    with path.open("a") as file:
        file.write("lf\ntwo\n")
    path.rename(tmp_path / "agent.log.1")
    path.write_text("three\n")

    assert next(later) == ["half", "two", "three"]
    assert next(later) == []
    path.unlink()
    assert next(later) == []
    path.write_text("four\n")
    assert next(later) == ["four"]
