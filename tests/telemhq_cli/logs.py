"""Small logs as the two agents write them, with times of our choosing."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def iso(ms: int) -> str:
    return (
        datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
    )


class CodexSession:
    """One rollout that grows turn by turn."""

    def __init__(self, home: Path, at_ms: int) -> None:
        self.thread = str(uuid.uuid4())
        day = datetime.fromtimestamp(at_ms / 1000, UTC)
        folder = home / "sessions" / day.strftime("%Y/%m/%d")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"rollout-{day.strftime('%Y-%m-%dT%H-%M-%S')}-{self.thread}.jsonl"
        self._ordinal = 0
        meta = {
            "session_id": self.thread,
            "id": self.thread,
            "timestamp": iso(at_ms),
            "cwd": "/srv/made-up/billing",
            "originator": "codex_exec",
            "cli_version": "0.169.0",
            "source": "exec",
            "model_provider": "openai",
            "history_mode": "paginated",
        }
        self._write(at_ms, "session_meta", meta)

    def turn(self, at_ms: int, input_tokens: int, output_tokens: int) -> None:
        turn, response = str(uuid.uuid4()), f"resp_{uuid.uuid4().hex}"
        usage = {
            "input_tokens": input_tokens,
            "cached_input_tokens": 0,
            "output_tokens": output_tokens,
            "reasoning_output_tokens": 0,
            "total_tokens": input_tokens + output_tokens,
        }
        self._write(at_ms, "event_msg", {"type": "task_started", "turn_id": turn})
        context = {"turn_id": turn, "cwd": "/srv/made-up/billing", "model": "gpt-5.4"}
        self._write(at_ms, "turn_context", context)
        ids = {"thread_id": self.thread, "turn_id": turn, "session_id": self.thread}
        record = {**ids, "response_id": response, "usage": usage}
        self._write(at_ms + 500, "token_usage_record", record)
        done = {"type": "task_complete", "turn_id": turn, "duration_ms": 900}
        self._write(at_ms + 900, "event_msg", done)

    def _write(self, at_ms: int, kind: str, payload: dict[str, Any]) -> None:
        line = {
            "timestamp": iso(at_ms),
            "ordinal": self._ordinal,
            "type": kind,
            "payload": payload,
        }
        self._ordinal += 1
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class ClaudeSession:
    """One transcript that grows prompt by prompt."""

    def __init__(self, home: Path) -> None:
        self.session = str(uuid.uuid4())
        folder = home / "projects" / "-srv-made-up-billing"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{self.session}.jsonl"

    def prompt(self, at_ms: int, input_tokens: int, output_tokens: int) -> str:
        prompt = str(uuid.uuid4())
        self._write(
            at_ms,
            {
                "type": "user",
                "promptId": prompt,
                "promptSource": "typed",
                "message": {"role": "user", "content": "a made-up prompt"},
            },
        )
        message = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-8",
            "content": [{"type": "text"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
        }
        self._write(at_ms + 500, {"type": "assistant", "requestId": "req_1", "message": message})
        return prompt

    def event(self, name: str, prompt: str) -> dict[str, Any]:
        return {
            "hook_event_name": name,
            "session_id": self.session,
            "prompt_id": prompt,
            "transcript_path": str(self.path),
            "cwd": "/srv/made-up/billing",
            "last_assistant_message": "text that must not leave the machine",
        }

    def _write(self, at_ms: int, line: dict[str, Any]) -> None:
        common = {
            "isSidechain": False,
            "uuid": str(uuid.uuid4()),
            "timestamp": iso(at_ms),
            "cwd": "/srv/made-up/billing",
            "sessionId": self.session,
            "version": "2.1.328",
        }
        with self.path.open("a") as file:
            file.write(json.dumps({**common, **line}) + "\n")
