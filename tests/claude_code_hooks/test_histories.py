"""Made-up histories give their truth: every reply once, with its figures, in its own session."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_code_hooks.scan import scan
from telemhq_agents import tail
from tests.claude_code_hooks.made_sessions import STEPS, Cost, History, encoded, made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from tests.claude_code_hooks.conftest import MemoryLedger, PlainNamer

LATER_MS = 1_900_000_000_000
HISTORIES = st.lists(st.sampled_from(STEPS), min_size=1, max_size=14)
DICE = st.randoms(use_true_random=False)
SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def costs(ledger: MemoryLedger) -> dict[str, Cost]:
    return {
        key: Cost(
            fact.at_ms,
            fact.session_id,
            fact.model,
            fact.input_tokens,
            fact.cached_input_tokens,
            fact.cache_write_tokens,
            fact.cache_write_1h_tokens,
            fact.output_tokens,
            fact.estimate,
        )
        for key, fact in ledger.facts.items()
    }


@contextmanager
def small_blocks(dice: Random) -> Iterator[None]:
    """Have logs read in blocks that end anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "LINES_AT_ONCE_BYTES", dice.choice((200, 900, 3000, 1 << 17)))
        yield


def paths(history: History, home: Path) -> dict[str, Path]:
    folder = home / "projects" / "-home-dev-repo"
    found = {name: folder / f"{name}.jsonl" for name in history.files}
    for path in found.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    return found


@given(steps=HISTORIES, dice=DICE)
@SLOW
def test_every_reply_counts_once_with_its_figures_in_its_session(
    steps: list[str],
    dice: Random,
    tmp_path_factory: pytest.TempPathFactory,
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    history, home, ledger = made(steps, dice), tmp_path_factory.mktemp("home"), new_ledger()
    files = list(paths(history, home).items())
    dice.shuffle(files)
    for written_s, (name, path) in enumerate(files, 1):
        path.write_bytes(encoded(history.files[name]))
        os.utime(path, (written_s, written_s))

    with small_blocks(dice):
        report = scan(ledger, [home], new_namer(), now_ms=LATER_MS)

    assert costs(ledger) == history.truth
    assert (report.bad_lines, report.problems) == (0, [])
    assert report.lines == sum(map(len, history.files.values()))


@given(steps=HISTORIES, dice=DICE, stops=st.integers(min_value=1, max_value=4))
@SLOW
def test_files_that_grow_byte_by_byte_give_the_same_in_the_end(
    steps: list[str],
    dice: Random,
    stops: int,
    *,
    tmp_path_factory: pytest.TempPathFactory,
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    history, home, ledger = made(steps, dice), tmp_path_factory.mktemp("home"), new_ledger()
    whole = {path: encoded(history.files[name]) for name, path in paths(history, home).items()}
    for stop in range(1, stops + 1):
        for path, data in whole.items():
            length = len(data) if stop == stops else dice.randint(0, len(data))
            if not path.exists() or path.stat().st_size < length:
                path.write_bytes(data[:length])
                os.utime(path, ns=(stop * 10**9, stop * 10**9))
        with small_blocks(dice):
            scan(ledger, [home], new_namer(), now_ms=LATER_MS)
        assert costs(ledger).keys() <= history.truth.keys()

    assert costs(ledger) == history.truth


@given(steps=HISTORIES, dice=DICE)
@SLOW
def test_a_file_cut_anywhere_and_gone_on_with_loses_the_torn_line_alone(
    steps: list[str],
    dice: Random,
    tmp_path_factory: pytest.TempPathFactory,
    new_ledger: type[MemoryLedger],
    new_namer: type[PlainNamer],
) -> None:
    """Killed while writing a line; a later process writes its own right behind what is there."""
    history, home, ledger = made(steps, dice), tmp_path_factory.mktemp("home"), new_ledger()
    torn_keys = set()
    for name, path in paths(history, home).items():
        lines = history.files[name]
        at = dice.randrange(len(lines))
        torn = encoded(lines[at : at + 1])
        cut = dice.randint(1, len(torn) - 2)
        path.write_bytes(encoded(lines[:at]) + torn[:cut] + encoded(lines[at + 1 :]))
        torn_keys |= keys_of(lines[at])

    scan(ledger, [home], new_namer(), now_ms=LATER_MS)

    found = costs(ledger)
    assert history.truth.keys() - torn_keys <= found.keys() <= history.truth.keys()
    for key in found.keys() - torn_keys:
        assert found[key] == history.truth[key]


def keys_of(line: dict[str, object]) -> set[str]:
    """The facts that a line is one of the tellings of."""
    message = line.get("message")
    named = message.get("id") if isinstance(message, dict) else None
    session = line.get("requestSessionId") or line.get("sessionId")
    return {f"claude:{named}", f"claude:{session}:{line.get('uuid')}"}
