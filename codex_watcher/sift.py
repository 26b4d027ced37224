"""The events in a block of whole lines, found without parsing what does not matter.

What a line is stands at a fixed place in its beginning. Where that is not exactly as Codex writes
it, or a block holds one beginning more than lines, `decode` looks at the lines one by one: a form
that this page does not know costs time and is never lost.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import msgspec

from codex_watcher.decode import DECODERS, START, UNREADABLE, Event, Skipped, decode
from telemhq_agents import clock

Kind: TypeAlias = msgspec.json.Decoder[Any] | bool
"""How to read a line, or whether one can pass it over."""

_PASS_OVER, _IS_EVENT = True, False

_TIME_LENGTH = len("2026-11-20T07:35:28.753Z")
_TYPE_AT = len(START) + _TIME_LENGTH + len(b'",')
_TYPE = b'"type":"'
_ORDINAL = b'"ordinal":'
_LONGEST_ORDINAL = len(b'"ordinal":18446744073709551615,')
_TYPE_LENGTH = len(b'"type":"token_usage_record"')
_EVENT = b'"type":"event_msg","payload":{"type":"'
_EVENT_LENGTH = len(_EVENT) - _TYPE_LENGTH + len(b'token_count","')

_OTHER_LINES = (b"response_item", b"compacted", b"world_state", b"inter_agent_communication")
_OTHER_EVENTS = (
    b"agent_message",
    b"agent_reasoning",
    b"agent_reasoning_section_break",
    b"context_compacted",
    b"entered_review_mode",
    b"exited_review_mode",
    b"item_completed",
    b"item_started",
    b"thread_settings_applied",
)


class Sifted(NamedTuple):
    """What a block holds: its events, how many lines, and how many nobody understands."""

    events: list[Event]
    lines: int
    bad_lines: int


def _line_name(name: bytes) -> bytes:
    return (_TYPE + name + b'","payload":{')[:_TYPE_LENGTH]


def _event_name(name: bytes) -> bytes:
    return (_EVENT + name + b'","')[_TYPE_LENGTH:][:_EVENT_LENGTH]


_KINDS: dict[bytes, Kind] = {
    _EVENT[:_TYPE_LENGTH]: _IS_EVENT,
    **{_line_name(name): _PASS_OVER for name in _OTHER_LINES},
    **{_event_name(name): _PASS_OVER for name in _OTHER_EVENTS},
    **{_line_name(name): found for name, found in DECODERS.items() if b":" not in name},
    **{
        _event_name(name.removeprefix(b"event_msg:")): found
        for name, found in DECODERS.items()
        if b":" in name
    },
}


def sift(block: bytes, end: int) -> Sifted:
    """Return what the whole lines of `block` say, the last of which ends before `end`."""
    sifted, beginnings = _sift(block, end)
    if block.count(START, 0, end) == beginnings:
        return sifted
    said = [decode(data) for data in block[: end - 1].split(b"\n")]
    events = [event for event in said if isinstance(event, Event)]
    return Sifted(events, len(said), said.count(Skipped.BAD))


def _sift(block: bytes, end: int) -> tuple[Sifted, int]:
    """Sift lines that hold one beginning each; return also how many such there should be then.

    A first reading comes here for every line there is, hence one function and few calls.
    """
    events: list[Event] = []
    find, begins, known = block.find, block.startswith, _KINDS.get
    lines = bad_lines = strange = start = at_ms = 0
    time = ""
    while start < end:
        lines += 1
        stop = find(b"\n", start)
        kind: Kind | None = None
        if begins(START, start):
            at = start + _TYPE_AT
            kind = known(block[at : at + _TYPE_LENGTH])
            if kind is None and begins(_ORDINAL, at):
                at = _behind_ordinal(block, at)
                kind = known(block[at : at + _TYPE_LENGTH])
            if kind is _IS_EVENT:
                at += _TYPE_LENGTH
                kind = known(block[at : at + _EVENT_LENGTH])
        else:
            strange += block.count(START, start, stop) - 1
        if kind is not True:
            data = block[start:stop]
            line = _typed(data, kind) if kind else None
            if line is None:
                event = decode(data)
                if event is Skipped.BAD:
                    bad_lines += 1
                elif isinstance(event, Event):
                    events.append(event)
            else:
                if line.timestamp != time:
                    time = line.timestamp
                    at_ms = clock.told_ms(time)
                events.append(Event(at_ms, line.payload))
        start = stop + 1
    return Sifted(events, lines, bad_lines), lines + strange


def _behind_ordinal(block: bytes, at: int) -> int:
    """Return where the line's type begins, or where its ordinal did if that is no number."""
    digits = at + len(_ORDINAL)
    comma = block.find(b",", digits, at + _LONGEST_ORDINAL)
    return comma + 1 if block[digits:comma].isdigit() else at


def _typed(data: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:  # noqa: ANN401 - one of the decoders' own types
    """Return what a line says, None where it is not quite what it looked like."""
    try:
        line = decoder.decode(data)
    except UNREADABLE:
        return None
    # With a time of another length, what stood at the type's place was no key of the line's own.
    return line if len(line.timestamp) == _TIME_LENGTH else None
