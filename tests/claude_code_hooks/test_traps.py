"""Every known trap of the format in one table: what lies there, and what it comes to.

Each reply of `lines.reply` costs 2310 input (2000 read from, 300 written to the cache) and 50 output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import Home, Lines

Files = dict[str, list[dict[str, Any]]]
SIDE: dict[str, Any] = {"isSidechain": True}
FORK: dict[str, Any] = {"sessionId": "s2"}
ONE = (1, 2310, 50)
TWO = (2, 4620, 100)


def traps(lines: Lines) -> dict[str, tuple[Files, tuple[int, int, int]]]:
    """Return each trap's files, and how many replies, input and output tokens they hold."""
    prompt, reply = lines.prompt(1), lines.reply(2)
    early = lines.reply(2, output=3, stop=None, version="2.1.40")
    flat = {"input_tokens": 10, "output_tokens": 50, "cache_creation_input_tokens": 777}
    zeros = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    agent = {"status": "completed", "totalTokens": 2360, "usage": reply["message"]["usage"]}
    text = "<usage>subagent_tokens: 2360</usage>"
    return {
        "one line per block": (
            {"s1": [prompt, *(lines.reply(2 + n, uuid=f"u{n}") for n in range(4))]},
            ONE,
        ),
        "a placeholder that was corrected": (
            {"s1": [prompt, early, lines.reply(3, version="2.1.40")]},
            ONE,
        ),
        "a placeholder that never was": ({"s1": [prompt, early]}, (1, 2310, 3)),
        "a fork that marks its copies": (
            {"s1": [prompt, reply], "s2": [lines.reply(2, requestSessionId="s1", **FORK)]},
            ONE,
        ),
        "a fork that leaves its copies as they are": (
            {"s1": [prompt, reply], "s2": [prompt, reply, lines.reply(9, "msg_2", **FORK)]},
            TWO,
        ),
        "a fork that rewrites times and drops request ids": (
            {"s1": [lines.reply(2, requestId="r1")], "s2": [lines.reply(9, **FORK)]},
            ONE,
        ),
        "a resumed session": ({"s1": [prompt, reply, prompt, lines.reply(9, "msg_2")]}, TWO),
        "a cumulative total, twice": (
            {"s1": [prompt, reply, *[lines.cost_state(input=2310, output=50)] * 2]},
            ONE,
        ),
        "a compaction in a file of its own": (
            {
                "s1": [prompt, reply],
                "s1/subagents/agent-acompact-1": [
                    lines.reply(2, **SIDE),
                    lines.reply(5, "msg_2", **SIDE),
                ],
            },
            TWO,
        ),
        "a compaction's boundary": (
            {
                "s1": [
                    prompt,
                    reply,
                    lines.system(3, "compact_boundary", compactMetadata={"preTokens": 1_000_321}),
                    lines.prompt(4, isCompactSummary=True, promptSource=...),
                ]
            },
            ONE,
        ),
        "a sub-agent's usage in its result": (
            {"s1": [prompt, reply, {**lines.tool_result(3), "toolUseResult": agent}]},
            ONE,
        ),
        "a sub-agent's usage in a text": ({"s1": [prompt, reply, lines.tool_result(3, text)]}, ONE),
        "a sub-agent's progress": (
            {
                "s1": [
                    prompt,
                    reply,
                    lines.line("progress", 3, data={"type": "agent_progress", "message": reply}),
                    lines.line(
                        "progress",
                        4,
                        data={"message": {"type": "assistant", **lines.reply(4, "x")}},
                    ),
                ]
            },
            ONE,
        ),
        "a request's iterations": (
            {
                "s1": [
                    prompt,
                    lines.reply(2, usage={**flat, "iterations": [flat, flat]}),
                ]
            },
            (1, 787, 50),
        ),
        "a sub-agent's own file": (
            {"s1": [prompt, reply], "s1/subagents/agent-a": [lines.reply(3, "msg_2", **SIDE)]},
            TWO,
        ),
        "a side question": (
            {
                "s1": [prompt, reply],
                "s1/subagents/agent-aside_question-a": [
                    lines.reply(2, requestId="another", **SIDE),
                    lines.reply(3, "msg_2", **SIDE),
                ],
            },
            TWO,
        ),
        "a gateway without request ids": ({"s1": [prompt, reply, lines.reply(3, "msg_2")]}, TWO),
        "a gateway with flat cache figures": (
            {"s1": [prompt, lines.reply(2, usage={**flat, "cache_creation": zeros})]},
            (1, 787, 50),
        ),
        "a synthetic reply": ({"s1": [prompt, reply, lines.api_error(3)]}, ONE),
        "an aborted reply": (
            {
                "s1": [
                    prompt,
                    lines.reply(2, output=1, stop=None, isAbortedMidStream=True),
                    lines.prompt(3, "[Request interrupted by user]", promptSource=...),
                ]
            },
            (1, 2310, 1),
        ),
        "failed attempts": (
            {"s1": [prompt, *[lines.system(2, "api_error", error={"status": 529})] * 3, reply]},
            ONE,
        ),
        "lines out of order": (
            {"s1": [lines.reply(9, "msg_2"), prompt, lines.reply(2), lines.reply(8, "msg_2")]},
            TWO,
        ),
    }


