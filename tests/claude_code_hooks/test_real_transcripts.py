"""Transcripts that the real program wrote, against what it was billed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_code_hooks.scan import scan
from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.usage import TurnStatus

if TYPE_CHECKING:
    from tests.claude_code_hooks.conftest import MemoryLedger, PlainNamer

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ["2.1.328"]
NOW_MS = 1_800_000_000_000


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest, fixtures: Path) -> Path:
    return fixtures / str(request.param)


@pytest.fixture
def read(folder: Path, new_ledger: type[MemoryLedger], new_namer: type[PlainNamer]) -> MemoryLedger:
    ledger = new_ledger()
    scan(ledger, [folder / "home"], new_namer(), now_ms=NOW_MS)
    return ledger


def test_every_session_and_model_equals_the_truth(folder: Path, read: MemoryLedger) -> None:
    truth = json.loads((folder / "truth.json").read_text())["transcript"]

    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for fact in read.facts.values():
        found[fact.session_id, fact.model].update(
            requests=1,
            input_tokens=fact.input_tokens,
            cached=fact.cached_input_tokens,
            written=fact.cache_write_tokens,
            written_1h=fact.cache_write_1h_tokens,
            output_tokens=fact.output_tokens,
        )

    expected = {
        (row["session_id"], row["model"]): Counter(
            requests=row["requests"],
            input_tokens=row["input_tokens"]
            + row["cache_creation_input_tokens"]
            + row["cache_read_input_tokens"],
            cached=row["cache_read_input_tokens"],
            written=row["cache_creation_input_tokens"],
            written_1h=row["cache_creation_1h"],
            output_tokens=row["output_tokens"],
        )
        for row in truth
    }
    assert found == expected
    assert sum(row["requests"] for row in truth) == len(read.facts) == 72


def test_each_prompt_that_somebody_gave_is_one_run(folder: Path, read: MemoryLedger) -> None:
    submitted = {
        event["prompt_id"]: event["prompt"]
        for line in (folder / "hook_events.jsonl").read_text().splitlines()
        if (event := json.loads(line))["hook_event_name"] == "UserPromptSubmit"
    }
    given = {key for key, text in submitted.items() if text.startswith("LAB:")}

    assert read.turns.keys() == {f"claude:{prompt_id}" for prompt_id in given}
    assert len(given) == 29


def test_runs_that_ended_in_an_api_error_failed(read: MemoryLedger) -> None:
    failed = [key for key, status in read.statuses().items() if status is TurnStatus.ERROR]

    assert {read.turns[key].session_id[:8] for key in failed} == {"646af6f1", "6c293cec"}
    assert set(read.statuses().values()) == {TurnStatus.SUCCESS, TurnStatus.ERROR}
    assert [read.turns[key].failure for key in failed] == ["unknown", "server_error"]


def test_a_sub_agents_replies_belong_to_the_run_that_sent_it(read: MemoryLedger) -> None:
    session = "3953b867-66ee-4f03-b530-a277d6403f41"
    replies = [fact for fact in read.facts.values() if fact.session_id == session]

    assert len(replies) == 6
    assert len({fact.turn_key for fact in replies}) == 1
    assert replies[0].turn_key in read.turns


def test_what_a_background_task_set_going_belongs_to_the_run_before(read: MemoryLedger) -> None:
    session = "f8525ad7-5dcf-4348-bed5-4c9a2a97b8c9"
    turns = {fact.turn_key for fact in read.facts.values() if fact.session_id == session}

    assert turns == {"claude:82885874-db1f-4771-a1b4-eacf9a050784"}


def test_a_forks_copies_stay_with_the_session_and_run_they_came_from(read: MemoryLedger) -> None:
    original = "0b88ac2b-5bc6-4e1b-b867-da6c0fe6f0f9"
    fork = "bfd0b1ef-4a12-48ac-b98f-eafd40ba1fc7"
    turns_of = {
        session: {fact.turn_key for fact in read.facts.values() if fact.session_id == session}
        for session in (original, fork)
    }

    own = "claude:0a530acf-8a55-4bae-8e11-d344b938fb2e"
    assert turns_of == {original: {"claude:9e5454d8-6f76-41c9-b769-a93e21529b98"}, fork: {own}}
    assert read.turns[own].started_ms == from_iso("2026-11-20T08:01:21.955Z")


def test_reading_again_adds_nothing(
    folder: Path, read: MemoryLedger, new_namer: type[PlainNamer]
) -> None:
    facts, turns = dict(read.facts), dict(read.turns)

    report = scan(read, [folder / "home"], new_namer(), now_ms=NOW_MS)
    read.known_cursors.clear()
    anew = scan(read, [folder / "home"], new_namer(), now_ms=NOW_MS)

    assert (report.files_read, report.new_facts, report.changed_facts) == (0, 0, 0)
    assert (anew.files_read, anew.new_facts, anew.changed_facts) == (35, 0, 0)
    assert (read.facts, read.turns) == (facts, turns)


ONE_BY_ONE = [
    *[("none", 1), ("partial", 1), ("no-request-id", 4), ("resume", 4), ("side-question", 4)],
    *[("progress-echo", 2), ("task-usage", 1), ("workflows", 1), ("synthetic", 1)],
    *[("unknown-model", 1), ("one-hour", 1), ("iterations", 4), ("cut-line", 4), ("quoted", 4)],
    ("modern", 1),
]
"""Tricks, and the seed of a small corpus that has them where its maker counts them."""
COUNTED = {
    "partial": "claude_partial_then_final",
    "no-request-id": "claude_no_request_id",
    "resume": "claude_resumed_copies",
    "side-question": "claude_side_questions",
    "synthetic": "claude_synthetic_errors",
}
EVERY_TRICK = "14"
ONE_TRICK = "3"


@pytest.mark.parametrize(
    ("megabytes", "seed", "only"),
    [
        pytest.param(EVERY_TRICK, 1, "", id="every trick 1"),
        pytest.param(EVERY_TRICK, 10, "", id="every trick 10"),
        *[pytest.param(ONE_TRICK, seed, name, id=name) for name, seed in ONE_BY_ONE],
    ],
)
def test_a_made_up_corpus_gives_its_truth_with_every_trick_and_with_each_alone(
    megabytes: str,
    seed: int,
    only: str,
    *,
    tmp_path: Path,
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    size = ["--seed", str(seed), "--mb", megabytes, "--claude-share", "0.95", "--only", only]
    making = [sys.executable, str(ROOT / "bench" / "make_corpus.py"), str(tmp_path), *size]
    subprocess.run(making, check=True, capture_output=True)
    everything = json.loads((tmp_path / "truth.json").read_text())
    truth = everything["claude"]
    ledger = new_ledger()

    report = scan(ledger, [tmp_path / "claude"], new_namer(), now_ms=NOW_MS)

    by_day_model: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fact in ledger.facts.values():
        written, long = fact.cache_write_tokens, fact.cache_write_1h_tokens
        by_day_model[f"{to_iso(fact.at_ms)[:10]} {fact.model}"].update(
            input=fact.input_tokens - fact.cached_input_tokens - written,
            output=fact.output_tokens,
            cache_write_5m=written - long,
            cache_write_1h=long,
            cache_read=fact.cached_input_tokens,
            total=fact.input_tokens + fact.output_tokens,
        )
    assert by_day_model == {key: Counter(row) for key, row in truth["by_day_model"].items()}
    assert len(ledger.facts) == truth["responses"]
    assert report.problems == []
    assert truth["totals"] != truth["wrong_rules"]["no dedupe at all"]
    assert only not in COUNTED or everything["tricks"][COUNTED[only]] > 0
