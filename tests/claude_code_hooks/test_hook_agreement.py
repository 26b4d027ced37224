"""Hook and transcript tell of one run, whichever is seen first, with real hooks and a real ledger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import hook
from claude_code_hooks.events import EVENTS
from claude_code_hooks.scan import scan
from telemhq_agents import clock, spool
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.locations import Locations
from telemhq_agents.usage import Activity, ActivityKind, Source
from telemhq_cli import intake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.claude_code_hooks.conftest import Lines, PlainNamer

HOOK = Path(hook.__file__)
BY_SESSION = ("session", "model", "project", "day")


def no_waiting(_seconds: float) -> None:
    pytest.fail("nothing is being written")


class Person:
    """Somebody's Claude Code, telemhq's files, and a ledger of their own."""

    def __init__(self, root: Path, namer: PlainNamer) -> None:
        self.home = root / "claude"
        self.ours = Locations(root / "config", root / "data")
        self.namer = namer
        self.ledger = Ledger.open(root / "ledger.sqlite3")

    def transcript(self, session: str) -> Path:
        return self.home / "projects" / "-home-dev-repo" / f"{session}.jsonl"

    def write(self, session: str, lines: list[dict[str, Any]]) -> None:
        path = self.transcript(session)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def fire(self, event: str, **fields: Any) -> None:
        """Run the hook as Claude Code does, without anybody to wake."""
        plain = {"session_id": "s1", "prompt_id": "p1.0", "cwd": "/home/dev/repo"}
        plain["transcript_path"] = str(self.transcript("s1"))
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(HOOK), str(self.ours.spool)],
            input=json.dumps({"hook_event_name": event, **plain, **fields}).encode(),
            capture_output=True,
            check=True,
        )
        assert done.stdout + done.stderr == b""

    def drain(self) -> int:
        """Take in what hooks left, long enough after it that nothing is being written."""
        homes = [self.home]
        for entry in self.ours.spool.glob("*.json"):
            told = json.loads(entry.read_text())
            entry.write_text(json.dumps({**told, "at_ms": told["at_ms"] - 10_000}))
        taken, _ = intake.book_hooks(self.ledger, self.ours.spool, homes, self.namer, no_waiting)
        return taken

    def scan(self) -> None:
        scan(self.ledger, [self.home], self.namer, now_ms=clock.now_ms())

    def figures(self) -> tuple[int, int, int, int]:
        total = self.ledger.usage(()).total
        return total.runs, total.failures, total.responses, total.output_tokens

    def activities(self, prompt: str = "p1.0") -> dict[tuple[ActivityKind, str], int]:
        found: list[Activity] = self.ledger.activities([f"claude:{prompt}"])
        return {(one.kind, one.name): one.count for one in found}


@pytest.fixture
def person(tmp_path: Path, new_namer: type[PlainNamer]) -> Iterator[Person]:
    somebody = Person(tmp_path, new_namer())
    with somebody.ledger:
        yield somebody


@pytest.fixture
def turn(lines: Lines) -> list[dict[str, Any]]:
    call = lines.reply(2, "msg_1", stop="tool_use", output=20)
    return [lines.prompt(1.0), call, lines.tool_result(3), lines.reply(4, "msg_2", output=30)]


def tell_all(person: Person) -> None:
    tool = {"tool_name": "Bash", "tool_input": {"command": "make"}, "duration_ms": 40}
    person.fire("SessionStart", prompt_id=None)
    person.fire("UserPromptSubmit", prompt="please")
    person.fire("PostToolUse", tool_use_id="toolu_1", **tool)
    person.fire("Stop")
    person.fire("SessionEnd", reason="other")


TOLD = {(ActivityKind.PROMPT, ""): 1, (ActivityKind.TOOL, "Bash"): 1}
ONE_RUN = (1, 0, 2, 50)


def test_events_first_then_the_transcript(person: Person, turn: list[dict[str, Any]]) -> None:
    tell_all(person)
    assert person.drain() == 5
    assert person.figures() == (1, 0, 0, 0)

    person.write("s1", turn)
    person.scan()

    assert person.figures() == ONE_RUN
    assert person.activities() == TOLD


def test_the_transcript_first_then_the_events(person: Person, turn: list[dict[str, Any]]) -> None:
    person.write("s1", turn)
    person.scan()
    before = person.ledger.usage(BY_SESSION)

    tell_all(person)
    person.drain()

    assert person.figures() == ONE_RUN
    assert person.ledger.usage(BY_SESSION) == before
    assert person.activities() == TOLD


def test_an_event_reads_its_transcript_at_once(person: Person, turn: list[dict[str, Any]]) -> None:
    person.write("s1", turn)

    person.fire("Stop")
    person.drain()

    assert person.figures() == ONE_RUN
    assert person.ledger.announced_turns(Source.CLAUDE, 0) == (1, 1)


def test_settings_and_plugin_at_once_count_as_one(
    person: Person, turn: list[dict[str, Any]]
) -> None:
    person.write("s1", turn)

    tell_all(person)
    tell_all(person)
    person.drain()

    assert person.figures() == ONE_RUN
    assert person.activities() == TOLD


def test_entries_that_a_crash_left_behind_count_once(
    person: Person, turn: list[dict[str, Any]], tmp_path: Path
) -> None:
    person.write("s1", turn)
    tell_all(person)
    shutil.copytree(person.ours.spool, tmp_path / "copy")
    person.drain()

    shutil.copytree(tmp_path / "copy", person.ours.spool, dirs_exist_ok=True)
    assert person.drain() == 5

    assert person.figures() == ONE_RUN
    assert person.activities() == TOLD


def test_a_killed_session_and_one_without_hooks_have_their_usage_all_the_same(
    person: Person, turn: list[dict[str, Any]]
) -> None:
    person.write("s1", turn[:3])
    person.fire("UserPromptSubmit", prompt="please")
    person.write("s2", [{**line, "sessionId": "s2"} for line in turn[:1]])
    person.drain()
    person.scan()

    assert person.figures()[2:] == (1, 20)


def test_hooks_that_never_ran_are_told_of(person: Person, turn: list[dict[str, Any]]) -> None:
    person.write("s1", turn)
    person.scan()
    assert person.ledger.announced_turns(Source.CLAUDE, 0) == (1, 0)

    tell_all(person)
    person.drain()

    assert person.ledger.announced_turns(Source.CLAUDE, 0) == (1, 1)


def test_a_session_that_keeps_no_transcript_has_its_runs(person: Person) -> None:
    tell_all(person)
    person.fire("UserPromptSubmit", prompt_id="p2", prompt="again")
    person.fire("StopFailure", prompt_id="p2", error="rate_limit")

    person.drain()

    assert person.figures() == (2, 1, 0, 0)
    assert person.activities("p2") == {
        (ActivityKind.PROMPT, ""): 1,
        (ActivityKind.FAILURE, "rate_limit"): 1,
    }


@pytest.mark.parametrize("in_one", [True, False])
def test_what_claude_code_said_to_itself_is_no_run_even_without_a_transcript(
    in_one: bool, person: Person
) -> None:
    tell_all(person)
    person.fire("UserPromptSubmit", prompt_id="p2", prompt="<task-notification>\n<task-id>a</…>")
    if not in_one:
        person.drain()
    person.fire("PostToolUse", prompt_id="p2", tool_name="Read", tool_use_id="toolu_2")
    person.fire("Stop", prompt_id="p2")
    person.drain()

    assert person.figures() == (1, 0, 0, 0)
    assert person.activities() == {**TOLD, (ActivityKind.TOOL, "Read"): 1}


@pytest.fixture
def lab(fixtures: Path) -> Path:
    return fixtures / "2.1.328"


def leave_real_events(person: Person, lab: Path) -> None:
    """Leave what the hook would have, of all that a real Claude Code ever told in its lab."""
    now_ms = clock.now_ms() - 60_000
    person.ours.spool.mkdir(parents=True)
    lines = (lab / "hook_events.jsonl").read_text().splitlines()
    for number, line in enumerate(lines):
        told = line.replace("/home/dev/cfg/", f"{person.home}/")
        # The one text that the recording left out, by how the program begins it.
        told = told.replace("[703 characters left out]", "<task-notification>")
        entry = hook.redact(json.loads(told), now_ms + number * 100)
        if entry["event"] in EVENTS:
            entry["check"] = hook.check_of(json.loads(told), told.encode())
            path = person.ours.spool / f"{number:020d}-1.json"
            path.write_text(hook.to_json(entry), encoding="ascii")


@pytest.mark.parametrize("order", ["events first", "events last", "events alone at first"])
def test_all_real_sessions_are_the_same_runs_with_and_without_hooks(
    order: str, person: Person, lab: Path, tmp_path: Path, new_namer: type[PlainNamer]
) -> None:
    other = Person(tmp_path / "other", new_namer())
    shutil.copytree(lab / "home", other.home)
    other.scan()
    leave_real_events(person, lab)

    if order == "events alone at first":
        person.drain()
    shutil.copytree(lab / "home", person.home)
    if order == "events last":
        person.scan()
    person.drain()
    person.scan()

    assert person.figures() == other.figures()
    assert person.figures()[0] == 29
    assert person.ledger.usage(("session",)).total.total_tokens == sum(
        row["input_tokens"]
        + row["cache_creation_input_tokens"]
        + row["cache_read_input_tokens"]
        + row["output_tokens"]
        for row in json.loads((lab / "truth.json").read_text())["transcript"]
    )
    assert spool.pending_count(person.ours.spool) == 0
    other.ledger.close()
