"""The events in a block of whole lines, found without parsing what does not matter.

What a line is stands at a fixed place in its beginning. Where that is not exactly as Codex writes
it, or a block holds one beginning more than lines, `decode` looks at the lines one by one: a form
that this page does not know costs time and is never lost.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from codex_watcher.decode import DECODERS, START, UNREADABLE, Event, Skipped, decode
from telemhq_agents import clock

if TYPE_CHECKING:
    from collections.abc import Callable

Reader: TypeAlias = "Callable[[bytes], Any]"
"""Returns what a line of one kind says, as one of the decoders' own types."""

_TIME_LENGTH = len("2026-11-20T07:35:28.753Z")
_NAME_AT = len(START) + _TIME_LENGTH + len(b'"')
_TYPE = b',"type":"'
_ORDINAL = b',"ordinal":'
_LONGEST_ORDINAL = len(b',"ordinal":18446744073709551615')
_TYPE_LENGTH = len(b',"type":"token_usage_record"')
_EVENT = b',"type":"event_msg","payload":{"type":"'
_NAME_LENGTH = len(_EVENT) + len(b'token_count","')
_BEGINNING = slice(len(START))
_KEY = slice(_NAME_AT, _NAME_AT + len(_ORDINAL))
_NAMES_REMEMBERED = 1024

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


def _pass_over(_: bytes) -> None:
    """Stand for the readers of lines that do not matter: they are not even read."""


def _line_name(name: bytes) -> bytes:
    return (_TYPE + name + b'","payload":{')[:_TYPE_LENGTH]


def _event_name(name: bytes) -> bytes:
    return (_EVENT + name + b'","')[:_NAME_LENGTH]


_READERS: dict[bytes, Reader] = {
    **{_line_name(name): _pass_over for name in _OTHER_LINES},
    **{_event_name(name): _pass_over for name in _OTHER_EVENTS},
    **{_line_name(name): found.decode for name, found in DECODERS.items() if b":" not in name},
    **{
        _event_name(name.removeprefix(b"event_msg:")): found.decode
        for name, found in DECODERS.items()
        if b":" in name
    },
}


class _Known(dict[bytes, Reader]):
    """The reader of a line by all that may be its name, the rest of it being the same few words."""

    def find(self, name: bytes) -> Reader | None:
        """Return the reader that the beginning of `name` asks for, and remember it."""
        reader = _READERS.get(name[:_TYPE_LENGTH]) or _READERS.get(name)
        if reader is not None:
            if len(self) >= _NAMES_REMEMBERED:
                self.clear()
            self[name] = reader
        return reader


_KNOWN = _Known()


def sift(block: bytes, end: int) -> Sifted:
    """Return what the whole lines of `block` say, the last of which ends before `end`."""
    lines = BytesIO(block).readlines(end) if end else []
    sifted, beginnings = _sift(lines)
    if block.count(START, 0, end) == beginnings:
        return sifted
    said = [decode(line[:-1]) for line in lines]
    events = [event for event in said if isinstance(event, Event)]
    return Sifted(events, len(said), said.count(Skipped.BAD))


def _sift(lines: list[bytes]) -> tuple[Sifted, int]:
    """Sift lines that hold one beginning each; return also how many such there should be then.

    A first reading comes here for every line there is, hence one function and few calls.
    """
    events: list[Event] = []
    known, add = _KNOWN.get, events.append
    bad_lines = strange = at_ms = ordinal = 0
    digits, name = _places(ordinal)
    time = ""
    for line in lines:
        read: Reader | None = None
        if line[_BEGINNING] == START:
            # An ordinal is mostly as long as that of the line before.
            read = known(line[name])
            if read is None or (
                ordinal and not (line[_KEY] == _ORDINAL and line[digits].isdigit())
            ):
                ordinal = _ordinal_length(line)
                digits, name = _places(ordinal)
                read = _KNOWN.find(line[name])
            if read is _pass_over:
                continue
        else:
            strange += line.count(START) - 1
        told = _told(line, read) if read else None
        if told:
            if told.timestamp != time:
                time = told.timestamp
                at_ms = clock.told_ms(time)
            add(Event(at_ms, told.payload))
            continue
        event = decode(line[:-1])
        if event is Skipped.BAD:
            bad_lines += 1
        elif isinstance(event, Event):
            add(event)
    return Sifted(events, len(lines), bad_lines), len(lines) + strange


def _places(ordinal: int) -> tuple[slice, slice]:
    """Return where the digits of an ordinal lie that takes so many bytes, and the name behind it."""
    at = _NAME_AT + ordinal
    return slice(_NAME_AT + len(_ORDINAL), at), slice(at, at + _NAME_LENGTH)


def _ordinal_length(line: bytes) -> int:
    """Return how long an ordinal in front of a line's type is, 0 where none is or it is no number."""
    comma = line.find(b",", _NAME_AT + 1, _NAME_AT + _LONGEST_ORDINAL + 1)
    digits, _ = _places(comma - _NAME_AT)
    is_ordinal = comma > 0 and line[_KEY] == _ORDINAL and line[digits].isdigit()
    return comma - _NAME_AT if is_ordinal else 0


def _told(line: bytes, read: Reader) -> Any:  # noqa: ANN401 - one of the decoders' own types
    """Return what a line says, None where it is not quite what it looked like."""
    try:
        told = read(line)
    except UNREADABLE:
        return None
    # With a time of another length, what stood at the type's place was no key of the line's own.
    return told if len(told.timestamp) == _TIME_LENGTH else None
