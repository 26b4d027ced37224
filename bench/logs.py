"""Reading local logs, beside the programs that do the same: `python -m bench.logs`.

Makes a corpus whose truth is known, has every program report all of it (the page cache warm; first
without any state of its own, then again, then after 1 MB was appended to a big file), and prints
time, memory and totals beside the goals. Then each trick of the corpus by itself. The last line is
JSON.

    --mb 1000        size of the corpus
    --corpus DIR     take (or leave) the corpus there
    --rounds 3       how often each is measured; the best counts
    --no-tricks      leave the tricks out
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import peers
from bench.make_corpus import TRICKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.peers import Peer

ROOT = Path(__file__).resolve().parents[1]
TELEMHQ = str(Path(sys.executable).with_name("telemhq"))
OURS = peers.Peer(
    "telemhq", [TELEMHQ, "usage", "--local", "--json", "--by", "source"], peers.of_telemhq
)
APPENDED_BYTES = 1_000_000
TRICK_MB = 6
LOOK_S = 0.004


class Run(NamedTuple):
    """One run: seconds of wall and of CPU (children included), memory in MB, its report."""

    wall: float
    cpu: float
    largest: float
    output: bytes


class Goal(NamedTuple):
    """What is promised of a figure, and what came out."""

    what: str
    found: float
    most: float

    @property
    def is_met(self) -> bool:
        return self.found <= self.most


def run(peer: Peer, environ: dict[str, str]) -> Run:
    """Run a program to its end and measure it."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            peer.command, env=environ, stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(peer.command)} ended with {process.returncode}")
        output.seek(0)
        cpu = used.ru_utime + used.ru_stime
        return Run(wall, cpu, used.ru_maxrss * _RSS_UNIT / 1e6, output.read())


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def memory_of_all(peer: Peer, environ: dict[str, str]) -> float:
    """Return the most that all processes of one run held together, MB; 0 where nobody can tell.

    Measured in a run of its own: looking costs time. What processes share counts once (PSS).
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return 0.0
    process = subprocess.Popen(
        peer.command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most = 0
    looking = threading.Event()
    while process.poll() is None:
        most = max(most, sum(_held_kb(pid) for pid in _family(process.pid)))
        looking.wait(LOOK_S)
    return most * 1024 / 1e6


def _family(pid: int) -> list[int]:
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return [pid]
    return [pid, *(one for child in told.split() for one in _family(int(child)))]


def _held_kb(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in told.splitlines())
    return next((int(words[1]) for words in lines if words[0] == "Pss:"), 0)


def make_corpus(folder: Path, *arguments: str) -> dict[str, Any]:
    """Make a corpus and return its truth."""
    making = [sys.executable, str(ROOT / "bench" / "make_corpus.py"), str(folder), *arguments]
    subprocess.run(making, check=True, stdout=subprocess.DEVNULL)
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return truth


def warm(folder: Path) -> None:
    """Have the system hold every log in its page cache."""
    for path in folder.rglob("*.jsonl"):
        with path.open("rb") as stream:
            while stream.read(1 << 20):
                pass


@contextmanager
def grown(folder: Path) -> Iterator[int]:
    """Append 1 MB of new replies to the largest transcript; yield how many tokens they tell of."""
    path = max((folder / "claude").rglob("*.jsonl"), key=lambda each: each.stat().st_size)
    before = path.stat()
    with path.open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"" if stream.read(1) == b"\n" else b"\n")
        written = tokens = 0
        while written < APPENDED_BYTES:
            written += stream.write(_reply(tokens))
            tokens += 2
    try:
        yield tokens
    finally:
        os.truncate(path, before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _reply(number: int) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message = {
        "model": "claude-opus-4-8",
        "id": f"msg_bench{number:015}",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "an answer, as long as others are " * 50}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    line = {
        "parentUuid": "00000000-0000-4000-8000-000000000000",
        "isSidechain": False,
        "sessionId": "00000000-0000-4000-8000-00000000be4c",
        "cwd": "/home/dev/notes",
        "version": "2.1.328",
        "message": message,
        "requestId": f"req_bench{number:015}",
        "type": "assistant",
        "uuid": f"00000000-0000-4000-9000-{number:012}",
        "timestamp": "2026-10-31T12:00:00.000Z",
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def measure(tools: Sequence[Peer], logs: Path, rounds: int) -> dict[str, dict[str, list[Run]]]:
    """Run every tool in every situation, the tools in turn, so that all meet the same machine."""
    found: dict[str, dict[str, list[Run]]] = {
        tool.name: {"first": [], "later": [], "append": []} for tool in tools
    }
    for _ in range(rounds):
        for tool in tools:
            with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
                environ = peers.quiet(Path(home), logs)
                found[tool.name]["first"].append(run(tool, environ))
                found[tool.name]["later"] += [run(tool, environ) for _ in range(2)]
                with grown(logs):
                    found[tool.name]["append"].append(run(tool, environ))
    return found


def deviation(found: int, truth: int) -> str:
    """Say how far a total is from the truth."""
    return "exact" if found == truth else f"{(found - truth) / truth:+.2%}"


def show(
    tools: Sequence[Peer], measured: dict[str, dict[str, list[Run]]], truth: dict[str, Any]
) -> dict[str, Any]:
    """Print a row for each tool and situation; return the figures."""
    claude_models = frozenset(truth["claude"]["by_model"])
    figures: dict[str, Any] = {}
    print(f"{'':16}{'':8}{'wall s':>8}{'CPU s':>8}{'MB':>7}  {'Claude':>9}{'Codex':>9}")
    for tool in tools:
        figures[tool.name] = {}
        for when, runs in measured[tool.name].items():
            best = min(runs, key=lambda one: one.wall)
            told = peers.read(best.output, tool, claude_models)
            added = _appended_tokens() if when == "append" else 0
            claude = deviation(told["claude"], truth["claude"]["totals"]["total"] + added)
            codex = deviation(told["codex"], truth["codex"]["totals"]["total"])
            cpu, largest = min(one.cpu for one in runs), max(one.largest for one in runs)
            print(
                f"{tool.name:16}{when:8}{best.wall:8.2f}{cpu:8.2f}{largest:7.0f}"
                f"  {claude:>9}{codex:>9}"
            )
            row = {"wall": best.wall, "cpu": cpu, "rss": largest, "claude": claude, "codex": codex}
            figures[tool.name][when] = row
    return figures


def _appended_tokens() -> int:
    return 2 * -(-APPENDED_BYTES // len(_reply(0)))


def goals(figures: dict[str, Any], memory: float) -> list[Goal]:
    """Return what is promised, beside what came out in this run."""
    ours = figures[OURS.name]
    rows = [ours[when] for when in ("first", "later", "append")]
    wrong = sum(row[source] != "exact" for row in rows for source in ("claude", "codex"))
    found = [
        Goal("totals that are not exact", wrong, 0),
        Goal("all our processes' memory, MB", memory, 150),
    ]
    for name, theirs in figures.items():
        if name.startswith("ccusage"):
            most = 0.9 * theirs["first"]["wall"]
            found.append(Goal(f"first reading, s (0.9 of {name})", ours["first"]["wall"], most))
        if name.startswith("tokscale"):
            most = 0.7 * theirs["later"]["wall"]
            found.append(Goal(f"later reading, s (0.7 of {name})", ours["later"]["wall"], most))
    return found


def tricks() -> dict[str, bool]:
    """Return, for each trick of the corpus by itself, whether our totals are the truth."""
    found = {}
    for source, names in TRICKS.items():
        for name in names:
            with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as folder:
                logs = Path(folder) / "logs"
                only = ["--mb", str(TRICK_MB), "--only", name, "--seed", "3"]
                truth = make_corpus(logs, *only)
                report = run(OURS, peers.quiet(Path(folder) / "home", logs))
                told = peers.read(report.output, OURS, frozenset())
                right = {each: truth[each]["totals"]["total"] for each in told}
                found[f"{source} {name}"] = told == right
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--mb", type=float, default=1000)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-tricks", action="store_true")
    parser.add_argument(
        "--peers", type=Path, default=Path.home() / ".cache" / "telemhq-bench", metavar="DIR"
    )
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    others, problems = peers.fetched(asked.peers)
    tools = [OURS, *others]
    logs = asked.corpus or Path(tempfile.mkdtemp(prefix="telemhq-bench-"))
    try:
        known = logs / "truth.json"
        is_there = known.exists() and (logs / "claude").is_dir()
        truth = (
            json.loads(known.read_text())
            if is_there
            else make_corpus(logs, "--mb", str(asked.mb), "--clean")
        )
        print(f"{truth['bytes'] / 1e6:.0f} MB in {truth['files']} files, {os.cpu_count()} CPUs")
        warm(logs)
        figures = show(tools, measure(tools, logs, asked.rounds), truth)
        with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
            memory = memory_of_all(OURS, peers.quiet(Path(home), logs))
    finally:
        if asked.corpus is None:
            shutil.rmtree(logs)
    return tell(figures, memory, problems, {} if asked.no_tricks else tricks())


def tell(
    figures: dict[str, Any], memory: float, problems: list[str], alone: dict[str, bool]
) -> int:
    """Print goals and tricks; return 1 where something is missed."""
    print()
    promised = goals(figures, memory)
    for goal in promised:
        verdict = "met" if goal.is_met else "MISSED"
        print(f"{verdict:8}{goal.what:44}{goal.found:9.2f}  at most {goal.most:.2f}")
    for problem in problems:
        print(f"left out: {problem}")
    for trick, is_exact in alone.items():
        print(f"{'exact' if is_exact else 'WRONG':8}{trick}")
    summary = {
        "figures": figures,
        "memory_mb": memory,
        "goals": {goal.what: goal.is_met for goal in promised},
        "tricks": alone,
    }
    print(json.dumps(summary))
    return 0 if all(goal.is_met for goal in promised) and all(alone.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
