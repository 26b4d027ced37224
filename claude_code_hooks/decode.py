"""One line of a transcript, as far as counting needs it. Pure.

Most bytes of a transcript are tool output, and a reply's usage stands behind its content, so most
of them need no parsing. Each short cut here must prove itself on the line at hand; where it does
not fit, because a version moved a key, the whole line is parsed instead. None may lose a line.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

SYNTHETIC_MODEL = "<synthetic>"


class CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """What a reply cost, as the API names it: `input_tokens` excludes cache reads and writes."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None


class Message(msgspec.Struct, frozen=True):
    role: str | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    content: msgspec.Raw = msgspec.Raw()


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """A line with its top-level keys; whatever may be missing in some version is optional."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    timestamp: str | None = None
    session_id: str | None = None
    request_session_id: str | None = None
    version: str | None = None
    cwd: str | None = None
    is_sidechain: bool | None = None
    prompt_id: str | None = None
    prompt_source: str | None = None
    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    is_api_error_message: bool | None = None
    is_aborted_mid_stream: bool | None = None
    duration_ms: int | float | None = None
    tool_use_result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    message: Message | None = None
    content: msgspec.Raw = msgspec.Raw()


class BadLineError(ValueError):
    """The line is no JSON object, whole or in part."""


_typed = msgspec.json.Decoder(Line)
_untyped = msgspec.json.Decoder(dict[str, Any])

_TOOL_RESULT = re.compile(
    rb'\{(?:(?!"message")"[A-Za-z_]+":(?:"[^"\\]*"|null|true|false|\d+),)*+'
    rb'"message":\{"role":"user","content":\[\{(?:"tool_use_id":"[^"\\]*",)?"type":"tool_result"'
)
_CONTENT = re.compile(
    rb'\{(?:(?!"message")"[A-Za-z_]+":(?:"[^"\\]*"|null|true|false|\d+),)*+'
    rb'"message":\{(?:(?!"content")"[a-z_]+":(?:"[^"\\]*"|null),)*+"content":\['
)
_AFTER_CONTENT = b'],"stop_reason":'
_LAST_WRITE = re.compile(rb'\{"(?:parentUuid|type)":')


def matters(data: bytes) -> bool:
    """Tell whether the line can be one that counting needs; false only where it surely is none.

    Inside a JSON string every quote is escaped, so a quoted word is found in no text, only where
    it is a key or a value.
    """
    head = _TOOL_RESULT.match(data)
    if head is not None and b'"type":"user"' in head[0]:
        return False
    if b'"assistant"' in data:
        return True
    if b'"user"' in data:
        return b'"tool_result"' not in data
    if b'"system"' in data:
        return b'"stop_hook_summary"' in data or b'"turn_duration"' in data
    return b'"queue-operation"' in data


def decode(data: bytes) -> Line:
    """Read one line. Raises BadLineError."""
    line = _without_content(data)
    if line is not None:
        return line
    try:
        return _typed.decode(data)
    except msgspec.DecodeError:
        return _by_hand(data)


def last_write(data: bytes) -> bytes | None:
    """Return what a later writer put behind a line that its writer never finished, if anything."""
    starts = [match.start() for match in _LAST_WRITE.finditer(data)]
    return next((data[start:] for start in starts if start and _is_json(data[start:])), None)


def text_of(line: Line) -> str:
    """Return the text that a user line begins with, "" for a tool's result."""
    return _first_text(line.message.content) if line.message else ""


def text_of_queued(line: Line) -> str:
    """Return the text that a queued prompt begins with, "" where the line tells of none."""
    return _first_text(line.content)


def _first_text(raw: msgspec.Raw) -> str:
    content = json.loads(bytes(raw)) if bytes(raw) else ""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    first = blocks[0] if blocks and isinstance(blocks[0], dict) else {}
    match first.get("type"):
        case "text":
            return str(first.get("text") or "")
        case "image" | "document":
            return f"[{first['type']}]"
        case _:
            return ""


def _without_content(data: bytes) -> Line | None:
    """Read a reply past its content, where the line has the one shape in which that is safe."""
    head = _CONTENT.match(data)
    if head is None:
        return None
    after = data.rfind(_AFTER_CONTENT)
    if after < head.end() or data.find(_AFTER_CONTENT, head.end(), after) >= 0:
        return None
    try:
        line = _typed.decode(head[0] + data[after:])
    except msgspec.DecodeError:
        return None
    message = line.message
    is_whole = line.type == "assistant" and line.uuid and message and message.usage
    return line if is_whole else None


def _by_hand(data: bytes) -> Line:
    """Read a line with half a surrogate pair in it, or a value of a kind no known version wrote."""
    found = _object(data)
    message = found.get("message")
    kept = {**_kept(found, Line), "toolUseResult": msgspec.UNSET, "message": None}
    if "toolUseResult" in found:
        kept["toolUseResult"] = msgspec.Raw(b"{}")
    if isinstance(message, dict):
        content = msgspec.Raw(json.dumps(message.get("content", "")).encode())
        inner = {**_kept(message, Message), "usage": _usage(message.get("usage"))}
        kept["message"] = Message(**{**inner, "content": content})
    kept["content"] = msgspec.Raw(json.dumps(found.get("content", "")).encode())
    names = {field.encode_name: field.name for field in msgspec.structs.fields(Line)}
    return Line(**{names[key]: value for key, value in kept.items()})


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8", "replace"), parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise BadLineError(str(error)) from error
    if not isinstance(found, dict):
        raise BadLineError("not an object")
    return found


def _usage(found: object) -> Usage | None:
    if not isinstance(found, dict):
        return None
    writes, details = found.get("cache_creation"), found.get("output_tokens_details")
    return Usage(
        input_tokens=_count(found, "input_tokens"),
        cache_creation_input_tokens=_count(found, "cache_creation_input_tokens"),
        cache_read_input_tokens=_count(found, "cache_read_input_tokens"),
        output_tokens=_count(found, "output_tokens"),
        cache_creation=CacheCreation(
            _count(writes, "ephemeral_5m_input_tokens"), _count(writes, "ephemeral_1h_input_tokens")
        ),
        output_tokens_details=OutputDetails(_count(details, "thinking_tokens")),
    )


def _count(found: object, key: str) -> int | None:
    value = found.get(key) if isinstance(found, dict) else None
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _kept(found: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the plain values whose kind is the one that the structure asks for."""
    kept = {}
    for field in msgspec.structs.fields(kind):
        value = found.get(field.encode_name)
        if isinstance(value, dict | list):
            continue
        if isinstance(value, str):
            # Half a pair is no character, and nothing that stores text takes it.
            value = value.encode("utf-8", "replace").decode()
        try:
            kept[field.encode_name] = msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
    return kept


def _is_json(data: bytes) -> bool:
    try:
        _object(data)
    except BadLineError:
        return False
    return True
