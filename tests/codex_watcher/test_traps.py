"""Every trap that Codex's logs are known to hold, alone: what it fools, and that we are not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from codex_watcher.scan import scan
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger
from tests.codex_watcher.made_history import PARTS, Figures, MadeHistory, Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Step = Callable[[MadeHistory, Thread, Figures], None]
ONE: Figures = (1933, 896, 0, 54, 11)
OTHER: Figures = (2941, 1024, 64, 112, 33)


def lines(home: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(home.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            told = json.loads(line)
            payload = told["payload"]
            yield str(path), payload | {"kind": payload.get("type", told["type"])}


def infos(home: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, told in lines(home):
        if told["kind"] == "token_count" and told["info"]:
            yield path, told["info"]


# What others count: each is right somewhere, and wrong where a trap lies.


def every_last(home: Path) -> int:
    return sum(int(info["last_token_usage"]["input_tokens"]) for _, info in infos(home))


def final_totals(home: Path) -> int:
    ends: dict[str, int] = {
        path: info["total_token_usage"]["input_tokens"] for path, info in infos(home)
    }
    return sum(ends.values())


def records_and_counts(home: Path) -> int:
    records = (told for _, told in lines(home) if told["kind"] == "token_usage_record")
    return every_last(home) + sum(int(told["usage"]["input_tokens"]) for told in records)


def records_anywhere(home: Path) -> int:
    text = "".join(path.read_text() for path in home.rglob("*.jsonl"))
    found = [
        piece.split(',"usage":{"input_tokens":')[1] for piece in text.split('"response_id":"')[1:]
    ]
    return sum(int(piece.partition(",")[0]) for piece in found)


def distinct_usages(home: Path) -> int:
    seen = {tuple(info["last_token_usage"].values()) for _, info in infos(home)}
    return sum(usage[0] for usage in seen)


def goes_on_newer(history: MadeHistory, thread: Thread, figures: Figures) -> None:
    """A log that an old version began and a new one goes on with."""
    thread.is_modern = True
    history.respond(thread, figures)


def largest_total_of_a_thread(home: Path) -> int:
    found: dict[str, int] = {}
    for path, info in infos(home):
        thread = path.rpartition("rollout-")[2][20:56]
        found[thread] = max(found.get(thread, 0), info["total_token_usage"]["input_tokens"])
    return sum(found.values())


M = MadeHistory
TRAPS: list[tuple[str, bool, list[Step], Callable[[Path], int]]] = [
    ("counts are written again", False, [M.repeat, M.respond, M.repeat, M.repeat], every_last),
    ("rate limits come without a total", False, [M.tell_limits, M.repeat, M.respond], every_last),
    (
        "totals restart when a thread is resumed",
        False,
        [M.resume_anew, M.resume_anew],
        final_totals,
    ),
    ("a fork's log begins with its parent's", False, [M.fork_by_copy], every_last),
    ("a fork's log begins with records, too", True, [M.fork_by_copy], records_anywhere),
    ("forks of forks", False, [M.fork_by_copy, M.fork_by_copy, M.fork_by_copy], final_totals),
    ("a fork that was never used", False, [M.fork_in_silence], every_last),
    ("a fork goes on with its parent's total", True, [M.fork_by_name], final_totals),
    ("a thread goes on in a second file", True, [M.respond, M.revert], largest_total_of_a_thread),
    ("a compaction copies a record", True, [M.compact], records_anywhere),
    ("a record and a count tell the same", True, [M.respond], records_and_counts),
    ("begun by an old version", False, [goes_on_newer, M.repeat], records_and_counts),
    ("a cut-off response says that it was nothing", True, [M.respond_cut_off], every_last),
    ("two responses use the same", False, [M.respond, M.respond], distinct_usages),
    ("a subagent has a log of its own", True, [M.spawn, M.spawn], distinct_usages),
    ("a subagent inherits turns", True, [M.spawn_with_history], records_and_counts),
    ("a review's turn starts in two logs", True, [M.review, M.respond], records_and_counts),
]


@pytest.mark.parametrize(
    ("is_modern", "steps", "fooled"),
    [trap[1:] for trap in TRAPS],
    ids=[trap[0].replace(" ", "-") for trap in TRAPS],
)
def test_no_trap_makes_us_count_other_than_what_was_spent(
    is_modern: bool, steps: list[Step], fooled: Callable[[Path], int], tmp_path: Path
) -> None:
    history, ledger = MadeHistory(tmp_path), InMemoryLedger()
    thread = history.begin(is_modern=is_modern)
    history.respond(thread, ONE)
    history.respond(thread, OTHER)
    for step in steps:
        step(history, thread, OTHER)

    scan(ledger, tmp_path, FolderNamer(), now_ms=1_900_000_000_000)

    spent = sum(history.truth.values(), Counter[str]())
    names = (name.replace("_input", "") if "write" in name else name for name in PARTS)
    ours = [name.replace("reasoning_output", "reasoning") for name in names]
    for name, own in zip(PARTS, ours, strict=True):
        assert sum(getattr(fact, own) for fact in ledger.facts.values()) == spent[name], name
    assert len(ledger.facts) == spent["responses"]
    assert len(ledger.turns) == sum(history.turns.values())
    assert fooled(tmp_path) != spent["input_tokens"]
