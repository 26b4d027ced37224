"""Histories whose truth is known by construction: what is booked is what was spent, once."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_watcher.explain import explain
from codex_watcher.scan import scan
from telemhq_agents.collecting import Verdict
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger
from tests.codex_watcher.made_history import STEPS, Figures, MadeHistory

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MUCH_LATER = 1_900_000_000_000
OURS = {
    "input_tokens": "input_tokens",
    "cached_input_tokens": "cached_input_tokens",
    "cache_write_input_tokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    """Draw what a response used; sizes collide on purpose, as those of headless jobs do."""
    whole, output = draw(st.sampled_from([40, 1000, 1933])), draw(st.sampled_from([1, 54]))
    cached = draw(st.sampled_from([0, whole // 2, whole]))
    written = draw(st.sampled_from([0, whole - cached]))
    return whole, cached, written, output, draw(st.sampled_from([0, output]))


steps = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 99), figures()), min_size=1, max_size=14
)


def truth_of(history: MadeHistory) -> dict[str, Counter[str]]:
    return {thread: +spent for thread, spent in history.truth.items() if spent}


def booked(ledger: InMemoryLedger) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for fact in ledger.facts.values():
        told = {name: getattr(fact, own) for name, own in OURS.items()}
        found.setdefault(fact.thread_id, Counter()).update(told, responses=1)
    return {thread: +spent for thread, spent in found.items()}


def read(ledger: InMemoryLedger, home: Path) -> None:
    report = scan(ledger, home, FolderNamer(), now_ms=MUCH_LATER)
    assert (report.problems, report.bad_lines) == ([], 0)


def migrate(path: Path) -> None:
    """Rewrite a log in place, as background migrations do: another inode, the old time."""
    status = path.stat()
    copy = path.with_suffix(".new")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)


def shelve(path: Path) -> None:
    """Archive a log, or take it out again when it is asked for; where it lies must not matter."""
    archive = path.parents[1] / "archived_sessions"
    archive.mkdir(exist_ok=True)
    path.rename(archive / path.name)


def compress(path: Path) -> None:
    packed = zstandard.ZstdCompressor(level=3).compress(path.read_bytes())
    path.with_name(path.name + ".zst").write_bytes(packed)
    path.unlink()


def back(home: Path) -> None:
    """Codex unpacks and unarchives a log before it writes to it again."""
    for path in [*home.rglob("*.zst")]:
        plain = home / "sessions" / path.name.removesuffix(".zst")
        plain.write_bytes(zstandard.ZstdDecompressor().decompress(path.read_bytes()))
        path.unlink()
    for path in [*home.glob("archived_sessions/*.jsonl")]:
        path.rename(home / "sessions" / path.name)


@QUICK
@given(is_modern=st.booleans(), steps=steps)
def test_every_history_is_booked_as_it_was_spent(
    is_modern: bool,
    steps: list[tuple[object, int, Figures]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    history = MadeHistory(tmp_path_factory.mktemp("history"))
    history.respond(history.begin(is_modern=is_modern), (1404, 0, 0, 9, 0))
    ledger = InMemoryLedger()

    for step, which, spent in steps:
        step(history, history.threads[which % len(history.threads)], spent)  # type: ignore[operator]  # - a method of MadeHistory
    read(ledger, history.home)

    assert booked(ledger) == truth_of(history)
    assert Counter(turn.thread_id for turn in ledger.turns.values()) == +history.turns
    assert {fact.estimate for fact in ledger.facts.values()} == {""}
    for thread, spent_there in truth_of(history).items():
        lines = [line for line in explain(thread, history.home) if line.verdict is Verdict.COUNTED]
        of_thread = [line for line in lines if ledger.facts[line.fact_key].thread_id == thread]
        assert sum(line.input_tokens for line in of_thread) == spent_there["input_tokens"]


@QUICK
@given(
    is_modern=st.booleans(),
    steps=steps,
    between=st.lists(st.sampled_from(["", "read", "migrate", "shelve", "compress"]), min_size=14),
)
def test_reading_at_any_time_wherever_the_logs_lie_books_the_same(
    is_modern: bool,
    steps: list[tuple[object, int, Figures]],
    between: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    history = MadeHistory(tmp_path_factory.mktemp("history"))
    history.respond(history.begin(is_modern=is_modern), (1404, 0, 0, 9, 0))
    ledger = InMemoryLedger()
    change = {"migrate": migrate, "shelve": shelve, "compress": compress}

    for (step, which, spent), event in zip(steps, between, strict=False):
        step(history, history.threads[which % len(history.threads)], spent)  # type: ignore[operator]  # - a method of MadeHistory
        if event in change:
            for path in [*history.home.glob("sessions/*.jsonl")][:: 1 + which % 2]:
                change[event](path)
        if event:
            read(ledger, history.home)
            back(history.home)
    read(ledger, history.home)

    assert booked(ledger) == truth_of(history)
    whole = InMemoryLedger()
    read(whole, history.home)
    assert whole.facts == ledger.facts
