"""A larger corpus with every trap that logs are known to hold, and the truth told by its maker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_watcher.scan import scan
from telemhq_agents import clock
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Callable

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
