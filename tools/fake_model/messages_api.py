"""The Messages API as Claude Code speaks it: reading a request, streaming an answer. Pure.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from tools.fake_model.plays import (
    Asked,
    Await,
    Delegate,
    Purpose,
    Refuse,
    Say,
    Shell,
    Stall,
    named_play,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.fake_model.plays import Step, Usage

SUMMARY_WANTED = "an <analysis> block followed by a <summary> block"
"""In the last message of a compaction (2.1.329)."""


def understand(request: dict[str, Any]) -> Asked:
    """Return what is asked for; a request that offers no tools is about the talk, not of it."""
    model = request["model"]
    messages = request["messages"]
    if not request.get("tools"):
        return Asked(model, Purpose.TITLE)
    if any(SUMMARY_WANTED in _text_of(message) for message in messages[-2:]):
        return Asked(model, Purpose.COMPACTION)
    answered = 0
    for message in reversed(messages):
        if message["role"] == "assistant":
            answered += 1
        elif message["role"] == "user" and (play := named_play(_text_of(message))):
            return Asked(model, Purpose.TURN, play, answered)
    return Asked(model, Purpose.TURN)


def _text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block.get("type") == "text")


def answer(step: Step, usage: Usage, request: dict[str, Any], number: int) -> Iterator[bytes]:
    """Yield the events of an answer, one at a time; one that stalls stops after a few words."""
    message = {
        "id": f"msg_fake{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(usage, 1),
    }
    yield _event({"type": "message_start", "message": message})
    yield from _block(step, number)
    if isinstance(step, Stall):
        return
    reason = "end_turn" if isinstance(step, Say) else "tool_use"
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": _usage(usage, usage.output)})
    yield _event({"type": "message_stop"})


def refusal(status: int, number: int) -> dict[str, Any]:
    """Return the body of an error."""
    error = {"type": "invalid_request_error", "message": f"fake {status}"}
    return {"type": "error", "error": error, "request_id": f"req_fake{number:06d}"}


def _block(step: Step, number: int) -> Iterator[bytes]:
    match step:
        case Say(text):
            yield from _content({"type": "text", "text": ""}, "text", "text", text)
        case Shell(command):
            arguments = {"command": command, "description": "a command of the play"}
            yield from _tool("Bash", arguments, number)
        case Delegate(play, in_background):
            arguments = {"description": "a part of the play", "prompt": f"play:{play}"}
            chosen = {"subagent_type": "general-purpose", "run_in_background": in_background}
            yield from _tool("Agent", arguments | chosen, number)
        case Await():  # Claude Code waits by itself: what it would have done now comes next.
            yield from _tool("Bash", {"command": "true", "description": "nothing"}, number)
        case Stall():
            *words, _ = _content({"type": "text", "text": ""}, "text", "text", "words " * 20)
            yield from words
        case Refuse():
            raise ValueError(f"{step} has no content")
        case _:
            assert_never(step)


def _tool(name: str, arguments: dict[str, Any], number: int) -> Iterator[bytes]:
    block = {"type": "tool_use", "id": f"toolu_fake{number:06d}", "name": name, "input": {}}
    yield from _content(block, "input_json", "partial_json", json.dumps(arguments))


def _content(block: dict[str, Any], kind: str, field: str, value: str) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": f"{kind}_delta", field: value}
    yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _event({"type": "content_block_stop", "index": 0})


def _usage(usage: Usage, output: int) -> dict[str, Any]:
    return {
        "input_tokens": usage.fresh,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