NAMES = [
    "one line per block",
    "a placeholder that was corrected",
    "a placeholder that never was",
    "a fork that marks its copies",
    "a fork that leaves its copies as they are",
    "a fork that rewrites times and drops request ids",
    "a resumed session",
    "a cumulative total, twice",
    "a compaction in a file of its own",
    "a compaction's boundary",
    "a sub-agent's usage in its result",
    "a sub-agent's usage in a text",
    "a sub-agent's progress",
    "a request's iterations",
    "a sub-agent's own file",
    "a side question",
    "a gateway without request ids",
    "a gateway with flat cache figures",
    "a synthetic reply",
    "an aborted reply",
    "failed attempts",
    "lines out of order",
]


def test_the_table_has_a_case_for_every_name(lines: Lines) -> None:
    assert list(traps(lines)) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_a_trap_comes_to_its_truth_in_whatever_order_its_files_are_read(
    name: str, order: int, home: Home, lines: Lines
) -> None:
    files, (replies, tokens_in, tokens_out) = traps(lines)[name]
    for file, content in list(files.items())[::order]:
        home.write(file, content)
        home.scan()

    totals = home.ledger.totals()
    found = (len(home.ledger.facts), totals["input_tokens"], totals["output_tokens"])
    assert found == (replies, tokens_in, tokens_out)
    assert home.ledger.facts["claude:msg_1"].session_id == "s1"


@pytest.mark.parametrize("asked", ["claude-opus-5-5[1m]", "opus", "claude-opus-5-5"])
def test_the_model_is_the_one_that_answered(asked: str, home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2, requestedModel=asked)])

    home.scan()

    assert home.ledger.only_fact().model == "claude-opus-5-5"


@pytest.mark.parametrize("key", ["cwd", "usage", "message"])
def test_a_version_that_moves_a_key_loses_no_line(key: str, home: Home, lines: Lines) -> None:
    """2.1.328 moved `cwd` to the end of its lines and the figures around inside `usage`."""
    line = lines.reply(2)
    moved = {
        "cwd": {"cwd": line["cwd"], **line},
        "usage": {
            **line,
            "message": {
                **line["message"],
                "usage": dict(reversed(list(line["message"]["usage"].items()))),
            },
        },
        "message": dict(reversed(list(line.items()))),
    }[key]
    home.write("s1", [lines.prompt(1), moved])

    home.scan()

    assert (len(home.ledger.facts), home.ledger.totals()["input_tokens"]) == (1, 2310)
