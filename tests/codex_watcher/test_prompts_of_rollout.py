"""Prompts of real rollouts: the persons' own, each once, forks and children included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_watcher.prompts_of_rollout import prompts_in
from telemhq_agents.clock import from_iso

HOMES = Path(__file__).parents[1] / "fixtures" / "codex"


def of_home(version: str) -> list[Any]:
    """Return what is asked in a home's rollouts, each key once, the oldest file first."""
    files = sorted((HOMES / version / "home").rglob("*.jsonl"), key=lambda path: path.name)
    found: dict[str, Any] = {}
    for path in files:
        for prompt in prompts_in(path.read_bytes().splitlines(), {})[0]:
            found.setdefault(prompt.key, prompt)
    return list(found.values())


@pytest.mark.parametrize("version", ["0.98.0", "0.145.0", "0.169.0"])
def test_a_fork_repeats_no_prompt_of_its_parent(version: str) -> None:
    texts = [prompt.text for prompt in of_home(version)]

    asked_once = ("turn one ", "turn two ", "turn three ", "turn four", "in the fork LAB")
    for text in asked_once:
        # The paginated fork of 0.169 and the legacy one are two scenarios with a text in common.
        scenarios = 2 if version == "0.169.0" and text == "in the fork LAB" else 1
        assert sum(one.startswith(text) for one in texts) == scenarios, text


@pytest.mark.parametrize("version", ["0.98.0", "0.145.0", "0.169.0"])
def test_what_an_agent_orders_of_its_children_is_no_prompt(version: str) -> None:
    texts = [prompt.text for prompt in of_home(version)]

    assert any(text.startswith("spawn") for text in texts)
    assert [text for text in texts if text.startswith(("kid", "child", "# AGENTS"))] == []


def test_a_prompt_tells_when_where_and_in_which_session() -> None:
    prompt = next(one for one in of_home("0.169.0") if one.text.startswith("plain run"))

    assert prompt.text == 'plain run LAB{"tools": 2}'
    assert prompt.session_id == "01a1f7e1-bcb3-7e90-abd5-b57c098a6866"
    assert prompt.at_ms == from_iso("2026-11-20T07:35:28.809Z")
    assert prompt.cwd.startswith("/")


def line(kind: str, **payload: Any) -> bytes:
    told = {"timestamp": "2026-11-20T08:00:00.000Z", "type": kind, "payload": payload}
    return json.dumps(told, separators=(",", ":")).encode()


OWN = line("session_meta", id="own", cwd="/srv/till", git={"repository_url": "git@h:a/shop.git"})


def asked(text: str) -> bytes:
    return line("event_msg", type="user_message", message=text)


def test_reading_goes_on_where_it_stopped() -> None:
    lines = [
        OWN,
        line("event_msg", type="task_started", turn_id="t1"),
        asked("go on"),
        asked("go on"),
        line("event_msg", type="task_started", turn_id="t2"),
        asked("go on"),
    ]
    whole, _ = prompts_in(lines, {})

    parts: list[Any] = []
    state: dict[str, Any] = {}
    for one in lines:
        found, state = prompts_in([one], json.loads(json.dumps(state)))
        parts += found

    assert parts == whole
    assert len({prompt.key for prompt in whole}) == 3
    assert {(one.cwd, one.repository) for one in whole} == {("/srv/till", "shop")}


def test_equal_prompts_of_two_threads_are_two() -> None:
    first, _ = prompts_in([OWN, asked("go on")], {})
    second, _ = prompts_in([OWN.replace(b'"own"', b'"two"'), asked("go on")], {})

    assert first[0].key != second[0].key


def test_an_item_of_another_thread_is_a_copy() -> None:
    item = {"type": "UserMessage", "id": "i1", "content": [{"type": "text", "text": "hi"}]}
    copied = line("event_msg", type="item_completed", thread_id="parent", item=item)
    own = line("event_msg", type="item_completed", thread_id="own", item={**item, "id": "i2"})

    found, _ = prompts_in([OWN, copied, own], {})

    assert [prompt.text for prompt in found] == ["hi"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"user_message"',
        b'{"timestamp":5,"type":"event_msg","payload":{"type":"user_message","message":"x"}}',
        line("event_msg", type="user_message", message=["x"]),
        line("event_msg", type="item_completed", thread_id="own", item={"type": "UserMessage"}),
        line("event_msg", type={"user_message": 1}),
        b'{"type":"event_msg","payload":{"type":"user_message","message":"\xff"}}',
        b'["user_message"]',
    ],
)
def test_a_line_that_cannot_be_understood_holds_no_prompt(data: bytes) -> None:
    found, _ = prompts_in([OWN, data, asked("the next one is read")], {})

    assert [prompt.text for prompt in found] == ["the next one is read"]
