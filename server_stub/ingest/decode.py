"""From the bytes of a ping to its payload: one dict, or one clear problem. Pure.

JSON, form fields and query parameters all become fields of the payload; on a clash the body wins
over the query, and of a name given twice the last one counts. What is not understood here is kept
as text by salvage.py.
"""

from __future__ import annotations

import json
import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl

import msgspec

from server_stub.domain.problem import ProblemError
from telemhq_agents.contract.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 64
MAX_FIELDS = 1000
MAX_DIGITS = 1000
FORM = "application/x-www-form-urlencoded"
JSON_TYPES = frozenset({"", "application/json", "text/json", "text/plain"})
FORM_BODY = re.compile(rb"&*+(?:[\w.\-\[\]%+*~]{1,200}+(?:=[^&\r\n]*+)?+(?:&++|\Z))++\Z", re.ASCII)
"""What senders of forms write; a job's output, which curl calls a form as well, seldom fits."""

REPLACEMENT = "\ufffd"
REPLACED = "characters that no text may hold (NUL, half a surrogate pair) were replaced by U+FFFD"

Payload = dict[str, Any]


def decode(body: bytes, content_type: str, query: bytes) -> tuple[Payload, tuple[str, ...]]:
    """Return the payload that a ping carries, and warnings about what had to be replaced.

    Raises ProblemError: 400 for what cannot be read, 415 for a kind of body that is not understood.
    """
    payload, whole = _body(body, content_type) if body else ({}, True)
    if query:
        payload = _fields(query, "query") | payload
    if whole and b"\\u0000" not in body and b"%00" not in query and b"%00" not in body:
        return payload, ()
    clean = clean_object(payload)
    return clean, () if clean == payload else (REPLACED,)


def _body(body: bytes, content_type: str) -> tuple[Payload, bool]:
    """Return the body's fields; False when some of their characters must be replaced."""
    text = body.strip()
    if not text:
        return {}, True
    kind = media_type(content_type)
    may_be_json = looks_like_json(text)
    if kind == FORM and not may_be_json:
        if not is_form(text):
            raise _malformed("the body does not look like form fields", "send a=1&b=2, or JSON")
        return _fields(text, "body"), b"\0" not in text
    if may_be_json or kind in JSON_TYPES or kind.endswith("+json"):
        return _json(body)
    raise ProblemError(
        Problem(
            type="unsupported-media-type",
            title="This kind of body is not understood",
            status=415,
            detail=f"the body is {kind!r} and does not look like JSON",
            next=f"send a JSON object (application/json) or form fields ({FORM})",
        )
    )


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def looks_like_json(text: bytes) -> bool:
    """Tell whether a text begins like a JSON object or list, or with a byte order mark."""
    return text[:1] in {b"{", b"["} or text.startswith(b"\xef\xbb\xbf")


def is_form(text: bytes) -> bool:
    """Tell whether a text looks like `a=1&b=2`."""
    return b"=" in text and FORM_BODY.match(text) is not None


def _json(text: bytes) -> tuple[Payload, bool]:
    _refuse_depth(text)
    try:
        value, whole = msgspec.json.decode(text), True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # The strict reader is slower and says where it stumbled; it also takes what the fast one
        # does not: a byte order mark and half a surrogate pair.
        value, whole = _json_slowly(text), False
    if not isinstance(value, dict):
        raise _malformed(f"the body is {_kind_of(value)}, not a JSON object", "send {...}")
    return value, whole


def _json_slowly(text: bytes) -> object:
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed(
            f"byte {error.start} of the body is not UTF-8", "encode the body as UTF-8"
        ) from error
    try:
        return json.loads(
            decoded, parse_constant=_not_json, parse_float=_finite, parse_int=_bounded
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"the body is broken JSON at {where}: {error.msg}", "send JSON") from error
    except (ValueError, RecursionError) as error:
        raise _malformed(f"the body is not JSON: {error}", "send JSON") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _bounded(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long")
    return int(text)


def without_odd_numbers(text: bytes) -> Payload | None:
    """Read a JSON object with null for the numbers that JSON or a database has not: NaN, 1e999.

    None where it is broken in another way.
    """
    try:
        _refuse_depth(text)
        value = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=lambda _: None,
            parse_float=partial(_or_null, _finite),
            parse_int=partial(_or_null, _bounded),
        )
    except (ValueError, RecursionError, ProblemError):
        return None
    return value if isinstance(value, dict) else None


def _or_null(read: Callable[[str], float], text: str) -> float | None:
    try:
        return read(text)
    except ValueError:
        return None


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number; leave the field out")


def fields_of_query(query: bytes) -> Payload:
    """Return what a query tells, whatever it is made of: its first fields, in UTF-8 as far as it is.

    Characters that no text may hold are not replaced yet.
    """
    pairs = parse_qsl(
        b"&".join(query.split(b"&", MAX_FIELDS)[:MAX_FIELDS]).decode(errors="replace"),
        keep_blank_values=True,
        errors="replace",
    )
    return dict(pairs)


def _fields(text: bytes, place: str) -> Payload:
    """Read `a=1&b=2`, percent-encoded UTF-8."""
    try:
        pairs = parse_qsl(
            text.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except UnicodeDecodeError as error:
        raise _malformed(f"the {place} is not UTF-8", "percent-encode it as UTF-8") from error
    except ValueError as error:
        raise _malformed(
            f"the {place} holds more than {MAX_FIELDS} fields", "send fewer of them"
        ) from error
    return dict(pairs)


def _refuse_depth(text: bytes) -> None:
    """Refuse nesting that readers of the stored payload would stumble over."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return
    depth = deepest = 0
    for step in _steps(text):
        depth += step
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise _malformed(
            f"the body nests objects and lists more than {MAX_DEPTH} deep", "send a flatter object"
        )


def _steps(text: bytes) -> list[int]:
    """Return +1 and -1 for every bracket that opens and closes outside of strings."""
    steps: list[int] = []
    inside = escaped = False
    for byte in text:
        if inside:
            inside = byte != QUOTE or escaped
            escaped = byte == BACKSLASH and not escaped
        elif byte == QUOTE:
            inside = True
        elif byte in OPENING:
            steps.append(1)
        elif byte in CLOSING:
            steps.append(-1)
    return steps


QUOTE, BACKSLASH = b'"\\'
OPENING, CLOSING = frozenset(b"{["), frozenset(b"}]")


def clean_object(payload: Payload) -> Payload:
    """Replace the characters that no text may hold, in names and values."""
    return {_clean_text(name): _clean(value) for name, value in payload.items()}


def _clean(value: object) -> object:
    match value:
        case str():
            return _clean_text(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return clean_object(value)
        case _:
            return value


def _clean_text(text: str) -> str:
    """Replace what UTF-8 or PostgreSQL cannot hold."""
    whole = text.replace("\0", REPLACEMENT)
    if whole.isascii():
        return whole
    return "".join(REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in whole)


def _kind_of(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a string"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number"


def _malformed(detail: str, step: str) -> ProblemError:
    return ProblemError(
        Problem(
            type="malformed-body",
            title="The ping cannot be read",
            status=400,
            detail=detail,
            next=step,
        )
    )
