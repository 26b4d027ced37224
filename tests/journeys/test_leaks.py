"""What was planted in both agents' logs, hook events and jobs neither leaves nor stays.

Real processes all the way: the hook, the collectors, the wrapper and the agent, against a real
server whose line is listened to, at every privacy level and in a private directory.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import hook
from telemhq_agents import clock
from tests.envelopes import data_of
from tests.journeys.household import Line, Person, Server, free_port, running
from tests.telemhq_cli.logs import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEVELS = ("metadata", "hashed", "content-redacted")
TOKEN = "ghp_PLANTED0123456789abcdefghijABCDEFGHIJ"
PLANTED = {
    name: f"planted-{name}-7f3a"
    for name in ("prompt", "reply", "command", "output", "content", "environment", "pattern")
}
REMOTE_PASSWORD = "plantedRemotePassword7f3a"
REMOTE = f"https://ada:{REMOTE_PASSWORD}@example.com/acme/till7f3a.git"
NEVER = [*PLANTED.values(), TOKEN, TOKEN[-8:], REMOTE_PASSWORD]
FOLDER, SECRET_FOLDER = "planted-folder-7f3a", "planted-client-7f3a"
PROJECT, PRIVATE_PROJECT = "till7f3a", "acme7f3a"


def everything() -> str:
    """A text that holds all that must not be seen again."""
    return " ".join([*PLANTED.values(), f"token={TOKEN}", REMOTE])


@dataclass
class Story:
    """A person's home, and all that was heard and said while they worked."""

    person: Person
    line: Line
    said: list[str] = field(default_factory=list)
    turns: int = 0

    @property
    def work(self) -> Path:
        return self.person.home / FOLDER / "checkout"

    @property
    def private_work(self) -> Path:
        return self.person.home / SECRET_FOLDER / PRIVATE_PROJECT

    @property
    def ours(self) -> Path:
        return self.person.home / "telemhq"

    def run(self, *arguments: str, given: str | None = None, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "telemhq_cli.main", *arguments],
            env={**self.person.environ, "ANTHROPIC_API_KEY": PLANTED["environment"]},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        self.said += [done.stdout, done.stderr]
        return done.stdout

    def settle(self) -> None:
        checkout = self.work / ".git"
        checkout.mkdir(parents=True)
        (checkout / "config").write_text(f'[remote "origin"]\n\turl = {REMOTE}\n')
        self.private_work.mkdir(parents=True)

    def works_in(self, directory: Path) -> None:
        """Do one turn with each agent, with hook events beside Claude Code's."""
        self.turns += 1
        at_ms = clock.now_ms()
        codex_turn(self.person.home / "codex", directory, at_ms, self.turns)
        for event in claude_turn(self.person.home / "claude", directory, at_ms, self.turns):
            self.hook(event)

    def hook(self, event: dict[str, Any]) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-S", hook.__file__, str(self.ours / "spool")],
            env={**self.person.environ, "ANTHROPIC_API_KEY": PLANTED["environment"]},
            input=json.dumps(event).encode(),
            capture_output=True,
            check=True,
        )
        self.said += [done.stdout.decode(), done.stderr.decode()]

    def watch(self, heard: bytes) -> None:
        """Let the agent run until the line has heard this, and tell it to stop."""
        agent = subprocess.Popen(
            [sys.executable, "-m", "telemhq_cli.main", "agent", "run", "--backfill"],
            env=self.person.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while heard not in self.line.heard and time.monotonic() < deadline:
            time.sleep(0.05)
        agent.terminate()
        self.said += agent.communicate(timeout=30)
        assert agent.returncode == 0, self.said[-1]

    def files(self) -> dict[Path, bytes]:
        """Return every file of ours but a server's, by path."""
        found = [path for path in self.ours.rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in found}


def codex_turn(home: Path, directory: Path, at_ms: int, number: int) -> None:
    thread = f"01a1f7e1-bcb3-7e90-abd5-{number:012x}"
    turn = {"turn_id": f"01a1f7e1-bcd2-7371-b35a-{number:012x}"}
    usage = {"input_tokens": 1000 + number, "output_tokens": 10, "cached_input_tokens": 0}
    ids = {**turn, "thread_id": thread, "session_id": thread, "response_id": f"resp_{number}"}
    shell = {"type": "function_call", "name": "shell", "arguments": everything()}
    said = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": everything()}],
    }
    asked = {
        "type": "UserMessage",
        "id": f"item-{number}",
        "content": [{"type": "text", "text": everything()}],
    }
    payloads: list[tuple[str, dict[str, Any]]] = [
        ("session_meta", {"id": thread, "cwd": str(directory), "cli_version": "0.169.0", "source": "exec",
                          "model_provider": "openai", "git": {"repository_url": REMOTE}, "instructions": everything()}),
        ("event_msg", {"type": "task_started", **turn}),
        ("turn_context", {**turn, "cwd": str(directory), "model": "gpt-5.4", "user_instructions": everything()}),
        ("response_item", said),
        ("event_msg", {"type": "item_completed", "thread_id": thread, **turn, "item": asked}),
        ("response_item", shell),
        ("response_item", {"type": "function_call_output", "output": everything()}),
        ("token_usage_record", {**ids, "usage": usage}),
        ("event_msg", {"type": "task_complete", **turn, "last_agent_message": everything()}),
    ]  # fmt: skip
    if PRIVATE_PROJECT in str(directory):
        del payloads[0][1]["git"]
    folder = home / "sessions" / "2026" / "11" / "20"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-2026-11-20T08-00-00-{thread}.jsonl"
    lines = [
        {"timestamp": iso(at_ms), "type": kind, "payload": payload} for kind, payload in payloads
    ]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def claude_turn(home: Path, directory: Path, at_ms: int, number: int) -> Iterator[dict[str, Any]]:
    session, prompt = f"00000000-0000-4000-8000-{number:012x}", f"prompt-{number}"
    common = {
        "sessionId": session,
        "cwd": str(directory),
        "timestamp": iso(at_ms),
        "version": "2.1.328",
    }
    usage = {"input_tokens": 500 + number, "output_tokens": 20}
    call = {"type": "tool_use", "name": "Bash", "id": "toolu_1", "input": {"command": everything()}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": everything()}
    reply = {"id": f"msg_{number}", "role": "assistant", "model": "claude-opus-4-8", "stop_reason": "end_turn",
             "content": [{"type": "text", "text": everything()}, call], "usage": usage}  # fmt: skip
    lines: list[dict[str, Any]] = [
        {"type": "user", "uuid": f"u-{number}", "promptId": prompt, "promptSource": "typed",
         "message": {"role": "user", "content": everything()}},
        {"type": "assistant", "uuid": f"a-{number}", "message": reply},
        {"type": "user", "uuid": f"r-{number}", "message": {"role": "user", "content": [result]},
         "toolUseResult": {"stdout": everything(), "file": {"content": everything()}}},
        {"type": "system", "subtype": "stop_hook_summary", "uuid": f"s-{number}"},
    ]  # fmt: skip
    folder = home / "projects" / "-work"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session}.jsonl"
    path.write_text(
        "".join(json.dumps({**common, **line}, separators=(",", ":")) + "\n" for line in lines)
    )
    told = {
        "session_id": session,
        "prompt_id": prompt,
        "transcript_path": str(path),
        "cwd": str(directory),
    }
    tool = {
        "tool_name": "Bash",
        "tool_input": {"command": everything()},
        "tool_response": everything(),
    }
    yield {**told, "hook_event_name": "UserPromptSubmit", "prompt": everything()}
    yield {**told, "hook_event_name": "PostToolUse", "tool_use_id": "toolu_1", **tool}
    yield {
        **told,
        "hook_event_name": "PostToolUseFailure",
        "tool_use_id": "toolu_2",
        "error": everything(),
        **tool,
    }
    yield {**told, "hook_event_name": "Stop", "last_assistant_message": everything()}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Ada, logged in over a line that is listened to, with work in two directories."""
    person = Person(tmp_path / "ada")
    person.home.mkdir()
    key = person.asks("server", "init", "--email", "ada@example.com")["api_key"]
    server = Server(person.environ, free_port())
    line = Line(server.port, lambda _: None)
    with running(server), contextlib.closing(line):
        line.serve()
        story = Story(person, line)
        story.settle()
        story.run("login", "--url", f"http://127.0.0.1:{line.port}", "--key-stdin", given=key)
        story.run("tracker", "create", "nightly")
        yield story


def works_at_every_level(story: Story) -> dict[str, bytes]:
    """Work at one level after the other; return what the line heard at each."""
    heard = {}
    story.run("config", "set", "private", f"~/{SECRET_FOLDER}/*")
    job = ("sh", "-c", f"echo with key={TOKEN}")
    for level in LEVELS:
        story.run("config", "set", "privacy", level)
        before = len(story.line.heard)
        for directory in (story.work, story.private_work):
            story.works_in(directory)
        for tail in ("200", "9"):
            story.person.run("ping", "nightly", "--tail-output", tail, "--", *job)
        story.run("agent", "once", "--backfill")
        heard[level] = bytes(story.line.heard[before:])
    for shown in ("agent status", "agent outbox", "usage --local --json", "privacy preview --json"):
        story.run(*shown.split())
    story.run("statusline", given=json.dumps({"session_id": "x", "prompt": everything()}))
    return heard


def found(data: bytes, words: list[str]) -> list[str]:
    return [word for word in words if word.encode() in data]


def test_what_was_planted_neither_leaves_nor_stays(story: Story) -> None:
    heard = works_at_every_level(story)

    for level in LEVELS:
        assert heard[level].count(b'"source":"codex"') == 1, level  # what is heard is what is sent
        assert heard[level].count(b'"source":"claude"') == 1, level
        assert found(heard[level], [*NEVER, FOLDER, SECRET_FOLDER, PRIVATE_PROJECT]) == [], level
        assert b"with key=[masked]" in heard[level], level
        assert (PROJECT.encode() in heard[level]) == (level != "hashed"), level
    for text in story.said:
        assert found(text.encode(), NEVER) == [], text
    prompts = story.ours / "prompts.jsonl"
    for path, data in story.files().items():
        if path != prompts:
            assert found(data, NEVER) == [], path
            assert path.stat().st_mode & 0o077 == 0 or not found(data, [FOLDER]), path
    only_prompts_are_kept(story)


def only_prompts_are_kept(story: Story) -> None:
    """Of one level alone, masked, of work that is not private, for their owner's eyes."""
    path = story.ours / "prompts.jsonl"
    kept = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(one["source"], one["project"]) for one in kept] == [
        ("codex", PROJECT),
        ("claude", PROJECT),
    ]
    assert [one["prompt"].count(PLANTED["prompt"]) for one in kept] == [1, 1]
    assert found(path.read_bytes(), [TOKEN, REMOTE_PASSWORD]) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_private_work_is_counted_where_it_was_done(story: Story) -> None:
    story.run("config", "set", "private", f"~/{SECRET_FOLDER}/*")
    story.works_in(story.private_work)
    story.works_in(story.work)

    story.watch(b'"source":"claude"')
    story.run("agent", "once")

    local = data_of(story.run("usage", "--local", "--by", "project", "--json"))["rows"]
    there = data_of(story.run("usage", "--mine", "--by", "project", "--json"))["rows"]
    tokens = {row["project"]: row["input_tokens"] for row in local}
    assert tokens == {f"private/{PRIVATE_PROJECT}": 1001 + 501, PROJECT: 1002 + 502}
    assert {row["project"]: row["input_tokens"] for row in there} == {PROJECT: 1002 + 502}
    assert found(bytes(story.line.heard), [*NEVER, FOLDER, SECRET_FOLDER, PRIVATE_PROJECT]) == []
    assert [text for text in story.said if found(text.encode(), NEVER)] == []
    assert [path for path, data in story.files().items() if found(data, NEVER)] == []
