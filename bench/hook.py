"""Claude Code's hook by event, beside bare Python: `python -m bench.hook`.

Whole processes, the sh guard included, in turn, so that a slow second hits every side alike. Also
what a spool costs that nobody takes. Prints both sides; the last line is JSON.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claude_code_hooks import hook, install
from telemhq_agents import spool
from telemhq_agents.locations import Locations

ROUNDS = 60
GOAL = 2.5
WAITING = 20_000
PLAIN: dict[str, object] = {
    "session_id": "0a1b2c3d-0000-4000-8000-000000000000",
    "prompt_id": "0a1b2c3d-0000-4000-8000-000000000001",
    "transcript_path": "/nowhere/transcript.jsonl",
    "cwd": "/nowhere",
}
TOOL = {"tool_name": "Write", "tool_use_id": "toolu_01AbCdEf", "duration_ms": 12}
LARGE = "word " * 300_000
EVENTS: dict[str, dict[str, object]] = {
    "prompt": {"hook_event_name": "UserPromptSubmit", "prompt": "x" * 400},
    "tool": {"hook_event_name": "PostToolUse", **TOOL, "tool_input": {"command": "make test"}},
    "tool with 3 MB": {
        **TOOL,
        "hook_event_name": "PostToolUse",
        "tool_input": {"content": LARGE},
        "tool_response": {"content": LARGE},
    },
    "end of a session": {"hook_event_name": "SessionEnd", "reason": "other"},
}


def timed(program: list[str], given: bytes) -> tuple[float, float]:
    """Return wall and CPU time of a whole process, milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(program, input=given, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, cpu * 1000


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
        ours = Locations(Path(home), Path(home))
        program = ["/bin/sh", "-c", awake(install.command(ours, sys.executable))]
        bare = [sys.executable, "-I", "-S", "-c", "pass"]
        sides = {"python -I -S -c pass": (bare, b"")}
        for name, event in EVENTS.items():
            sides[name] = (program, json.dumps(PLAIN | event).encode())
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, (words, given) in sides.items():
                found[name].append(timed(words, given))
        report(found)
        backlog(ours.spool)
    return 0


def awake(command: str) -> str:
    """Put a command that ends at once in the place of the drain, which is nobody's wait."""
    return command.replace(" -P -m telemhq_cli.main agent once --wake", " -I -S -c pass")


def report(found: dict[str, list[tuple[float, float]]]) -> None:
    medians = {
        name: [statistics.median(side) for side in zip(*values, strict=True)]
        for name, values in found.items()
    }
    bare_wall, bare_cpu = medians.pop("python -I -S -c pass")
    print(f"{'python -I -S -c pass':<22} {bare_wall:6.2f} ms wall {bare_cpu:6.2f} ms CPU")
    ratios = {}
    for name, (wall, cpu) in medians.items():
        ratios[name] = wall / bare_wall
        print(
            f"{name:<22} {wall:6.2f} ms wall {cpu:6.2f} ms CPU  {ratios[name]:4.2f} x wall "
            f"{cpu / bare_cpu:4.2f} x CPU (goal: at most {GOAL})"
        )
    print(json.dumps({"ratios": ratios}))


def backlog(folder: Path) -> None:
    """Print what it costs to take a spool that nobody took for long."""
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - a bench of names
    for path in folder.iterdir():
        path.unlink()
    for number in range(WAITING):
        entry = hook.redact(PLAIN | EVENTS["tool"] | {"tool_use_id": f"t{number}"}, number)
        (folder / f"{number:020d}-1.json").write_text(hook.to_json(entry))
    began, cpu = time.perf_counter(), time.process_time()
    taken = 0
    for claimed in spool.claim(folder, {"hook"}):
        spool.done(claimed)
        taken += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"taking {taken:,} entries that waited: {wall:.2f} s wall, {cpu:.2f} s CPU")


if __name__ == "__main__":
    sys.exit(main())
