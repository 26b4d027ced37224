"""Prompts of real transcripts: what persons asked, whole, each once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from claude_code_hooks.prompts_of_transcript import prompts_in
from telemhq_agents.clock import from_iso

HOME = Path(__file__).parents[1] / "fixtures" / "claude_code" / "2.1.328" / "home"
SESSION = "0b88ac2b-5bc6-4e1b-b867-da6c0fe6f0f9"
FORK = "bfd0b1ef-4a12-48ac-b98f-eafd40ba1fc7"


def of(path: Path) -> list[Any]:
    return prompts_in(path.read_bytes().splitlines(), {})[0]


def transcript(session: str) -> Path:
    return next(HOME.rglob(f"{session}.jsonl"))


def test_a_fork_repeats_no_prompt_of_its_parent() -> None:
    keys = {prompt.key: prompt.text for prompt in of(transcript(SESSION))}
    forked = [prompt for prompt in of(transcript(FORK)) if prompt.key not in keys]

    assert list(keys.values()) == ["LAB:bash1 first"]
    assert [(prompt.text, prompt.session_id) for prompt in forked] == [("LAB:hello forked", FORK)]


def test_a_prompt_tells_when_where_and_in_which_session() -> None:
    (prompt,) = of(transcript(SESSION))

    assert prompt.session_id == SESSION
    assert prompt.at_ms == from_iso("2026-11-20T08:01:21.084Z")
    assert prompt.cwd == "/home/dev/code/repo"


def test_sub_agents_are_asked_by_agents_and_not_by_persons() -> None:
    inner = list(HOME.rglob("subagents/*.jsonl"))

    assert len(inner) > 5
    assert [prompt.text for path in inner for prompt in of(path)] == []


def line(content: object, **more: Any) -> bytes:
    told = {
        "type": "user",
        "uuid": "u1",
        "timestamp": "2026-11-20T08:00:00.000Z",
        "sessionId": "s1",
        "cwd": "/srv/till",
        "promptSource": "typed",
        "message": {"role": "user", "content": content},
    }
    return json.dumps({**told, **more}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hello", "hello"),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "a\n[image]\nb"),
        ("<command-message>x</command-message>\n<command-name>/review</command-name>\n<command-args>src</command-args>", "/review src"),
        ("<command-name>/go</command-name>", "/go"),
        ("why <command-name>/go</command-name>?", "why <command-name>/go</command-name>?"),
    ],
)  # fmt: skip
def test_a_prompt_reads_as_it_was_typed(content: object, text: str) -> None:
    assert [prompt.text for prompt in prompts_in([line(content)], {})[0]] == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"type":"user"',
        line("order", isSidechain=True),
        line("meta", isMeta=True),
        line("summary", isCompactSummary=True),
        line("wake up", promptSource="system"),
        line("<local-command-stdout>x</local-command-stdout>", promptSource=None),
        line([{"type": "tool_result", "content": "secret output"}], promptSource=None),
        line("[Request interrupted by user]"),
        b'{"type":"user","message":5,"uuid":"x","promptSource":"typed"}',
    ],
)
def test_what_nobody_typed_is_no_prompt(data: bytes) -> None:
    found, _ = prompts_in([data, line("next", uuid="u2")], {})

    assert [prompt.text for prompt in found] == ["next"]


def test_a_session_stays_with_the_directory_that_it_began_in() -> None:
    _, state = prompts_in([line("one")], {})
    found, _ = prompts_in([line("two", cwd="/elsewhere")], json.loads(json.dumps(state)))

    assert [prompt.cwd for prompt in found] == ["/srv/till"]
