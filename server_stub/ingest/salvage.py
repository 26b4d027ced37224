"""What is kept of a ping whose body is no JSON object and no form: its text. Pure.

Wrappers of jobs send whatever the job printed, in whatever encoding, cut wherever it was full. The
run is recorded all the same: its body is the field `output_tail`, bounded, with a warning.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from server_stub.domain.problem import ProblemError
from server_stub.ingest.decode import (
    FORM,
    MAX_FIELDS,
    REPLACED,
    REPLACEMENT,
    Payload,
    clean_object,
    decode,
    fields_of_query,
    is_form,
    media_type,
    without_odd_numbers,
)
from telemhq_agents.contract.ping import LONGEST_TAIL, OUTPUT_TAIL

TEXT = "text/plain"
NOT_UTF8 = "what is not UTF-8 in this ping was replaced by U+FFFD"
SHORTENED = f"of the body only the end was kept, as {OUTPUT_TAIL}"


class Decoded(NamedTuple):
    """The payload of a ping and what had to be done to it; `is_text`: its body was kept as text."""

    payload: Payload
    warnings: tuple[str, ...]
    is_text: bool = False


def salvage(
    body: bytes, content_type: str, query: bytes, said: str, *, told: bool = True
) -> Decoded:
    """Return what can be kept of a ping that `decode` refused; `said` is why.

    The sender is warned that the body became text, unless it is not to be `told`.
    """
    repaired = _repaired(body, content_type)
    if repaired is None:
        return as_text(body, query, said if told else "")
    payload = clean_object(fields_of_query(query) | repaired)
    return Decoded(payload, (f"{said}: what could be read was kept",))


def as_text(body: bytes, query: bytes, said: str = "", *, was_cut: bool = False) -> Decoded:
    """Return a payload of the query's fields and the end of the body as text."""
    text, warnings = _tail_of(body, was_cut=was_cut)
    why = (f"the body was kept as text ({OUTPUT_TAIL}): {said}",) if said else ()
    payload = clean_object(fields_of_query(query)) | {OUTPUT_TAIL: text}
    return Decoded(payload, (*why, *warnings), is_text=True)


def _repaired(body: bytes, content_type: str) -> Payload | None:
    """Return the fields of a body of which some bytes are no UTF-8 or some numbers are none of JSON.

    None where it has no fields.
    """
    whole = body.decode(errors="replace").encode()
    form = whole.strip()
    # A form may spell such bytes with percent signs.
    if media_type(content_type) == FORM and is_form(form) and form.count(b"&") < MAX_FIELDS:
        return fields_of_query(form)
    try:
        return decode(whole, content_type, b"")[0]
    except ProblemError:
        return without_odd_numbers(whole)


def _tail_of(body: bytes, *, was_cut: bool) -> tuple[str, tuple[str, ...]]:
    """Return the end of a body as text that any database holds, and warnings."""
    body = body.rstrip()
    end = body[-LONGEST_TAIL:]
    warnings: list[str] = []
    if was_cut or len(end) < len(body):
        warnings.append(SHORTENED)
        end = _from_a_character(end)
    text = end.decode(errors="replace")
    if text.encode() != end:
        warnings.append(NOT_UTF8)
    if "\0" in text:
        warnings.append(REPLACED)
        text = text.replace("\0", REPLACEMENT)
    return text, tuple(warnings)


def _from_a_character(cut: bytes) -> bytes:
    """Leave out the rest of a character that was cut through."""
    for start in range(min(4, len(cut))):
        if cut[start] & 0xC0 != 0x80:  # noqa: PLR2004 - UTF-8's mark of a byte that goes on
            return cut[start:]
    return cut


def shortened(payload: Payload, limit: int) -> Payload | None:
    """Return the payload with as much of the end of its text as `limit` bytes of JSON hold.

    None where it is too large without any text.
    """
    text = payload[OUTPUT_TAIL]
    if _size(payload | {OUTPUT_TAIL: ""}) > limit:
        return None
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = _size(payload | {OUTPUT_TAIL: text[-middle:]}) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    return payload | {OUTPUT_TAIL: text[len(text) - low :]}


def _size(payload: Payload) -> int:
    return len(msgspec.json.encode(payload))
