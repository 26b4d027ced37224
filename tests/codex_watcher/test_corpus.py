"""A larger corpus with every trap that logs are known to hold, and the truth told by its maker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_watcher.scan import plan, scan
from telemhq_agents import clock
from telemhq_agents.collecting import collect
from telemhq_agents.usage import Source
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from telemhq_agents.reading import Reading
    from telemhq_agents.usage import UsageFact

MAKER = Path(__file__).resolve().parents[2] / "bench" / "make_corpus.py"
TRICKS = {
    "codex_archived_sessions",
    "codex_forks",
    "codex_model_switches",
    "codex_null_info",
    "codex_remote_compactions",
    "codex_repeated_token_counts",
    "codex_subagent_threads",
    "codex_subagent_threads_with_history",
    "codex_total_resets",
    "codex_unrecorded_compactions",
}


ONE_BY_ONE = [
    ("none", 2, "codex_sessions"),
    ("repeat", 1, "codex_repeated_token_counts"),
    ("null-info", 1, "codex_null_info"),
    ("records", 1, "codex_sessions"),
    ("compaction", 1, "codex_remote_compactions"),
    ("fork", 9, "codex_forks"),
    ("spawn-history", 9, "codex_subagent_threads_with_history"),
    ("fork,kept-timestamps", 9, "codex_forks"),
    ("archived", 2, "codex_archived_sessions"),
    ("reset", 1, "codex_total_resets"),
    ("modern", 1, "codex_sessions"),
]
"""Tricks, the seed of a small corpus that has them, and what its maker counts them as."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("corpus")
    size = ["--mb", "25", "--claude-share", "0.03", "--seed", "18"]
    subprocess.run([sys.executable, str(MAKER), str(place), *size], check=True, capture_output=True)
    return place


def sums(ledger: InMemoryLedger, by: Callable[[UsageFact], str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for fact in ledger.facts.values():
        found[by(fact)].update(
            input=fact.input_tokens,
            cached_input=fact.cached_input_tokens,
            output=fact.output_tokens,
            reasoning_output=fact.reasoning_tokens,
            total=fact.input_tokens + fact.output_tokens,
        )
    return {name: dict(counter) for name, counter in found.items()}


def test_a_corpus_with_every_trap_sums_to_its_truth(corpus: Path) -> None:
    everything: dict[str, Any] = json.loads((corpus / "truth.json").read_text())
    truth, ledger = everything["codex"], InMemoryLedger()

    report = scan(ledger, corpus / "codex", FolderNamer(), now_ms=1_900_000_000_000)
    again = scan(ledger, corpus / "codex", FolderNamer(), now_ms=1_900_000_000_000)

    assert everything["tricks"].keys() >= TRICKS
    assert (report.files, report.bad_lines, report.problems) == (truth["files"], 0, [])
    assert report.new_facts == truth["responses"]
    assert sums(ledger, lambda fact: fact.source) == {"codex": truth["totals"]}
    assert sums(ledger, lambda fact: fact.model) == truth["by_model"]
    assert sums(ledger, lambda fact: clock.to_iso(fact.at_ms)[:10]) == truth["by_day"]
    assert sums(ledger, lambda fact: fact.place.cwd) == truth["by_project"]
    assert (again.files_read, again.new_facts, again.changed_facts) == (0, 0, 0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_processes_read_what_one_reads(corpus: Path) -> None:
    alone, together = InMemoryLedger(), InMemoryLedger()
    scan(alone, corpus / "codex", FolderNamer(), now_ms=1_900_000_000_000)

    planned = plan({}, corpus / "codex", FolderNamer(), now_ms=1_900_000_000_000)
    report = collect(together, [planned], workers=2)[Source.CODEX]

    assert (report.files_read, report.problems) == (report.files, [])
    assert (together.facts, together.turns) == (alone.facts, alone.turns)
    assert together.cursors(Source.CODEX) == alone.cursors(Source.CODEX)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_a_killed_process_left_unread_is_read_the_next_time(corpus: Path) -> None:
    home, ledger = corpus / "codex", InMemoryLedger()
    planned = plan({}, home, FolderNamer(), now_ms=1_900_000_000_000)
    victim = planned.jobs[len(planned.jobs) // 2]

    def killed() -> Iterator[Reading]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield from victim.read()

    planned.jobs[len(planned.jobs) // 2] = victim._replace(read=killed)
    first = collect(ledger, [planned], workers=2)[Source.CODEX]
    unread = {problem.partition(": ")[0] for problem in first.problems}
    cursors = {cursor.path for cursor in ledger.cursors_by_key.values()}
    second = scan(ledger, home, FolderNamer(), now_ms=1_900_000_000_000)
    truth = json.loads((corpus / "truth.json").read_text())["codex"]

    assert victim.path in unread
    assert unread.isdisjoint(cursors)
    assert second.files_read == len(unread)
    assert sums(ledger, lambda fact: fact.source) == {"codex": truth["totals"]}


@pytest.mark.parametrize(("tricks", "seed", "counted"), ONE_BY_ONE, ids=[t for t, *_ in ONE_BY_ONE])
def test_each_trap_alone_sums_to_its_truth(
    tricks: str, seed: int, counted: str, tmp_path: Path
) -> None:
    megabytes = "3" if seed < 9 else "6"
    size = ["--mb", megabytes, "--claude-share", "0.02", "--seed", str(seed)]
    making = [sys.executable, str(MAKER), str(tmp_path), *size, "--only", tricks]
    subprocess.run(making, check=True, capture_output=True)
    everything = json.loads((tmp_path / "truth.json").read_text())
    truth, ledger = everything["codex"], InMemoryLedger()

    report = scan(ledger, tmp_path / "codex", FolderNamer(), now_ms=1_900_000_000_000)

    assert everything["tricks"][counted] > 0
    assert (report.new_facts, report.problems) == (truth["responses"], [])
    assert sums(ledger, lambda fact: fact.source) == {"codex": truth["totals"]}
    assert sums(ledger, lambda fact: fact.model) == truth["by_model"]
    assert sums(ledger, lambda fact: clock.to_iso(fact.at_ms)[:10]) == truth["by_day"]
