"""Whose terminals these are: the demo's team with its server, somebody with a month of logs, a newcomer."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from telemhq_agents import clock
from tools import demo
from tools.make_demo_logs import MEMBER, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ROOT = Path("/tmp/telemhq-screens")
"""Always the same: paths are part of what is shown, and decide where lines are folded."""
NOW = "2026-11-18T16:40:00Z"
"""A day on which the demo's people work."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
TRACKER, RUNS, COLLECTED_AT = "nightly evaluation", 60, 7
"""Its runs come an hour apart; both people's logs were reported between two of them, so long ago."""
FAILING = "billing sync"
MONTH = ("--mb", "6", "--days", "28", "--end", "2026-11-18", "--seed", "7")
STILL = Path(__file__).resolve().parent / "still"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everybody's homes, and the server that the demo's team reports to."""

    homes: dict[str, Path]
    url: str
    api_key: str

    def tracker(self, name: str) -> str:
        """Create a tracker of the demo's owner and return its ping URL."""
        return tracker(demo.Person(self.homes["ada"]), name)

    def environ(self, name: str, locale: str) -> dict[str, str]:
        """Return all that a shell of this person sees."""
        kept = ("HOME", "TELEMHQ_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR")
        below = demo.environ_of(self.homes[name])
        return {name: below[name] for name in kept} | {
            "PATH": f"{ROOT / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(STILL),
            "TERMINAL_CLOCK": str(ROOT / "clock"),
            "TZ": "UTC",
            "LC_ALL": locale,
        }


@contextlib.contextmanager
def stage(patch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Set everything up, with the clock at `NOW`, and take it down."""
    with _alone():
        patch.setenv("PYTHONPATH", str(STILL))
        patch.setenv("TERMINAL_CLOCK", str(ROOT / "clock"))
        patch.setenv("TZ", "UTC")
        set_clock(clock.from_iso(NOW))
        (ROOT / "bin").mkdir()
        (ROOT / "bin" / "telemhq").symlink_to(Path(sys.executable).parent / "telemhq")
        ada, grace = demo.settle(ROOT, "ada", "owner"), demo.settle(ROOT, "grace", "member")
        month(ROOT / "month")
        demo.settle(ROOT, "new", "owner")
        (ROOT / "nobody").mkdir()
        age(ROOT)
        demo.Person(ROOT / "month").run("usage", show=False)
        with _served(ada, grace) as (url, key):
            names = ("ada", "grace", "month", "new", "nobody")
            yield Stage({name: ROOT / name for name in names}, url, key)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep the place to ourselves; what an interrupted run left in it goes."""
    with Path(f"{ROOT}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(ROOT, ignore_errors=True)
        ROOT.mkdir(mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(ROOT)


@contextlib.contextmanager
def _served(ada: demo.Person, grace: demo.Person) -> Iterator[tuple[str, str]]:
    """Let two days pass at a server: an evaluation each hour, logs that are reported, a failure."""
    now = clock.from_iso(NOW)
    set_clock(now - (RUNS + 1) * HOUR_MS)
    said = ada.run("server", "init", "--email", OWNER, "--name", "Ada", "--json", show=False)
    key = json.loads(said)["data"]["api_key"]
    server, url = demo.start_server(ROOT, ada.environ)
    try:
        found_team(ada, grace, url, key)
        evaluations = tracker(ada, TRACKER)
        evaluate(evaluations, range(RUNS - COLLECTED_AT))
        set_clock(now - COLLECTED_AT * HOUR_MS - 15 * MINUTE_MS)
        for person in (ada, grace):
            later(MINUTE_MS)
            person.run("agent", "once", "--backfill", show=False)
        evaluate(evaluations, range(RUNS - COLLECTED_AT, RUNS))
        set_clock(now - 20 * MINUTE_MS)
        told = {"status": "error", "exit_code": 3, "duration_ms": 8_000, "project": "billing-api"}
        send(tracker(ada, FAILING), "failure", told)
        set_clock(now)
        yield url, key
    finally:
        demo.stop(server)


def found_team(ada: demo.Person, grace: demo.Person, url: str, key: str) -> None:
    """Found a team of two, minute by minute: what is as old as another has no order."""
    ada.run("login", "--url", url, "--key-stdin", given=f"{key}\n", show=False)
    later(MINUTE_MS)
    ada.run("team", "create", "Analytical Engines", show=False)
    later(MINUTE_MS)
    invitation = json.loads(ada.run("team", "invite", MEMBER, "--json", show=False))["data"]
    grace.run("team", "accept", invitation["link"], show=False)
    later(MINUTE_MS)


def tracker(ada: demo.Person, name: str) -> str:
    """Create a tracker and return its ping URL."""
    shown = json.loads(ada.run("tracker", "create", name, "--json", show=False))
    url: str = shown["data"]["ping_url"]
    return url


def evaluate(url: str, runs: range) -> None:
    """Send runs of a tracker an hour apart, the last one an hour ago."""
    for run in runs:
        set_clock(clock.from_iso(NOW) - (RUNS - run) * HOUR_MS)
        send(url, f"evaluation-{run}", evaluation(run))


def evaluation(run: int) -> dict[str, Any]:
    """Return what a run tells: a score that wanders, and that was low for two hours."""
    score = 0.86 + 0.05 * math.sin(run / 7) + 0.02 * math.sin(run * 2.3)
    return {
        "status": "success",
        "eval_score": round(score - (0.19 if run in {37, 38} else 0), 3),
        "duration_ms": 41_000 + 700 * (run % 9),
        "project": "nightly",
        "model": "gpt-5.4-mini",
        "input_tokens": 2_400 + 40 * run,
        "output_tokens": 310,
        "cost_usd": round((2_400 + 40 * run) * 0.75e-6 + 310 * 4.5e-6, 6),
    }


def send(ping_url: str, key: str, body: dict[str, Any]) -> None:
    """Report a run as any program may."""
    headers = {"Idempotency-Key": key}
    httpx.post(ping_url, json=body, headers=headers).raise_for_status()


def later(ms: int) -> None:
    """Let so much time pass."""
    set_clock(int((ROOT / "clock").read_text(encoding="ascii")) + ms)


def set_clock(ms: int) -> None:
    """Set the clock of every program here."""
    new = ROOT / "clock.new"
    new.write_text(str(ms), encoding="ascii")
    new.replace(ROOT / "clock")


def month(home: Path) -> None:
    """Leave four weeks of logs, made by the benchmarks' generator."""
    making = [sys.executable, "-m", "bench.make_corpus", str(home), *MONTH]
    subprocess.run(making, check=True, stdout=subprocess.DEVNULL)


def age(folder: Path) -> None:
    """Let files be as old as an hour: what was written just now may still go on."""
    moment = clock.from_iso(NOW) / 1000 - 3600
    for path in folder.rglob("*.jsonl"):
        os.utime(path, (moment, moment))
