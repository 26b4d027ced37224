"""Each trap of the format in a few lines, with a truth that follows from how they were made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.clock import from_iso

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import Home, Lines


def usage(**changes: Any) -> dict[str, Any]:
    return {"input_tokens": 10, "output_tokens": 50, **changes}


def test_input_includes_what_was_read_from_and_written_to_the_cache(
    home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])

    home.scan()

    fact = home.ledger.only_fact()
    assert fact.input_tokens == 10 + 300 + 2000
    assert fact.cached_input_tokens == 2000
    assert (fact.cache_write_tokens, fact.cache_write_1h_tokens) == (300, 100)
    assert fact.output_tokens == 50
    assert (fact.key, fact.turn_key, fact.session_id) == ("claude:msg_1", "claude:p1", "s1")
    assert (fact.provider, fact.model, fact.thread_id) == ("anthropic", "claude-opus-5-5", "")
    assert (fact.place.cwd, fact.estimate) == ("/home/dev/repo", "")
    assert fact.at_ms == from_iso(lines.at(2))


def test_thinking_is_reasoning(home: Home, lines: Lines) -> None:
    details = {"thinking_tokens": 33}
    home.write("s1", [lines.prompt(1), lines.reply(2, usage=usage(output_tokens_details=details))])

    home.scan()

    assert home.ledger.only_fact().reasoning_tokens == 33


def test_a_reply_of_four_blocks_is_four_lines_and_counts_once(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), *(lines.reply(2 + n, uuid=f"u{n}") for n in range(4))])

    home.scan()

    assert home.ledger.only_fact().output_tokens == 50
    assert home.ledger.only_fact().at_ms == from_iso(lines.at(2))


@pytest.mark.parametrize("order", [(1, 7, 206), (206, 7, 1), (7, 206, 1)])
def test_of_placeholder_and_final_output_the_larger_counts(
    order: tuple[int, ...], home: Home, lines: Lines
) -> None:
    replies = [
        lines.reply(
            2 + n, output=count, stop="tool_use" if count == 206 else None, version="2.1.94"
        )
        for n, count in enumerate(order)
    ]
    home.write("s1", [lines.prompt(1), *replies])

    home.scan()

    fact = home.ledger.only_fact()
    assert (fact.output_tokens, fact.estimate) == (206, "")


@pytest.mark.parametrize(
    ("version", "changes", "estimate"),
    [
        ("2.1.29", {}, "output_lower_bound"),
        ("2.1.300", {}, "output_lower_bound"),
        ("2.1.312", {}, ""),
        ("2.1.328", {}, ""),
        ("2.1.328", {"isAbortedMidStream": True}, "output_lower_bound"),
        (..., {}, "output_lower_bound"),
    ],
)
def test_output_that_no_line_completes_is_flagged_as_a_lower_bound(
    version: Any, changes: dict[str, Any], estimate: str, home: Home, lines: Lines
) -> None:
    reply = lines.reply(2, output=1, stop=None, version=version, **changes)
    home.write("s1", [lines.prompt(1), reply])

    home.scan()

    assert home.ledger.only_fact().estimate == estimate


@pytest.mark.parametrize(
    ("counts", "written"),
    [
        ({"cache_creation_input_tokens": 777}, 777),
        (
            {
                "cache_creation_input_tokens": 777,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            },
            777,
        ),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 6}}, 11),
        ({"cache_creation_input_tokens": None, "cache_creation": None}, 0),
    ],
)
def test_cache_writes_are_found_flat_or_nested(
    counts: dict[str, Any], written: int, home: Home, lines: Lines
) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, usage=usage(**counts))])

    home.scan()

    fact = home.ledger.only_fact()
    assert (fact.cache_write_tokens, fact.input_tokens) == (written, 10 + written)


def test_a_fork_that_names_the_original_session_adds_only_its_own(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    copied = [
        lines.prompt(1, sessionId="s2", promptId="p9"),
        lines.reply(2, sessionId="s2", requestSessionId="s1"),
    ]
    own = [
        lines.prompt(9, sessionId="s2", promptId="p9"),
        lines.reply(10, "msg_2", sessionId="s2"),
    ]
    home.write("s2", copied + own)

    home.scan()

    facts, turns = home.ledger.facts, home.ledger.turns
    assert {key: (fact.session_id, fact.turn_key) for key, fact in facts.items()} == {
        "claude:msg_1": ("s1", "claude:p1"),
        "claude:msg_2": ("s2", "claude:p9"),
    }
    assert turns["claude:p9"].started_ms == from_iso(lines.at(9))
    assert turns.keys() == {"claude:p1", "claude:p9"}


@pytest.mark.parametrize("fork_is_read_first", [False, True])
def test_a_copy_without_a_mark_yields_to_the_original_at_the_same_moment(
    fork_is_read_first: bool, home: Home, lines: Lines
) -> None:
    """A fork queues its first prompt before it writes the copied lines, which are older."""
    original = [lines.prompt(1), lines.reply(2)]
    fork = [
        lines.queued(8, "go on"),
        lines.prompt(1, sessionId="s2", promptId="p9"),
        lines.reply(2, sessionId="s2"),
        lines.prompt(9, "go on", sessionId="s2", promptId="p9"),
        lines.reply(10, "msg_2", sessionId="s2"),
    ]
    names = ["s2", "s1"] if fork_is_read_first else ["s1", "s2"]
    for name in names:
        home.write(name, original if name == "s1" else fork)
        home.scan()

    facts = home.ledger.facts
    assert facts["claude:msg_1"].session_id == "s1"
    assert facts["claude:msg_1"].turn_key == "claude:p1"
    assert facts["claude:msg_2"].session_id == "s2"
    assert home.ledger.turns["claude:p9"].started_ms == from_iso(lines.at(9))


def test_a_copy_that_keeps_the_parents_session_belongs_to_the_parent(
    home: Home, lines: Lines
) -> None:
    history = [lines.prompt(1, version="2.1.50"), lines.reply(2, version="2.1.50")]
    home.write(
        "s2", [*history, lines.prompt(9, sessionId="s2"), lines.reply(10, "msg_2", sessionId="s2")]
    )
    home.write("s1", history)

    home.scan()

    sessions = {key: fact.session_id for key, fact in home.ledger.facts.items()}
    assert sessions == {"claude:msg_1": "s1", "claude:msg_2": "s2"}
    assert {key: turn.session_id for key, turn in home.ledger.turns.items()} == {
        "claude:p1": "s1",
        "claude:p9": "s2",
    }


def test_a_copy_with_a_new_time_and_no_request_id_counts_once(home: Home, lines: Lines) -> None:
    plain = {"version": "1.0.128", "promptId": ..., "promptSource": ...}
    prompt = lines.prompt(1, uuid="u1", **plain)
    home.write("s1", [prompt, lines.reply(2, version="1.0.128", requestId="req_1")])
    copy = lines.reply(12, version="1.0.128", sessionId="s2")
    home.write("s2", [{**prompt, "sessionId": "s2", "timestamp": lines.at(11)}, copy])

    home.scan()

    assert home.ledger.only_fact().session_id == "s1"
    assert home.ledger.only_fact().at_ms == from_iso(lines.at(2))
    assert home.ledger.only_turn().key == "claude:u1"
    assert home.ledger.only_turn().session_id == "s1"


@pytest.mark.parametrize("side_is_read_first", [False, True])
def test_a_side_question_replays_the_parent_and_adds_its_own_answer(
    side_is_read_first: bool, home: Home, lines: Lines
) -> None:
    side: dict[str, Any] = {"isSidechain": True, "agentId": "aside_question-1"}
    replay = [
        lines.reply(2, requestId="another", **side),
        lines.prompt(8, promptId="p8", promptSource=..., **side),
        lines.reply(9, "msg_2", **side),
    ]
    files = [
        ("s1", [lines.prompt(1), lines.reply(2)]),
        ("s1/subagents/agent-aside_question-1", replay),
    ]
    for name, content in reversed(files) if side_is_read_first else files:
        home.write(name, content)
        home.scan()

    facts = home.ledger.facts
    assert facts.keys() == {"claude:msg_1", "claude:msg_2"}
    assert (facts["claude:msg_1"].turn_key, facts["claude:msg_1"].precedence) == ("claude:p1", 0)
    assert home.ledger.turns.keys() == {"claude:p1"}


def test_synthetic_lines_are_no_replies(home: Home, lines: Lines) -> None:
    home.write(
        "s1", [lines.prompt(1), lines.api_error(2), lines.api_error(3, isApiErrorMessage=False)]
    )

    home.scan()

    assert home.ledger.facts == {}


def test_usage_that_is_repeated_elsewhere_is_not_counted(home: Home, lines: Lines) -> None:
    echoed = lines.reply(3, "msg_2")
    progress = lines.line(
        "progress",
        4,
        data={"type": "agent_progress", "message": {"type": "assistant", **echoed}},
    )
    result = lines.tool_result(5)
    result["toolUseResult"] = {"usage": usage(), "totalTokens": 60, "content": "done"}
    state = {"type": "cost-state", "modelUsage": {"claude-opus-5-5": {"inputTokens": 9000}}}
    parts = usage(iterations=[usage(), usage()])
    reply = lines.reply(6, usage=parts)
    home.write("s1", [lines.prompt(1), progress, result, state, reply])

    report = home.scan()

    assert home.ledger.only_fact().key == "claude:msg_1"
    assert home.ledger.totals()["input_tokens"] == 10
    assert report.bad_lines == 0


def test_a_quoted_transcript_inside_a_tools_output_is_text(home: Home, lines: Lines) -> None:
    quoted = '{"type":"assistant","message":{"id":"msg_9","usage":{"input_tokens":5}}}'
    home.write("s1", [lines.prompt(1), lines.tool_result(2, quoted), lines.reply(3)])

    home.scan()

    assert home.ledger.facts.keys() == {"claude:msg_1"}


def test_a_gateway_without_message_ids_counts_by_session_and_line(home: Home, lines: Lines) -> None:
    replies = [lines.reply(2, ..., uuid="u1"), lines.reply(3, ..., uuid="u2")]
    home.write("s1", [lines.prompt(1), *replies])

    home.scan()
    home.ledger.known_cursors.clear()
    home.scan()

    assert home.ledger.facts.keys() == {"claude:s1:u1", "claude:s1:u2"}


def test_sub_agents_lie_beside_below_and_inside_their_session(home: Home, lines: Lines) -> None:
    side: dict[str, Any] = {"isSidechain": True}
    home.write("s1", [lines.prompt(1), lines.reply(2), lines.reply(3, "inline", **side)])
    home.write("agent-0badcafe", [lines.reply(4, "beside", **side)])
    home.write("s1/subagents/agent-a1", [lines.reply(5, "below", **side)])
    home.write("s1/subagents/workflows/wf_1/agent-a2", [lines.reply(6, "deeper", **side)])

    home.scan()

    facts = home.ledger.facts
    assert facts.keys() == {
        f"claude:{name}" for name in ("msg_1", "inline", "beside", "below", "deeper")
    }
    assert {fact.session_id for fact in facts.values()} == {"s1"}
    assert facts["claude:inline"].turn_key == "claude:p1"


def test_a_sub_agent_in_a_worktree_works_in_its_own_directory(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.write(
        "s1/subagents/agent-a1",
        [lines.reply(3, "msg_2", isSidechain=True, cwd="/home/dev/worktrees/fix")],
    )

    home.scan()

    assert home.ledger.facts["claude:msg_2"].place.cwd == "/home/dev/worktrees/fix"


def test_a_session_stays_with_the_project_it_began_in(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, cwd="/home/dev/elsewhere")])

    home.scan()

    assert home.ledger.only_fact().place.project == "repo"


@pytest.mark.parametrize("original", ["a", "b"])
def test_of_two_files_that_nothing_tells_apart_the_longest_untouched_is_the_original(
    original: str, home: Home, lines: Lines
) -> None:
    for name in ("a", "b"):
        history = [lines.prompt(1, sessionId=name), lines.reply(2, sessionId=name)]
        path = home.write(name, history)
        written_s = 1_000 if name == original else 2_000
        os.utime(path, (written_s, written_s))

    home.scan()

    assert home.ledger.only_fact().session_id == original
    assert home.ledger.only_turn().session_id == original


@pytest.mark.parametrize("count", [2**40 + 1, 2**63 - 1, 2**80, 1e300])
def test_a_reply_of_more_tokens_than_there_can_be_is_a_bad_line(
    count: float, home: Home, lines: Lines
) -> None:
    absurd = lines.reply(3, "msg_2", usage=usage(output_tokens=count))
    home.write("s1", [lines.prompt(1), lines.reply(2), absurd, lines.reply(4, "msg_3")])

    report = home.scan()

    assert home.ledger.facts.keys() == {"claude:msg_1", "claude:msg_3"}
    assert report.bad_lines == 1
