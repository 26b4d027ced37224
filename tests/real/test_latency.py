"""What the hook costs a real Claude Code; the figures are shown below the tests."""

from __future__ import annotations

import fcntl
import json
import math
import resource
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real.programs import Coder
    from tests.real.stage import Stage

ROUNDS, STARTS = 5, 20
TOLD = {"SessionStart": 1, "UserPromptSubmit": 1, "PostToolUse": 40, "Stop": 1, "SessionEnd": 1}


@contextmanager
def nobody_drains(coder: Coder) -> Iterator[None]:
    """Hold the agent's lock, so that the hook wakes nobody and its entries stay to be counted."""
    lock = coder.home / "telemhq" / "locks" / "agent.lock"
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def taken_entries(coder: Coder) -> Counter[str]:
    """Return how often each event was told, and forget it."""
    seen: Counter[str] = Counter()
    for entry in (coder.home / "telemhq" / "spool").glob("*.json"):
        seen[json.loads(entry.read_text())["event"]] += 1
        entry.unlink()
    return seen


@dataclass
class Cost:
    """The least that some work took, in milliseconds: what else the machine does only adds."""

    wall: float = math.inf
    processor: float = math.inf

    def measure(self, work: Callable[[], object]) -> None:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic_ns()
        work()
        took = (time.monotonic_ns() - began) / 1e6
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.wall = min(self.wall, took)
        self.processor = min(self.processor, used * 1000)


def interpreter() -> None:
    """Run what no hook in Python can be quicker than."""
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)


@pytest.mark.parametrize("way", ["settings", "plugin"])
def test_every_event_is_told_once(
    way: str, bare_stage: Stage, figures: list[tuple[str, ...]]
) -> None:
    coder = bare_stage.coder
    without, hooked, bare = Cost(), Cost(), Cost()
    install(coder, way)
    installed = coder.claude_settings()
    silenced = installed | {"disableAllHooks": True}

    with nobody_drains(coder):
        for _ in range(ROUNDS):
            coder.sets_claude_settings(silenced)
            without.measure(lambda: coder.claude("play:forty"))
            assert taken_entries(coder) == {}
            coder.sets_claude_settings(installed)
            hooked.measure(lambda: coder.claude("play:forty"))
            assert taken_entries(coder) == TOLD
            bare.measure(interpreter)

    figures += [
        row(way, "wall", without.wall, hooked.wall, bare.wall),
        row(way, "processor", without.processor, hooked.processor, bare.processor),
    ]


def row(way: str, what: str, without: float, hooked: float, bare: float) -> tuple[str, ...]:
    added, interpreter = (hooked - without) / sum(TOLD.values()), bare / STARTS
    figures = (f"{without:.0f}", f"{hooked:.0f}", f"{added:.1f}", f"{interpreter:.1f}")
    return (f"{way}, {what}", *figures, f"{added / interpreter:.2f}")


def install(coder: Coder, way: str) -> None:
    if way == "settings":
        coder.run("claude", "install")
        return
    coder.installs_plugin()
    coder.run("claude", "install", "--plugin")
