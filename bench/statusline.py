"""`telemhq statusline` against bare Python, in one run: `python -m bench.statusline`.

Whole processes through the installed console script, on a ledger of a year's work (40,000 buckets of
4,000 sessions). Prints both sides, the last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from telemhq_agents import clock
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Place, Source, UsageFact

ROUNDS = 40
SESSIONS, BUCKETS_OF_EACH = 4000, 10
TELEMHQ = str(Path(sys.executable).with_name("telemhq"))
GOAL = 4.0


def fact(number: int, now_ms: int) -> UsageFact:
    session, turn = f"session-{number // BUCKETS_OF_EACH}", f"claude:turn-{number}"
    return UsageFact(
        f"claude:msg_{number}",
        Source.CLAUDE,
        session,
        session,
        turn,
        "anthropic",
        "claude-opus-4-8",
        Place("/nowhere", "nowhere", "nowhere"),
        now_ms - number * 700_000,
        input_tokens=1000,
        output_tokens=100,
    )


def fill(path: Path) -> None:
    now_ms = clock.now_ms()
    with Ledger.open(path) as ledger:
        for first in range(0, SESSIONS * BUCKETS_OF_EACH, 5000):
            ledger.book(Batch([fact(first + more, now_ms) for more in range(5000)]))


def timed(program: list[str], environ: dict[str, str], given: bytes) -> float:
    """Return the whole process's wall time, milliseconds."""
    began = time.perf_counter()
    subprocess.run(program, env=environ, input=given, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    told = {"session_id": "session-7", "model": {"id": "m", "display_name": "Opus 4.8"}}
    given = json.dumps({**told, "workspace": {"current_dir": "/nowhere"}, "padding": "x" * 2000})
    with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
        environ = {**os.environ, "HOME": home, "TELEMHQ_HOME": home}
        fill(Path(home) / "ledger.sqlite3")
        sides = {
            "python -S -c pass": [sys.executable, "-S", "-c", "pass"],
            "telemhq statusline": [TELEMHQ, "statusline"],
        }
        took: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, program in sides.items():
                took[name].append(timed(program, environ, given.encode()))
    medians = {name: round(statistics.median(values), 1) for name, values in took.items()}
    bare, ours = medians.values()
    for name, value in medians.items():
        print(f"{name:<24} {value:6.1f} ms")
    print(f"{'ratio':<24} {ours / bare:6.2f}   (goal: at most {GOAL})")
    print(json.dumps({"statusline": medians, "ratio": round(ours / bare, 2), "goal": GOAL}))
    return 0 if ours <= GOAL * bare else 1


if __name__ == "__main__":
    sys.exit(main())
