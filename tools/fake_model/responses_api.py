"""The Responses API as Codex speaks it: reading a request, streaming an answer. Pure.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
import re
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

SUMMARY_WANTED = "CONTEXT CHECKPOINT COMPACTION"
"""In the last item of a compaction (0.169)."""
AGENTS = "multi_agent_v1"
THREAD_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def understand(request: dict[str, Any]) -> Asked:
    """Return what is asked for; a request that offers no tools is about the talk, not of it."""
    model = request["model"]
    items = request["input"]
    if items and SUMMARY_WANTED in _text_of(items[-1]):
        return Asked(model, Purpose.COMPACTION)
    if not request.get("tools"):
        return Asked(model, Purpose.TITLE)
    answered = 0
    for item in reversed(items):
        if item.get("type") == "function_call" or item.get("role") == "assistant":
            answered += 1
        elif item.get("role") == "user" and (play := named_play(_text_of(item))):
            return Asked(model, Purpose.TURN, play, answered)
    return Asked(model, Purpose.TURN)


def _text_of(item: dict[str, Any]) -> str:
    return "\n".join(part.get("text", "") for part in item.get("content") or [])


def answer(step: Step, usage: Usage, request: dict[str, Any], number: int) -> Iterator[bytes]:
    """Yield the events of an answer, one at a time; one that stalls has only the first."""
    response = {"id": f"resp_fake{number:06d}", "object": "response", "model": request["model"]}
    begun = {**response, "status": "in_progress", "output": []}
    yield _event({"type": "response.created", "response": begun})
    if isinstance(step, Stall):
        return
    item = _item(step, request, number)
    yield _event({"type": "response.output_item.added", "output_index": 0, "item": item})
    yield _event({"type": "response.output_item.done", "output_index": 0, "item": item})
    done = {**response, "status": "completed", "output": [item], "usage": _usage(usage)}
    yield _event({"type": "response.completed", "response": done})


def refusal(status: int, number: int) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"type": "invalid_request_error", "message": f"fake {status} ({number})"}}


def _item(step: Step, request: dict[str, Any], number: int) -> dict[str, Any]:
    match step:
        case Say(text):
            part = {"type": "output_text", "text": text, "annotations": []}
            own = {"id": f"msg_fake{number:06d}", "role": "assistant", "status": "completed"}
            return {"type": "message", **own, "content": [part]}
        case Shell(command):
            return _call("exec_command", {"cmd": command}, number)
        case Delegate(play):
            return _call("spawn_agent", {"message": f"play:{play}"}, number, AGENTS)
        case Await():
            return _call("wait_agent", {"targets": [_latest_agent(request)]}, number, AGENTS)
        case Refuse() | Stall():
            raise ValueError(f"{step} has no content")
        case _:
            assert_never(step)


def _latest_agent(request: dict[str, Any]) -> str:
    outputs = [item for item in request["input"] if item.get("type") == "function_call_output"]
    thread_ids = THREAD_ID.findall(json.dumps(outputs[-1]["output"]))
    return str(thread_ids[-1])


def _call(name: str, arguments: dict[str, Any], number: int, namespace: str = "") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_fake{number:06d}",
        "call_id": f"call_fake{number:06d}",
        "name": name,
        "arguments": json.dumps(arguments),
        "status": "completed",
        **({"namespace": namespace} if namespace else {}),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
