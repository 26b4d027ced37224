"""The log of prompts: each once, whatever happens to the logs they stand in, and masked."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.errors import DamagedError
from telemhq_agents.privacy import ProjectNamer
from telemhq_agents.prompt_log import LONGEST_PROMPT, Prompt, PromptLog
from telemhq_agents.prompt_reading import Agent, Log, catch_up
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOON = 1_795_176_000_000  # 2026-11-20T12:00:00Z
TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


def prompt(key: str, text: str = "hello", at_ms: int = NOON, **more: Any) -> Prompt:
    fields = {"session_id": "s1", "cwd": "/gone/shop", "repository": ""} | more
    return Prompt(key, at_ms, Source.CODEX, text=text, **fields)


def reader(lines: Iterable[bytes], state: dict[str, Any]) -> tuple[list[Prompt], dict[str, Any]]:
    """Each line is a prompt: its key, and how many lines were read before it."""
    count = state.get("count", 0)
    found = []
    for line in lines:
        count += 1
        found.append(prompt(line.decode(), f"line {count}"))
    return found, {"count": count}


class Desk:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "data" / "prompts.jsonl"
        self.log = PromptLog(self.path)
        self.logs: dict[str, Path] = {}
        self.folder = folder
        self.problems: list[str] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        with path.open("a") as file:
            file.write(text)
        os.utime(path, (NOON / 1000, NOON / 1000 + path.stat().st_size))
        self.logs[name] = path
        return path

    def catch_up(self, now_ms: int = NOON - 1) -> None:
        logs = [Log(key, path) for key, path in self.logs.items()]
        agent = Agent(Source.CODEX, logs, reader)
        self.problems = catch_up(self.log, self.log.turn_on(now_ms), agent, ProjectNamer())

    def kept(self) -> list[tuple[str, str]]:
        return [(one.key, one.prompt) for one in self.log.entries()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_growing_log_is_read_on_from_its_last_whole_line(desk: Desk) -> None:
    desk.write("a", "one\ntw")
    desk.catch_up()
    desk.write("a", "o\nthree\n")
    desk.catch_up()
    desk.catch_up()

    assert desk.kept() == [("one", "line 1"), ("two", "line 2"), ("three", "line 3")]


def test_what_was_logged_is_not_logged_again_when_its_log_is_rewritten(desk: Desk) -> None:
    desk.write("a", "one\ntwo\n")
    desk.catch_up()

    desk.logs["a"].unlink()
    desk.write("a", "zero\none\ntwo\nthree\n")
    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one", "two", "zero", "three"]


def test_a_line_that_was_taken_back_and_written_anew_is_seen(desk: Desk) -> None:
    path = desk.write("a", "one\ntwo\n")
    desk.catch_up()

    with path.open("r+") as file:
        file.write("one\nand more than before\n")
    os.utime(path, (NOON / 1000, NOON / 1000 + 99))
    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one", "two", "and more than before"]


def test_a_crash_between_the_log_and_its_cursor_logs_nothing_twice(desk: Desk) -> None:
    desk.write("a", "one\n")
    desk.catch_up()
    state = desk.path.with_name("prompts.state.json")
    before = state.read_bytes()
    desk.write("a", "two\n")
    desk.catch_up()

    state.write_bytes(before)
    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one", "two"]


def test_half_a_line_that_a_crash_left_is_logged_again_whole(desk: Desk) -> None:
    desk.write("a", "one\n")
    desk.catch_up()
    with desk.path.open("ab") as file:
        file.write(b'{"key":"two","at":"20')

    desk.write("a", "two\n")
    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one", "two"]


def test_a_copy_in_another_log_is_the_same_prompt(desk: Desk) -> None:
    desk.write("a", "one\ntwo\n")
    desk.write("fork", "one\ntwo\nthree\n")

    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one", "two", "three"]


def test_nothing_from_before_it_was_turned_on_is_logged(desk: Desk) -> None:
    desk.write("a", "old\n")

    desk.catch_up(now_ms=NOON + 1)

    assert desk.kept() == []


def test_what_is_asked_while_it_is_off_is_not_logged_later(desk: Desk) -> None:
    desk.write("a", "one\n")
    desk.catch_up()
    desk.log.turn_off()
    desk.write("a", "two\n")

    desk.catch_up(now_ms=NOON + 1)

    assert [key for key, _ in desk.kept()] == ["one"]


def test_what_is_forgotten_stays_forgotten(desk: Desk) -> None:
    desk.write("a", "one\ntwo\n")
    desk.catch_up()

    assert desk.log.forget(NOON + 1) == 2

    desk.logs["a"].unlink()
    desk.write("a", "one\ntwo\nagain\n")
    desk.catch_up()
    assert desk.kept() == []
    assert not desk.path.exists()


def test_secrets_are_masked_before_anything_is_written(desk: Desk) -> None:
    desk.log.add([prompt("a", f"push with {TOKEN}")], ProjectNamer(), desk.log.turn_on(NOON))

    assert desk.kept() == [("a", "push with [masked]")]
    assert TOKEN not in desk.path.read_text()


def test_a_prompt_of_a_private_directory_is_not_logged(desk: Desk) -> None:
    namer = ProjectNamer(["/gone/clients/*"])
    asked = [prompt("a", cwd="/gone/clients/acme"), prompt("b")]

    assert desk.log.add(asked, namer, desk.log.turn_on(NOON)) == 1

    assert [(one.key, one.project) for one in desk.log.entries()] == [("b", "shop")]


def test_a_long_prompt_is_cut_and_says_so(desk: Desk) -> None:
    desk.log.add([prompt("a", "x" * 50_000)], ProjectNamer(), desk.log.turn_on(NOON))

    ((_, text),) = desk.kept()
    assert text == "x" * LONGEST_PROMPT + "… [cut]"


def test_files_are_their_owners_alone(desk: Desk) -> None:
    desk.write("a", "one\n")
    desk.catch_up()

    modes = {stat.S_IMODE(path.stat().st_mode) for path in desk.path.parent.glob("prompts*")}
    assert modes == {0o600}


def test_the_log_is_limited_and_what_went_does_not_come_back(tmp_path: Path) -> None:
    log = PromptLog(tmp_path / "prompts.jsonl", most_bytes=2000)
    asked = [prompt(f"k{n}", "x" * 100, NOON + n) for n in range(60)]
    progress = log.turn_on(NOON)
    for one in asked:
        log.add([one], ProjectNamer(), progress)

    kept = [one.key for one in log.entries()]
    assert kept == [f"k{n}" for n in range(60 - len(kept), 60)]
    assert 8 <= len(kept) < 30
    assert sum(path.stat().st_size for path in tmp_path.glob("prompts*.jsonl")) < 5000

    assert log.add(asked, ProjectNamer(), log.progress()) == 0
    assert [one.key for one in log.entries()] == kept


def test_one_sessions_prompts_can_be_asked_for(desk: Desk) -> None:
    asked = [prompt("a"), prompt("b", session_id="s2")]
    desk.log.add(asked, ProjectNamer(), desk.log.turn_on(NOON))

    assert [one.key for one in desk.log.entries("s2")] == ["b"]


def test_a_log_that_cannot_be_read_is_a_problem_and_the_others_are_read(desk: Desk) -> None:
    desk.write("a.zst", "this is no zstd file\n")
    desk.write("b", "one\n")

    desk.catch_up()

    assert [key for key, _ in desk.kept()] == ["one"]
    assert len(desk.problems) == 1
    assert "a.zst" in desk.problems[0]


def test_a_log_of_prompts_that_cannot_be_used_is_named(desk: Desk) -> None:
    desk.path.mkdir(parents=True)

    with pytest.raises(DamagedError, match=r"prompts.jsonl cannot be read: Is a directory"):
        desk.kept()
    with pytest.raises(DamagedError, match=r"prompts.jsonl cannot be deleted: Is a directory"):
        desk.log.forget(NOON)


def test_a_state_that_cannot_be_read_says_what_helps(desk: Desk) -> None:
    desk.write("a", "one\n")
    desk.catch_up()
    desk.path.with_name("prompts.state.json").write_text(json.dumps({"cursors": 5}))

    with pytest.raises(DamagedError) as caught:
        desk.catch_up()

    assert caught.value.next_step == "telemhq privacy forget"
    desk.log.forget(NOON)
    desk.catch_up()
