"""One line of a transcript, as far as counting needs it. Pure.

A line is parsed whole, by a typed decoder that passes over what it was not asked for; what does not
fit its types is read by hand. No version may lose a line by writing it another way.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

import msgspec

from telemhq_agents.usage import MOST_TOKENS, failure_kind

SYNTHETIC_MODEL = "<synthetic>"


Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
"""Any other figure takes the line to the slow road: below zero is none, above is damage."""


class CacheCreation(msgspec.Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: Count | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What a reply cost, as the API names it: `input_tokens` excludes cache reads and writes."""

    input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    model: str | None = None
    id: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    stop_reason: str | None = None
    usage: Usage | None = None


class Spent(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a session says that it used of one model so far; `input_tokens` excludes the cache."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    thinking_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_creation_5m_input_tokens: Count = msgspec.field(
        default=0, name="cacheCreationEphemeral5mInputTokens"
    )
    cache_creation_1h_input_tokens: Count = msgspec.field(
        default=0, name="cacheCreationEphemeral1hInputTokens"
    )


class Line(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A line with its top-level keys; whatever may be missing in some version is optional.

    The keys of a reply come first, in the order in which versions write them: the decoder looks for
    each where the one before was.
    """

    is_sidechain: bool | None = None
    cwd: str | None = None
    session_id: str | None = None
    version: str | None = None
    prompt_id: str | None = None
    message: Message | None = None
    requested_model: str | None = None
    type: str | None = None
    uuid: str | None = None
    timestamp: str | None = None
    request_session_id: str | None = None
    tool_use_result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    subtype: str | None = None
    prompt_source: str | None = None
    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    is_api_error_message: bool | None = None
    is_aborted_mid_stream: bool | None = None
    error: msgspec.Raw = msgspec.Raw()
    api_error_type: msgspec.Raw = msgspec.Raw()
    duration_ms: int | float | None = None
    model_usage: dict[str, Spent] | None = None
    content: msgspec.Raw = msgspec.Raw()


class BadLineError(ValueError):
    """The line is no JSON object, whole or in part."""


UNREAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that the typed decoder raises."""
typed = msgspec.json.Decoder(Line).decode
"""Reads a line as all known versions write it, the quickest way. Raises UNREAD on any other."""
_anything = msgspec.json.Decoder()
_untyped = msgspec.json.Decoder(dict[str, msgspec.Raw])

LATER_WRITE = re.compile(rb'\{"(?:parentUuid|type)":')
"""How a line begins that can matter, wherever a torn one stands before it."""

OPENING_BYTES = 128
"""No notice that tells what kind a line is has a longer beginning."""
_MOST_WRITES = 4096
_HALF_CHARACTER = b"\\ud"


def decode(data: bytes) -> Line:
    """Read one line. Raises BadLineError."""
    try:
        return typed(data)
    except UNREAD:
        return _by_hand(data)


def last_write(data: bytes) -> bytes | None:
    """Return what a later writer put behind a line that its writer never finished, if anything."""
    # Only one start leads to an object that ends where the line does: the nested ones end before.
    starts = [match.start() for match in LATER_WRITE.finditer(data)][-_MOST_WRITES:]
    return next((data[at:] for at in reversed(starts) if at and _is_whole(data[at:])), None)


def opening_of(line: Line) -> str | None:
    """Return how the text of a user line begins, "" where it has none; None for a tool's result.

    Of a long text, so much as tells what kind of line it is.
    """
    if line.tool_use_result is not msgspec.UNSET:
        return None
    if line.message is None:
        return ""
    content = bytes(line.message.content)
    start = content[1:OPENING_BYTES]
    is_long_text = content.startswith(b'"') and len(content) > OPENING_BYTES
    if is_long_text and start.isascii() and b"\\" not in start:
        return start.decode("ascii")
    blocks = _blocks(content)
    is_one = any(isinstance(each, dict) and each.get("type") == "tool_result" for each in blocks)
    return None if is_one else _first_text(blocks)


def text_of(line: Line) -> str:
    """Return the whole text that a user line begins with, "" for a tool's result."""
    return _first_text(_blocks(bytes(line.message.content))) if line.message else ""


def text_of_queued(line: Line) -> str:
    """Return the text that a queued prompt begins with, "" where the line tells of none."""
    return _first_text(_blocks(bytes(line.content)))


def error_of(line: Line) -> str:
    """Return the kind of API error that a line tells of, "" where it names none in a plain word."""
    told = (line.error, line.api_error_type)
    return next(filter(None, (failure_kind(_content(bytes(each))) for each in told)), "")


def _first_text(blocks: list[Any]) -> str:
    first = blocks[0] if blocks and isinstance(blocks[0], dict) else {}
    match first.get("type"):
        case "text":
            return str(first.get("text") or "")
        case "image" | "document":
            return f"[{first['type']}]"
        case _:
            return ""


def _blocks(raw: bytes) -> list[Any]:
    content = _content(raw)
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _content(raw: bytes) -> object:
    if not raw:
        return ""
    try:
        return _anything.decode(raw)
    except UNREAD:
        return _parsed(raw)


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
    for key in {"content", "error", "apiErrorType"} & found.keys():
        kept[key] = msgspec.Raw(json.dumps(found[key]).encode())
    kept["modelUsage"] = _spent(found.get("modelUsage"))
    names = {field.encode_name: field.name for field in msgspec.structs.fields(Line)}
    return Line(**{names[key]: value for key, value in kept.items()})


def _object(data: bytes) -> dict[str, Any]:
    found = _parsed(data)
    if not isinstance(found, dict):
        raise BadLineError("not an object")
    return found


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data.decode("utf-8", "replace"), parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise BadLineError(str(error)) from error


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


def _spent(found: object) -> dict[str, Spent] | None:
    try:
        told = msgspec.convert(found, dict[str, Spent] | None)
    except msgspec.ValidationError:
        return None
    return told and {_characters(model): spent for model, spent in told.items()}


def _characters(text: str) -> str:
    """Half a surrogate pair is no character, and nothing that stores text takes it."""
    return text.encode("utf-8", "replace").decode()


def _count(found: object, key: str) -> int | None:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if value > MOST_TOKENS:
        raise BadLineError("more tokens than there can be")
    return max(0, int(value))


def _kept(found: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the plain values whose kind is the one that the structure asks for."""
    kept = {}
    for field in msgspec.structs.fields(kind):
        value = found.get(field.encode_name)
        if isinstance(value, dict | list):
            continue
        whole = _characters(value) if isinstance(value, str) else value
        try:
            kept[field.encode_name] = msgspec.convert(whole, field.type)
        except msgspec.ValidationError:
            continue
    return kept


def _is_whole(data: bytes) -> bool:
    try:
        _untyped.decode(data)
    except UNREAD:
        return _HALF_CHARACTER in data and _is_whole_by_hand(data)
    return True


def _is_whole_by_hand(data: bytes) -> bool:
    try:
        _object(data)
    except BadLineError:
        return False
    return True
