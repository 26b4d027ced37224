"""What events tell of a turn: each thing once, however often and in whatever pieces it comes in."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from claude_code_hooks import activity, hook
from claude_code_hooks.activity import Memory
from claude_code_hooks.translate import HookEvent, event_of
from telemhq_agents.usage import Activity, ActivityKind

MS = 1_795_000_000_000
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "claude_code" / "2.1.328"
REAL = [json.loads(line) for line in (FIXTURES / "hook_events.jsonl").read_text().splitlines()]
TOOL, TOOL_FAILURE = ActivityKind.TOOL, ActivityKind.TOOL_FAILURE
PERMISSION, PROMPT = ActivityKind.PERMISSION, ActivityKind.PROMPT
SUBAGENT, COMPACTION = ActivityKind.SUBAGENT, ActivityKind.COMPACTION
FAILURE = ActivityKind.FAILURE
Sums = dict[tuple[str, ActivityKind, str], tuple[int, int]]


def seen(event: str, at_ms: int = 0, **changes: Any) -> HookEvent:
    plain: dict[str, Any] = {"session_id": "s1", "prompt_id": "p1"}
    return HookEvent(event, MS + at_ms, **{**plain, **changes})


def used(at_ms: int, tool_use_id: str, **changes: Any) -> HookEvent:
    plain: dict[str, Any] = {"tool_name": "Bash", "tool_use_id": tool_use_id, "duration_ms": 100}
    return seen(changes.pop("event", "PostToolUse"), at_ms, **{**plain, **changes})


def asked(at_ms: int, **changes: Any) -> HookEvent:
    return seen("PermissionRequest", at_ms, **{"tool_name": "Bash", **changes})


def booked(*drains: list[HookEvent]) -> Sums:
    """What a ledger holds that hears each key once, with a memory that lies in it meanwhile."""
    heard: dict[str, list[Activity]] = {}
    memory = Memory()
    for events in drains:
        for key, found in activity.activities(events, memory, now_ms=MS + 60_000).items():
            heard.setdefault(key, found)
        memory = msgspec.json.decode(msgspec.json.encode(memory), type=Memory)
    sums: Sums = {}
    for one in (one for found in heard.values() for one in found):
        count, took_ms = sums.get((one.turn_key, one.kind, one.name), (0, 0))
        sums[one.turn_key, one.kind, one.name] = (count + one.count, took_ms + one.duration_ms)
    return sums


def only_turn(sums: Sums) -> dict[tuple[ActivityKind, str], tuple[int, int]]:
    assert {turn for turn, _, _ in sums} == {"claude:p1"}
    return {(kind, name): figures for (_, kind, name), figures in sums.items()}


def test_tools_are_counted_by_name_with_the_time_they_took() -> None:
    events = [
        used(1, "t1", duration_ms=27),
        used(2, "t2", duration_ms=13),
        used(3, "t3", tool_name="Read", duration_ms=5),
        used(4, "t4", tool_name="mcp"),
    ]

    assert only_turn(booked(events)) == {
        (TOOL, "Bash"): (2, 40),
        (TOOL, "Read"): (1, 5),
        (TOOL, "mcp"): (1, 100),
    }


def test_a_failed_call_is_told_apart_from_the_others() -> None:
    failed = used(1, "t1", event="PostToolUseFailure", duration_ms=52)

    assert only_turn(booked([failed, used(2, "t2")])) == {
        (TOOL_FAILURE, "Bash"): (1, 52),
        (TOOL, "Bash"): (1, 100),
    }


def test_a_call_that_a_person_stopped_did_not_fail() -> None:
    stopped = used(1, "t1", event="PostToolUseFailure", is_interrupt=True)

    assert only_turn(booked([stopped])) == {(TOOL, "Bash"): (1, 100)}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (seen("UserPromptSubmit"), {(PROMPT, ""): (1, 0)}),
        (seen("StopFailure", error="rate_limit"), {(FAILURE, "rate_limit"): (1, 0)}),
        (seen("StopFailure"), {(FAILURE, ""): (1, 0)}),
        (seen("SubagentStop", agent_id="a1", has_agent_type=True), {(SUBAGENT, ""): (1, 0)}),
        (seen("PostCompact"), {(COMPACTION, ""): (1, 0)}),
        (asked(0), {(PERMISSION, "Bash"): (1, 0)}),
    ],
)
def test_what_else_happens_is_counted(
    event: HookEvent, expected: dict[tuple[ActivityKind, str], tuple[int, int]]
) -> None:
    assert only_turn(booked([event])) == expected


def test_what_stopped_a_sub_agent_did_not_stop_the_turn() -> None:
    assert booked([seen("StopFailure", error="rate_limit", agent_id="a1")]) == {}


def test_an_end_adds_nothing_but_that_the_turn_was_announced() -> None:
    assert booked([seen("Stop", 5), seen("Stop", 9)]) == {("claude:p1", PROMPT, ""): (0, 0)}


def test_a_session_that_goes_on_is_remembered_longer_than_one_that_began_later() -> None:
    memory = Memory()
    said = [seen("UserPromptSubmit", n, session_id=f"s{n}", prompt_id=f"p{n}") for n in range(500)]
    again = seen("UserPromptSubmit", 600, session_id="s0", prompt_id="q0")
    later = seen("UserPromptSubmit", 700, session_id="s500", prompt_id="p500")

    activity.activities([*said, again, later], memory, now_ms=MS + 1000)

    assert "s0" in memory.prompts
    assert "s1" not in memory.prompts


@pytest.mark.parametrize("name", ["SessionStart", "SessionEnd", "PreToolUse", "", "New"])
def test_what_ends_or_begins_is_no_activity(name: str) -> None:
    assert booked([seen(name)]) == {}


def test_a_compaction_is_no_sub_agent_though_it_ends_like_one() -> None:
    assert booked([seen("SubagentStop", agent_id="a1", has_agent_type=False)]) == {}


def test_an_event_without_a_prompts_id_belongs_to_no_turn() -> None:
    assert booked([used(1, "t1", prompt_id="")]) == {}


WITHOUT_OWN_ID = [seen("UserPromptSubmit", 5), seen("PostCompact", 5), asked(5)]
WITH_OWN_ID = [
    used(5, "t1"),
    used(5, "t1", event="PostToolUseFailure"),
    seen("SubagentStop", 5, agent_id="a1", has_agent_type=True),
    seen("StopFailure", 5, error="overloaded"),
]


@pytest.mark.parametrize("event", [*WITHOUT_OWN_ID, *WITH_OWN_ID], ids=lambda each: each.event)
@pytest.mark.parametrize("later_ms", [0, 3, 900])
def test_settings_and_plugin_together_count_once(event: HookEvent, later_ms: int) -> None:
    double = replace(event, at_ms=event.at_ms + later_ms)

    once = booked([event])
    assert once
    assert booked([event, double]) == once
    assert booked([double, event]) == once
    assert booked([event], [double]) == once
    assert booked([event], [double], [event, double]) == once


@pytest.mark.parametrize("event", WITHOUT_OWN_ID, ids=lambda each: each.event)
@pytest.mark.parametrize("changes", [{"at_ms": MS + 6000}, {"check": 7}, {"agent_id": "a2"}])
def test_what_happens_again_counts_again(event: HookEvent, changes: dict[str, Any]) -> None:
    again = replace(event, **changes)

    for sums in (booked([event, again]), booked([event], [again])):
        assert [count for count, _ in only_turn(sums).values()] == [2]


def test_a_permission_waits_from_its_question_until_its_tool_begins() -> None:
    events = [asked(1000, check=5), used(9100, "t1", check=5, duration_ms=100)]

    for sums in (booked(events), booked(events[:1], events[1:]), booked(events, events)):
        assert only_turn(sums)[PERMISSION, "Bash"] == (1, 8000)


def test_a_permission_that_nobody_gave_has_no_wait() -> None:
    other = used(9000, "t1", check=6)

    assert only_turn(booked([asked(1000, check=5), other]))[PERMISSION, "Bash"] == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [{"check": 6}, {"tool_name": "Write"}, {"agent_id": "a1"}, {"prompt_id": "p2"}],
)
def test_only_the_very_call_that_was_asked_for_ends_the_wait(changes: dict[str, Any]) -> None:
    other = used(9000, "t1", **{"check": 5, **changes})

    assert booked([asked(1000, check=5), other])["claude:p1", PERMISSION, "Bash"] == (1, 0)


def test_two_questions_of_the_same_call_wait_each_for_their_own() -> None:
    events = [
        *(asked(0, check=5), asked(2000, check=5)),
        *(used(4000, "t1", check=5, duration_ms=0), used(5000, "t2", check=5, duration_ms=0)),
    ]

    assert only_turn(booked(events))[PERMISSION, "Bash"] == (2, 4000 + 3000)


def test_no_wait_is_shorter_than_nothing() -> None:
    events = [asked(1000, check=5), used(1050, "t1", check=5, duration_ms=100)]

    assert only_turn(booked(events))[PERMISSION, "Bash"] == (1, 0)


def test_what_a_machine_made_prompt_does_belongs_to_the_turn_that_it_goes_on_with() -> None:
    made = seen("UserPromptSubmit", 20, prompt_id="p2", is_machine_made=True)
    events = [seen("UserPromptSubmit", 10), made, used(30, "t1", prompt_id="p2")]

    for sums in (booked(events), booked(events[:1], events[1:2], events[2:])):
        assert only_turn(sums) == {(PROMPT, ""): (1, 0), (TOOL, "Bash"): (1, 100)}


def test_a_machine_made_prompt_of_another_session_goes_on_with_nothing_of_this_one() -> None:
    made = seen("UserPromptSubmit", 20, session_id="s2", prompt_id="p2", is_machine_made=True)
    sums = booked([seen("UserPromptSubmit", 10), made, used(30, "t1", prompt_id="p2")])

    assert sums["claude:p2", TOOL, "Bash"] == (1, 100)


def test_the_memory_stays_small() -> None:
    memory = Memory()
    events = [
        each
        for n in range(2000)
        for each in (
            seen("UserPromptSubmit", n, session_id=f"s{n}", prompt_id=f"p{n}"),
            seen("UserPromptSubmit", n, session_id=f"s{n}", prompt_id="m", is_machine_made=True),
            asked(n, prompt_id=f"p{n}", check=n),
        )
    ]

    activity.activities(events, memory, now_ms=MS + 3000)

    assert len(memory.recent) <= 500
    assert len(memory.waiting) == len(memory.prompts) == 500
    assert "s1999" in memory.prompts
    assert len(msgspec.json.encode(memory)) < 100_000


@pytest.mark.parametrize("now_ms", [MS + 2 * 24 * 3600 * 1000, MS - 2 * 24 * 3600 * 1000])
def test_what_is_old_or_of_a_clock_that_was_wrong_is_forgotten(now_ms: int) -> None:
    memory = Memory()

    activity.activities([seen("UserPromptSubmit"), asked(1)], memory, now_ms=now_ms)

    assert (memory.recent, memory.waiting, memory.prompts) == ({}, {}, {})


def real_events() -> list[HookEvent]:
    entries = []
    for number, event in enumerate(REAL):
        entry = hook.redact(event, MS + 20 * number)
        check = hook.check_of(event, json.dumps(event).encode())
        entries.append({**entry, "check": check})
    return [event for entry in entries if (event := event_of(entry)) is not None]


def test_real_events_add_up_to_what_stands_in_them() -> None:
    tools = [each for each in REAL if each["hook_event_name"] == "PostToolUse"]
    failed = [each for each in REAL if each["hook_event_name"] == "PostToolUseFailure"]
    kinds = Counter(each["hook_event_name"] for each in REAL)

    sums = booked(real_events())

    def total(kind: ActivityKind) -> tuple[int, int]:
        figures = [figures for (_, each, _), figures in sums.items() if each is kind]
        return sum(count for count, _ in figures), sum(took for _, took in figures)

    assert total(TOOL) == (len(tools), sum(each["duration_ms"] for each in tools))
    assert total(TOOL_FAILURE) == (4, sum(each["duration_ms"] for each in failed))
    assert total(PROMPT) == (kinds["UserPromptSubmit"], 0) == (31, 0)
    assert total(SUBAGENT) == (8, 0)
    assert total(COMPACTION) == (2, 0)
    assert total(PERMISSION) == (1, 0)
    agents = [took for (_, kind, name), took in sums.items() if (kind, name) == (TOOL, "Agent")]
    assert (2, 649 + 689) in agents


@given(cuts=st.lists(st.integers(0, len(REAL)), max_size=6), doubled=st.booleans())
def test_in_how_many_drains_they_come_in_makes_no_difference(
    cuts: list[int], doubled: bool
) -> None:
    events = real_events()
    edges = [0, *sorted(cuts), len(events)]
    drains: list[list[HookEvent]] = []
    for start, end in pairwise(edges):
        drains.append(events[start:end])
        if doubled:
            drains.append([replace(each, at_ms=each.at_ms + 4) for each in events[start:end]])

    assert booked(*drains) == booked(events)


def test_real_permissions_that_took_700_ms_each_are_two_and_waited_that_long() -> None:
    """Told by Claude Code 2.1.329 to two hooks each, beside one that said yes after 0.7 s."""
    recorded = (FIXTURES.parent / "2.1.329" / "permission_events.jsonl").read_text()
    lines = [json.loads(line) for line in recorded.splitlines()]
    events = []
    for told in lines:
        entry = hook.redact(told["event"], MS + told["at_ms"] - lines[0]["at_ms"])
        check = hook.check_of(told["event"], json.dumps(told["event"]).encode())
        events.append(event_of({**entry, "check": check}))

    sums = booked([event for event in events if event is not None])

    (turn,) = {turn for turn, _, _ in sums}
    count, waited_ms = sums[turn, PERMISSION, "Bash"]
    assert count == 2
    assert 1400 <= waited_ms < 1600
    assert sums[turn, TOOL, "Bash"][0] == sums[turn, TOOL_FAILURE, "Bash"][0] == 1
    assert sums[turn, PROMPT, ""] == (1, 0)
