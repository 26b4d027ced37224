"""The fake model: it understands what both programs ask, and its log is what it handed out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tools.fake_model import messages_api, responses_api
from tools.fake_model.plays import (
    REPERTOIRE,
    Asked,
    Purpose,
    claude_usage,
    codex_usage,
    step_of,
)
from tools.fake_model.server import FakeModel, serving

TOOLS = [{"name": "Bash"}]
SUMMARY = "Write an <analysis> block followed by a <summary> block."


def claude_says(*turns: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


@pytest.mark.parametrize(
    ("messages", "asked"),
    [
        ([("user", "play:tools")], Asked("m", Purpose.TURN, "tools", 0)),
        (
            [("user", "play:tools"), ("assistant", "…"), ("user", [{"type": "tool_result"}])],
            Asked("m", Purpose.TURN, "tools", 1),
        ),
        (
            [("user", "play:tools"), ("assistant", "done"), ("user", "and now play:plain")],
            Asked("m", Purpose.TURN, "plain", 0),
        ),
        (
            [("user", [{"type": "text", "text": "play:plain"}]), ("system", "play:tools")],
            Asked("m", Purpose.TURN, "plain", 0),
        ),
        ([("user", "no play")], Asked("m", Purpose.TURN)),
        ([("user", "play:plain"), ("user", SUMMARY)], Asked("m", Purpose.COMPACTION)),
    ],
)
def test_it_finds_claude_codes_place_in_the_play(messages: list[Any], asked: Asked) -> None:
    request = {"model": "m", "messages": claude_says(*messages), "tools": TOOLS}

    assert messages_api.understand(request) == asked


def test_a_request_of_claude_code_without_tools_is_about_the_talk() -> None:
    request = {"model": "m", "messages": claude_says(("user", "play:plain")), "tools": []}

    assert messages_api.understand(request) == Asked("m", Purpose.TITLE)


def codex_item(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


@pytest.mark.parametrize(
    ("items", "asked"),
    [
        ([codex_item("user", "play:tools")], Asked("m", Purpose.TURN, "tools", 0)),
        (
            [
                codex_item("user", "play:tools"),
                {"type": "function_call"},
                {"type": "function_call_output", "output": "play:plain"},
            ],
            Asked("m", Purpose.TURN, "tools", 1),
        ),
        (
            [codex_item("user", "play:tools"), codex_item("assistant", "done")],
            Asked("m", Purpose.TURN, "tools", 1),
        ),
        (
            [codex_item("user", "play:tools"), codex_item("user", "CONTEXT CHECKPOINT COMPACTION")],
            Asked("m", Purpose.COMPACTION),
        ),
    ],
)
def test_it_finds_codexs_place_in_the_play(items: list[Any], asked: Asked) -> None:
    assert responses_api.understand({"model": "m", "input": items, "tools": TOOLS}) == asked


def test_a_play_that_is_over_ends_the_turn() -> None:
    over = step_of(REPERTOIRE, Asked("m", Purpose.TURN, "plain", 1))

    assert over == step_of(REPERTOIRE, Asked("m", Purpose.TURN, "unknown", 0))


@pytest.mark.parametrize("usage", [claude_usage, codex_usage])
def test_no_two_requests_use_the_same_so_one_left_out_or_counted_twice_shows(usage: Any) -> None:
    sums = {usage(number).input + usage(number).output for number in range(1, 200)}

    assert len(sums) == 199


def events(model: FakeModel, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = httpx.post(f"{model.address}{path}", json=body, trust_env=False)
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_the_log_holds_what_claude_code_was_told() -> None:
    body = {"model": "m", "messages": claude_says(("user", "play:plain")), "tools": TOOLS}
    with serving() as model:
        told = events(model, "/v1/messages", body)[-2]["usage"]
    (entry,) = model.handed

    assert (entry.number, entry.play, entry.status) == (1, "plain", 200)
    assert entry.usage.output == told["output_tokens"] == 307
    assert entry.usage.fresh == told["input_tokens"] == 101
    assert entry.usage.cached == told["cache_read_input_tokens"] == 20013
    assert entry.usage.cache_write == told["cache_creation_input_tokens"] == 30


def test_the_log_holds_what_codex_was_told() -> None:
    body = {"model": "m", "input": [codex_item("user", "play:plain")], "tools": TOOLS}
    with serving() as model:
        told = events(model, "/v1/responses", body)[-1]["response"]["usage"]
    (entry,) = model.handed

    assert entry.usage.input == told["input_tokens"] == 1512
    assert entry.usage.cached == told["input_tokens_details"]["cached_tokens"] == 501
    assert entry.usage.output == told["output_tokens"] == 53
    assert entry.usage.reasoning == told["output_tokens_details"]["reasoning_tokens"] == 6


def test_a_refusal_hands_out_nothing() -> None:
    body = {"model": "m", "messages": claude_says(("user", "play:refused")), "tools": TOOLS}
    with serving() as model:
        answer = httpx.post(f"{model.address}/v1/messages", json=body, trust_env=False)
    (entry,) = model.handed

    assert answer.status_code == entry.status == 400
    assert entry.usage.input == entry.usage.output == 0


def test_a_path_that_nobody_taught_it_is_remembered_and_refused() -> None:
    with serving() as model:
        answer = httpx.get(f"{model.address}/v1/models", trust_env=False)

    assert answer.status_code == 404
    assert model.refused_paths == ["GET /v1/models"]
