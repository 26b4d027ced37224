"""The lines of one reply, of which most tell little that the one before did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claude_code_hooks.decode import Line, decode
from claude_code_hooks.fold import TranscriptFold
from claude_code_hooks.state import FoldState
from telemhq_agents.ledger.records import Batch

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import Lines, MemoryLedger, PlainNamer

USAGE = {"input_tokens": 10, "cache_read_input_tokens": 2000, "output_tokens": 8}
CHANGES: list[dict[str, Any]] = [
    {"stop": None},
    {"stop": "end_turn"},
    {"stop": "pause_turn"},
    {"output": 0},
    {"output": 8},
    {"output": 90},
    {"usage": {**USAGE, "input_tokens": 11}},
    {"usage": {**USAGE, "cache_read_input_tokens": 2001}},
    {"usage": {**USAGE, "output_tokens_details": {"thinking_tokens": 5}}},
    {"usage": {**USAGE, "cache_creation": {"ephemeral_1h_input_tokens": 7}}},
    {"usage": ...},
    {"key": "msg_2"},
    {"key": ...},
    {"model": "claude-haiku-4-5"},
    {"model": "<synthetic>", "isApiErrorMessage": True},
    {"isSidechain": True},
    {"sessionId": "s2"},
    {"requestSessionId": "s1"},
    {"requestSessionId": "s0"},
    {"version": "2.1.20"},
    {"isAbortedMidStream": True},
    {"requestedModel": "claude-opus-5-5"},
    {"timestamp": "2001-09-09T01:46:40.000Z"},
    {"timestamp": "soon"},
]
BLOCK = st.lists(st.sampled_from(CHANGES), max_size=2)


def blocks_of(lines: Lines, changed: list[list[dict[str, Any]]]) -> list[Line]:
    """Return a prompt, and a line of a reply that still works for each of these changes."""
    usual: dict[str, Any] = {"key": "msg_1", "stop": "tool_use", "output": 8}
    found = [lines.prompt(1)]
    for second, changes in enumerate(changed, 2):
        values = {**usual}
        for each in changes:
            values.update(each)
        found.append(lines.reply(second, values.pop("key"), **values))
    return [decode(json.dumps(line).encode()) for line in found]


@given(changed=st.lists(BLOCK, min_size=2, max_size=8), is_queued=st.booleans())
@example(changed=[[{"stop": None}], [], [{"output": 90}], [{"stop": "end_turn"}]], is_queued=False)
@example(
    changed=[[{"stop": None}, {"version": "2.1.20"}], [{"version": "2.1.20"}]], is_queued=False
)
@example(changed=[[], [{"stop": "end_turn"}], []], is_queued=False)
@settings(deadline=None, max_examples=400)
def test_lines_that_follow_each_other_come_to_what_each_tells_by_itself(
    changed: list[list[dict[str, Any]]],
    is_queued: bool,
    new_lines: type[Lines],
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    lines = blocks_of(new_lines(), changed)
    if is_queued:
        lines.insert(0, decode(json.dumps(new_lines().queued(4, "another")).encode()))

    def read(*, by_itself: bool) -> tuple[MemoryLedger, Any]:
        ledger = new_ledger()
        fold = TranscriptFold(FoldState(), new_namer(), "s1", 5)
        for line in lines:
            fold.take(line)
            if by_itself:
                ledger.book(Batch(*fold.drain()[:2]))
        ledger.book(Batch(*fold.drain()[:2]))
        return ledger, msgspec.to_builtins(fold.state)

    (together, state), (apart, state_apart) = read(by_itself=False), read(by_itself=True)

    assert together.facts == apart.facts
    assert together.turns == apart.turns
    assert state == state_apart
