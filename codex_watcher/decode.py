"""One line of a rollout → what it says that matters for counting.

A rollout is mostly prompts, tool output and reasoning. Such lines are told by their first bytes
and never parsed; a line whose beginning is not exactly what Codex writes is parsed whole.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import msgspec

from telemhq_agents import clock
from telemhq_agents.usage import MOST_TOKENS

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=2**40)]


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """Token counts as Codex writes them: cache inside input, reasoning inside output."""

    input_tokens: Count = 0
    cached_input_tokens: Count = 0
    cache_write_input_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_output_tokens: Count = 0


class Git(msgspec.Struct, frozen=True, gc=False):
    repository_url: str | None = None


class SessionMeta(msgspec.Struct, frozen=True, gc=False):
    """The first line; further ones are copies of a parent's."""

    id: str
    session_id: str | None = None
    forked_from_id: str | None = None
    parent_thread_id: str | None = None
    source: Any = None
    cwd: str | None = None
    cli_version: str | None = None
    model_provider: str | None = None
    history_mode: str | None = None
    history_base: dict[str, Any] | None = None
    git: Git | None = None


class TurnContext(msgspec.Struct, frozen=True, gc=False):
    """Written once per turn, or per model request up to 0.98, which has no turn id."""

    turn_id: str | None = None
    model: str | None = None
    cwd: str | None = None


class UsageRecord(msgspec.Struct, frozen=True, gc=False):
    """`token_usage_record`: one model response, since 0.153."""

    usage: Tokens
    thread_id: str | None = None
    turn_id: str | None = None
    response_id: str | None = None
    thread_token_usage: Tokens | None = None


class TokenInfo(msgspec.Struct, frozen=True, gc=False):
    total_token_usage: Tokens
    last_token_usage: Tokens


class TokenCount(msgspec.Struct, frozen=True, gc=False):
    """`token_count`: the running total; `info` is missing where only rate limits are told."""

    info: TokenInfo | None = None


class TaskStarted(msgspec.Struct, frozen=True, gc=False):
    turn_id: str | None = None


class TaskComplete(msgspec.Struct, frozen=True, gc=False):
    """`started_at` and `error` are written since 0.145, `duration_ms` since 0.131."""

    turn_id: str | None = None
    last_agent_message: str | None = None
    error: Any = None
    started_at: Seconds | None = None
    duration_ms: Milliseconds | None = None


class TurnAborted(msgspec.Struct, frozen=True, gc=False):
    turn_id: str | None = None
    started_at: Seconds | None = None
    duration_ms: Milliseconds | None = None


class UserMessage(msgspec.Struct, frozen=True, gc=False):
    """A person's prompt, up to 0.149. The text is only ever compared, never kept."""

    message: str | None = None


Said: TypeAlias = (
    SessionMeta
    | TurnContext
    | UsageRecord
    | TokenCount
    | TaskStarted
    | TaskComplete
    | TurnAborted
    | UserMessage
)


class Event(msgspec.Struct, frozen=True, gc=False):
    """What one line said, and when it was written: 0 where it tells no plausible time."""

    at_ms: int
    said: Said


class Skipped(Enum):
    """Why a line gave no event: it does not matter here, or it cannot be understood."""

    OTHER = "other"
    BAD = "bad"


Payload = TypeVar("Payload", bound=Said)


class _Line(msgspec.Struct, Generic[Payload], gc=False):
    timestamp: str
    payload: Payload


class _SubType(msgspec.Struct):
    type: str = ""


class _Compacted(msgspec.Struct, rename={"record": "latest_token_usage_record"}):
    record: Any = None


class _Shape(msgspec.Struct):
    timestamp: str = ""
    type: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"")


_KINDS: dict[str, type[Said]] = {
    "session_meta": SessionMeta,
    "turn_context": TurnContext,
    "token_usage_record": UsageRecord,
    "event_msg:token_count": TokenCount,
    "event_msg:task_started": TaskStarted,
    "event_msg:turn_started": TaskStarted,
    "event_msg:task_complete": TaskComplete,
    "event_msg:turn_complete": TaskComplete,
    "event_msg:turn_aborted": TurnAborted,
    "event_msg:user_message": UserMessage,
}
DECODERS: dict[bytes, msgspec.json.Decoder[Any]] = {
    name.encode(): msgspec.json.Decoder(_Line[kind])  # type: ignore[valid-type]  # - a generic, filled in at run time
    for name, kind in _KINDS.items()
}
_SHAPE = msgspec.json.Decoder(_Shape)
_COMPACTED = msgspec.json.Decoder(_Compacted)
_SUB_TYPE = msgspec.json.Decoder(_SubType)
START = b'{"timestamp":"'
"""How Codex begins a line, and how half a line betrays that another one follows it."""

_HEAD = re.compile(
    START
    + rb'(?P<at>[^"\\]+)",(?:"ordinal":\d+,)?"type":"(?P<type>[a-z_]+)",'
    + rb'"payload":\{(?:"type":"(?P<sub>[a-z_]+)")?'
)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(data: bytes) -> Event | Skipped:
    """Return what the line `data` says, or why it is skipped; no line makes this fail."""
    if not data.strip():
        return Skipped.OTHER
    head = _HEAD.match(data)
    name = _name(head) if head and data.find(START, 1) < 0 else None
    if name is None:
        return _decode_whole(data)
    decoder = DECODERS.get(name)
    return Skipped.OTHER if decoder is None else _event(decoder, data)


def holds_record_copy(data: bytes) -> bool:
    """Tell whether a line that gave no event is a compaction's, with a copy of a usage record."""
    if b'"latest_token_usage_record"' not in data:
        return False
    try:
        shape = _SHAPE.decode(data)
        return shape.type == "compacted" and bool(_COMPACTED.decode(shape.payload).record)
    except UNREADABLE:
        return False


def moment(data: bytes) -> int | None:
    """Return when a line of any kind was written, None where it tells no plausible time."""
    head = _HEAD.match(data)
    try:
        text = head["at"].decode() if head else _SHAPE.decode(data).timestamp
    except UNREADABLE:
        return None
    return clock.told_ms(text) or None


def _name(head: re.Match[bytes]) -> bytes | None:
    if head["type"] != b"event_msg":
        return head["type"]
    return b"event_msg:" + head["sub"] if head["sub"] else None


def _decode_whole(data: bytes) -> Event | Skipped:
    try:
        shape = _SHAPE.decode(data)
        name = shape.type
        if name == "event_msg":
            name += ":" + _SUB_TYPE.decode(shape.payload).type
    except UNREADABLE:
        return _decode_last(data)
    decoder = DECODERS.get(name.encode())
    return Skipped.OTHER if decoder is None else _event(decoder, data)


def _decode_last(data: bytes) -> Event | Skipped:
    """Decode what follows half a line: a writer was killed there, and the next one went on."""
    start = data.rfind(START)
    return decode(data[start:]) if start > 0 else Skipped.BAD


def _event(decoder: msgspec.json.Decoder[_Line[Any]], data: bytes) -> Event | Skipped:
    try:
        line = decoder.decode(data)
    except UNREADABLE:
        return Skipped.BAD
    return Event(clock.told_ms(line.timestamp), line.payload)
