from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from codex_watcher.explain import explain, sessions
from codex_watcher.scan import scan
from codex_watcher.spend import Rule
from telemhq_agents.collecting import Explained, Verdict
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "codex"
MUCH_LATER = 1_900_000_000_000
VERSIONS = ["0.98.0", "0.145.0", "0.169.0"]
COUNTERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
TRICKS = [
    ("repeat", 1, {Rule.REPEATED}),
    ("null-info", 1, {Rule.NO_TOTAL}),
    ("records", 1, {Rule.RECORD, Rule.RECORDED}),
    ("compaction", 1, {Rule.GREW}),
    ("fork", 9, {Rule.COPIED}),
    ("spawn-history", 9, {Rule.FIRST, Rule.GREW}),
    ("reset", 1, {Rule.ANEW}),
]
"""Tricks of the corpus, the seed of a small one that has them, and rules that must speak there."""


def home_of(version: str) -> Path:
    return FIXTURES / version / "home"


def booked(home: Path) -> InMemoryLedger:
    ledger = InMemoryLedger()
    scan(ledger, home, FolderNamer(), now_ms=MUCH_LATER)
    return ledger


def sums_of_ledger(ledger: InMemoryLedger, session: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for fact in ledger.facts.values():
        if session in {fact.session_id, fact.thread_id}:
            found.update({name: getattr(fact, name) for name in COUNTERS}, responses=1)
    return found


def sums_of_lines(lines: list[Explained]) -> Counter[str]:
    """Add up what was counted; a line that grew a fact tells all that the fact holds."""
    facts = {line.fact_key: line for line in lines if line.verdict is not Verdict.SKIPPED}
    found: Counter[str] = Counter()
    for line in facts.values():
        found.update({name: getattr(line, name) for name in COUNTERS}, responses=1)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_counted_line_by_line_is_what_the_ledger_holds(version: str) -> None:
    ledger = booked(home_of(version))
    names = sessions(home_of(version))

    assert {fact.thread_id for fact in ledger.facts.values()} <= names
    for session in names:
        lines = [*explain(session, home_of(version))]
        assert +sums_of_lines(lines) == +sums_of_ledger(ledger, session), session


@pytest.mark.parametrize(("trick", "seed", "speaks"), TRICKS, ids=[name for name, *_ in TRICKS])
def test_each_trick_is_explained_by_its_rule_and_adds_up(
    trick: str, seed: int, speaks: set[Rule], tmp_path: Path
) -> None:
    size = ["--mb", "3" if seed < 9 else "6", "--claude-share", "0.02", "--seed", str(seed)]
    maker = [sys.executable, str(ROOT / "bench" / "make_corpus.py"), str(tmp_path), *size]
    subprocess.run([*maker, "--only", trick], check=True, capture_output=True)
    home, ledger = tmp_path / "codex", booked(tmp_path / "codex")

    rules: set[str] = set()
    added: Counter[str] = Counter()
    for session in {fact.session_id for fact in ledger.facts.values()}:
        lines = [*explain(session, home)]
        rules |= {line.rule for line in lines}
        added.update(sums_of_lines(lines))
    truth = json.loads((tmp_path / "truth.json").read_text())["codex"]

    assert speaks <= rules
    assert added["responses"] == truth["responses"]
    assert added["input_tokens"] == truth["totals"]["input"]
    assert added["output_tokens"] == truth["totals"]["output"]


def test_every_line_is_found_where_it_says() -> None:
    home = home_of("0.169.0")
    seen = 0
    for session in sessions(home):
        for told in explain(session, home):
            line = told.path.read_bytes().split(b"\n")[told.line - 1]
            assert b"token" in line, told
            if told.rule == Rule.RECORD:
                assert told.fact_key.removeprefix("codex:").encode() in line
                assert f'"input_tokens":{told.input_tokens},'.encode() in line
                seen += 1

    assert seen >= 100


def test_a_thread_is_explained_without_the_rest_of_its_session() -> None:
    home = home_of("0.169.0")
    ledger = booked(home)
    (session, thread), *_ = (
        (fact.session_id, fact.thread_id)
        for fact in ledger.facts.values()
        if fact.session_id != fact.thread_id
    )

    of_thread, of_session = [*explain(thread, home)], [*explain(session, home)]

    assert {line.session_id for line in of_thread} == {session}
    assert 0 < len(of_thread) < len(of_session)


def log(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def said(kind: str, **payload: object) -> str:
    told = {"timestamp": "2026-11-20T07:35:28.753Z", "type": kind, "payload": payload}
    return json.dumps(told, separators=(",", ":"))


def record(response: str, tokens: int) -> str:
    usage = {"input_tokens": tokens, "output_tokens": 1}
    return said("token_usage_record", response_id=response, thread_id="me", usage=usage)


def test_copies_damage_and_repeats_are_named_line_by_line(tmp_path: Path) -> None:
    meta = said("session_meta", id="me")
    compacted = said("compacted", message="", latest_token_usage_record={"usage": {}})
    broken = record("resp_9", 9)[:-9]
    path = log(
        tmp_path / "sessions" / "rollout-a.jsonl",
        meta,
        record("resp_1", 5),
        record("resp_1", 5),
        record("resp_1", 8),
        compacted,
        broken,
    )

    lines = [*explain("me", tmp_path)]

    assert [(line.line, line.verdict, line.rule) for line in lines] == [
        (2, Verdict.COUNTED, Rule.RECORD),
        (3, Verdict.SKIPPED, Rule.KNOWN),
        (4, Verdict.GREW, Rule.RECORD),
        (5, Verdict.SKIPPED, Rule.COMPACTION),
        (6, Verdict.SKIPPED, Rule.BAD),
    ]
    assert {line.path for line in lines} == {path}
    assert sums_of_lines(lines)["input_tokens"] == 8
    assert sums_of_ledger(booked(tmp_path), "me")["input_tokens"] == 8


def test_an_id_that_no_log_has_explains_nothing(tmp_path: Path) -> None:
    assert [*explain("nobody", home_of("0.98.0"))] == []
    assert sessions(tmp_path) == set()
