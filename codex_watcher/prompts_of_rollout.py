"""The prompts in a rollout: what a person asked, not what an agent ordered of another. Pure.

Up to 0.149 a prompt is a `user_message`; after that a completed item of the kind `UserMessage`, which
names its own thread. A fork begins with a copy of its parent's lines under new times: a copied prompt
has the id of its turn or item, and so the key of the original.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from telemhq_agents import clock
from telemhq_agents.privacy import repository_name
from telemhq_agents.prompt_log import Prompt
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKS = (
    b'"session_meta"',
    b'"turn_context"',
    b'"task_started"',
    b'"turn_started"',
    b'"user_message"',
    b'"UserMessage"',
)
KEY_DIGITS = 24


class _Payload(msgspec.Struct):
    type: Any = None
    id: str | None = None
    session_id: str | None = None
    thread_id: str | None = None
    turn_id: str | None = None
    cwd: str | None = None
    source: Any = None
    git: Any = None
    message: Any = None
    item: Any = None


class _Line(msgspec.Struct):
    timestamp: str = ""
    type: str = ""
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _State(msgspec.Struct):
    """Where the reading of one rollout stands. `root` is the thread whose lines it began with."""

    thread: str = ""
    session: str = ""
    root: str = ""
    is_ordered: bool = False
    cwd: str = ""
    repository: str = ""
    turn: str = ""
    in_turn: int = 0
    in_all: int = 0


_decoder = msgspec.json.Decoder(_Line)


def prompts_in(
    lines: Iterable[bytes], state: dict[str, Any]
) -> tuple[list[Prompt], dict[str, Any]]:
    """Return the prompts in these lines, and where the reading stands after them."""
    reading = _Reading(msgspec.convert(state, _State))
    for data in lines:
        if any(mark in data for mark in _MARKS):
            reading.take(data)
    return reading.found, msgspec.to_builtins(reading.state)


class _Reading:
    def __init__(self, state: _State) -> None:
        self.state = state
        self.found: list[Prompt] = []

    def take(self, data: bytes) -> None:
        """Take one line; what cannot be understood holds no prompt."""
        try:
            line = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        said = line.payload
        match line.type, said.type:
            case "session_meta", _:
                self._begin(said)
            case "turn_context", _:
                self.state.cwd = said.cwd or self.state.cwd
                self._turn(said.turn_id)
            case "event_msg", "task_started" | "turn_started":
                self._turn(said.turn_id)
            case "event_msg", "user_message":
                self._asked(line, _text(said.message))
            case "event_msg", "item_completed":
                self._completed(line, said)

    def _begin(self, meta: _Payload) -> None:
        self.state.root = meta.id or self.state.root
        if self.state.thread:
            return  # a copy of a parent's
        self.state.thread = meta.id or ""
        self.state.session = meta.session_id or self.state.thread
        self.state.is_ordered = isinstance(meta.source, dict) and "subagent" in meta.source
        self.state.cwd = meta.cwd or ""
        remote = meta.git.get("repository_url") if isinstance(meta.git, dict) else None
        self.state.repository = repository_name(remote) if isinstance(remote, str) else ""

    def _turn(self, turn: str | None) -> None:
        if turn and turn != self.state.turn:
            self.state.turn, self.state.in_turn = turn, 0

    def _completed(self, line: _Line, said: _Payload) -> None:
        item = said.item if isinstance(said.item, dict) else {}
        if item.get("type") != "UserMessage" or said.thread_id != self.state.thread:
            return
        text = "\n".join(filter(None, map(_text, _listed(item.get("content")))))
        name = item.get("id")
        self._asked(line, text, name if isinstance(name, str) else "")

    def _asked(self, line: _Line, text: str, name: str = "") -> None:
        state = self.state
        state.in_turn += 1
        state.in_all += 1
        if not text.strip() or state.is_ordered:
            return
        place = (state.turn, state.in_turn) if state.turn else (state.root, state.in_all)
        key = _digest(name) if name else _digest(*place, text)
        at_ms = clock.told_ms(line.timestamp)
        self.found.append(
            Prompt(key, at_ms, Source.CODEX, state.session, state.cwd, state.repository, text)
        )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("text") if value.get("type") == "text" else f"[{value.get('type')}]"
    return value if isinstance(value, str) else ""


def _digest(*parts: object) -> str:
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:KEY_DIGITS]
