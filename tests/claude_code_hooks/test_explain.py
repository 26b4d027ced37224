"""What is said of a session's lines is what the ledger holds of it, and names the rule."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks.explain import Rule, explain
from claude_code_hooks.scan import scan
from telemhq_agents.collecting import Explained, Verdict

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import Home, Lines, MemoryLedger, PlainNamer

ROOT = Path(__file__).resolve().parents[2]
COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def booked(ledger: MemoryLedger, session: str) -> Counter[str]:
    facts = [fact for fact in ledger.facts.values() if fact.session_id == session]
    sums = Counter({name: sum(getattr(fact, name) for fact in facts) for name in COUNTERS})
    sums["facts"] = len(facts)
    sums["estimates"] = sum(bool(fact.estimate) for fact in facts)
    return sums


def proven(lines: list[Explained]) -> Counter[str]:
    """What the lines say is counted: for each fact, what its last line left it at."""
    counted = [line for line in lines if line.verdict is not Verdict.SKIPPED]
    last = {line.fact_key: line for line in counted}
    sums = Counter({name: sum(getattr(line, name) for line in last.values()) for name in COUNTERS})
    sums["facts"] = sum(line.verdict is Verdict.COUNTED for line in counted)
    sums["estimates"] = sum(bool(line.estimate) for line in last.values())
    return sums


def own(lines: list[Explained], session: str) -> list[Explained]:
    return [line for line in lines if line.session_id == session]


def rules(home: Home, session: str = "s1") -> list[tuple[str, int, Verdict, str]]:
    return [
        (line.path.stem, line.line, line.verdict, line.rule)
        for line in explain(session, [home.path])
    ]


def assert_all_proven(ledger: MemoryLedger, home: Path) -> None:
    sessions = {fact.session_id for fact in ledger.facts.values()}
    assert sessions
    for session in sessions:
        lines = list(explain(session, [home]))
        assert proven(lines) == booked(ledger, session)


@pytest.mark.parametrize("version", ["2.1.328"])
def test_every_real_session_is_proven_line_by_line(
    version: str, fixtures: Path, new_ledger: type[MemoryLedger], new_namer: type[PlainNamer]
) -> None:
    home, ledger = fixtures / version / "home", new_ledger()
    scan(ledger, [home], new_namer(), now_ms=0)

    assert_all_proven(ledger, home)


@pytest.mark.parametrize("seed", ["1", "4"])
def test_every_session_of_a_made_up_corpus_is_proven_line_by_line(
    seed: str, tmp_path: Path, new_ledger: type[MemoryLedger], new_namer: type[PlainNamer]
) -> None:
    size = ["--seed", seed, "--mb", "4", "--claude-share", "0.95"]
    making = [sys.executable, str(ROOT / "bench" / "make_corpus.py"), str(tmp_path), *size]
    subprocess.run(making, check=True, capture_output=True)
    ledger = new_ledger()
    scan(ledger, [tmp_path / "claude"], new_namer(), now_ms=0)

    assert_all_proven(ledger, tmp_path / "claude")


def test_a_replys_blocks_are_one_line_that_counts_and_the_rest(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.prompt(1), lines.reply(2), lines.reply(3), lines.reply(4, "msg_2")])

    assert rules(home) == [
        ("s1", 2, Verdict.COUNTED, Rule.FIRST),
        ("s1", 3, Verdict.SKIPPED, Rule.BLOCK),
        ("s1", 4, Verdict.COUNTED, Rule.FIRST),
    ]


def test_a_placeholder_is_a_lower_bound_until_a_line_tells_more(home: Home, lines: Lines) -> None:
    early = lines.reply(2, output=1, stop=None, version="2.1.20")
    home.write("s1", [early, lines.reply(3, output=90, version="2.1.20")])

    first, second = explain("s1", [home.path])

    assert (first.rule, first.output_tokens, first.estimate) == (
        Rule.LOWER_BOUND,
        1,
        "output_lower_bound",
    )
    assert (second.verdict, second.rule) == (Verdict.GREW, Rule.GREW)
    assert (second.output_tokens, second.estimate, second.fact_key) == (90, "", "claude:msg_1")


def test_a_line_that_makes_an_output_final_grows_the_reply(home: Home, lines: Lines) -> None:
    early = lines.reply(2, stop=None, version="2.1.20")
    home.write("s1", [early, lines.reply(3, version="2.1.20")])

    first, second = explain("s1", [home.path])

    assert (first.rule, first.estimate) == (Rule.LOWER_BOUND, "output_lower_bound")
    assert (second.verdict, second.rule, second.estimate) == (Verdict.GREW, Rule.GREW, "")


def skipped(lines: Lines) -> dict[Rule, dict[str, Any]]:
    echoed = {"type": "agent_progress", "message": lines.reply(3, "msg_9")}
    result = lines.tool_result(5)
    result["toolUseResult"] = {"usage": {"input_tokens": 5}, "totalTokens": 60}
    return {
        Rule.SYNTHETIC: lines.api_error(3),
        Rule.NO_FIGURES: lines.line("assistant", 3, message={"id": "msg_9", "model": "m"}),
        Rule.ECHO: lines.line("progress", 4, data=echoed),
        Rule.RESULT: result,
        Rule.OWN_TOTAL: lines.cost_state(input=7),
        Rule.ELSEWHERE: lines.line("new-kind", 3, deep=[{"usage": {"input_tokens": 5}}]),
    }


@pytest.mark.parametrize(
    "rule",
    [
        Rule.SYNTHETIC,
        Rule.NO_FIGURES,
        Rule.ECHO,
        Rule.RESULT,
        Rule.OWN_TOTAL,
        Rule.ELSEWHERE,
    ],
)
def test_usage_that_does_not_count_says_why(rule: Rule, home: Home, lines: Lines) -> None:
    home.write("s1", [lines.reply(2), skipped(lines)[rule]])

    assert rules(home)[1:] == [("s1", 2, Verdict.SKIPPED, rule)]


def test_lines_that_do_not_speak_of_usage_are_not_told(home: Home, lines: Lines) -> None:
    quoted = lines.tool_result(2, '{"usage":{"input_tokens":5}}')
    home.write("s1", [lines.prompt(1, 'the "usage" of it'), quoted, lines.system(3, "usage")])

    assert rules(home) == []


def test_a_torn_line_is_told_beside_what_stands_behind_it(home: Home, lines: Lines) -> None:
    path = home.write("s1", [{"parentUuid": None, **lines.reply(2)}])
    path.write_bytes(b'{"parentUuid":null,"type":"assi' + path.read_bytes() + b"\n")

    assert rules(home) == [
        ("s1", 1, Verdict.SKIPPED, Rule.BAD),
        ("s1", 1, Verdict.COUNTED, Rule.FIRST),
    ]


def test_a_forks_copies_are_told_of_in_both_sessions(home: Home, lines: Lines) -> None:
    fork: dict[str, Any] = {"sessionId": "s2"}
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    copied = lines.reply(2, requestSessionId="s1", **fork)
    home.write("s2", [copied, lines.prompt(9, **fork), lines.reply(10, "msg_2", **fork)])

    assert rules(home, "s1") == [
        ("s1", 2, Verdict.COUNTED, Rule.FIRST),
        ("s2", 1, Verdict.SKIPPED, Rule.COPY),
    ]
    told = list(explain("s2", [home.path]))
    copies = [line for line in told if line.fact_key == "claude:msg_1"]
    assert [(line.session_id, line.verdict, line.rule) for line in copies] == [
        ("s1", Verdict.SKIPPED, Rule.COPIED)
    ]
    assert [line.fact_key for line in own(told, "s2")] == ["claude:msg_2"]


def test_a_side_questions_replay_is_none_of_its_own(home: Home, lines: Lines) -> None:
    side: dict[str, Any] = {"isSidechain": True}
    home.write("s1", [lines.prompt(1), lines.reply(2)])
    home.write("s1/subagents/agent-a", [lines.reply(2, **side), lines.reply(9, "msg_2", **side)])

    assert rules(home) == [
        ("s1", 2, Verdict.COUNTED, Rule.FIRST),
        ("agent-a", 1, Verdict.SKIPPED, Rule.REPLAY),
        ("agent-a", 2, Verdict.COUNTED, Rule.FIRST),
    ]


def test_a_session_that_nobody_knows_has_no_lines(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.reply(2)])

    assert list(explain("s9", [home.path])) == []


def test_every_rule_is_a_sentence_of_the_page_that_explains_counting() -> None:
    page = " ".join((ROOT / "docs" / "explanation" / "counting.md").read_text().split())

    assert [rule.value for rule in Rule if rule.value not in page] == []
