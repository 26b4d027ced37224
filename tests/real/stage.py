"""One coder's machine with our hook and agent on it, a server of ours, and the fake model's truth."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.journeys.household import Server, free_port, running
from tests.real.programs import Coder
from tools.fake_model.plays import Purpose, claude_usage
from tools.fake_model.server import FakeModel, Handed, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OWNER = "owner@example.com"
LONGEST_WAIT_S = 30
IN_NO_LOG = {
    ("claude", Purpose.COMPACTION),
    ("claude", Purpose.TITLE),
    ("codex", Purpose.TITLE),
}
DOINGS = ("tool_calls", "tool_failures", "tools", "prompts", "subagents", "error")
Sums = dict[tuple[str, str], dict[str, int]]


@dataclass(frozen=True)
class Found:
    """What a report, or the truth, says."""

    sums: Sums
    runs: int
    failures: int


@dataclass
class Stage:
    """A machine in use; `model.handed` is the truth about what was used on it."""

    coder: Coder
    model: FakeModel
    agent: subprocess.Popen[bytes] | None = None

    def start_agent(self) -> None:
        self.agent = self.coder.start("agent", "run")
        self._wait_for(lambda: self.coder.asks("agent", "status")["last_pass_at"])

    def stop_agent(self) -> None:
        if self.agent is not None and self.agent.poll() is None:
            self.agent.terminate()
            self.agent.wait(timeout=20)

    def truth(self) -> Sums:
        """Return what was handed out, by session and model, in telemhq's own words.

        Without what stands in no log: it is billed, and no reader of logs can know of it.
        """
        sums: Sums = {}
        for entry in self.model.handed:
            if (entry.source, entry.purpose) in IN_NO_LOG or not entry.usage.input:
                continue
            row = sums.setdefault((entry.session, entry.model), dict.fromkeys(FIGURES, 0))
            usage = entry.usage
            row["responses"] += 1
            row["input_tokens"] += usage.input
            row["cached_input_tokens"] += usage.cached
            row["cache_write_tokens"] += usage.cache_write
            row["output_tokens"] += usage.output
            row["reasoning_tokens"] += usage.reasoning
            row["total_tokens"] += usage.input + usage.output
        return sums

    def usage(self, where: str) -> Found:
        """Return what a report says: its sums, and how many runs and failures there were."""
        report = self.coder.asks("usage", where, "--by", "session", "--by", "model")
        total = report["total"]
        return Found(by_session_and_model(report), total["runs"], total["failures"])

    def settles(self, *, runs: int, failures: int = 0, aborted: Handed | None = None) -> None:
        """Check that server, then ledger, come to the truth, with so many runs; once, for good.

        The server is asked first: asking for local usage reads the logs, which the hook or the
        agent is to have done by itself.
        """
        wanted = Found(self.truth(), runs, failures)
        if aborted is not None:
            wanted = with_beginning(wanted, aborted)
        self._wait_for(lambda: self.usage("--mine") == wanted)
        assert self.usage("--mine") == wanted
        assert self.usage("--local") == wanted
        self.coder.run("agent", "once", "--backfill")
        assert self.usage("--mine") == wanted
        assert self.coder.asks("agent", "outbox") == []

    def doings(self) -> list[dict[str, Any]]:
        """Return what each run that arrived tells besides its usage, in the order of their ends."""
        database = self.coder.home.parent / "server.sqlite3"
        with contextlib.closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT payload FROM runs").fetchall()
        runs = sorted((json.loads(row[0]) for row in rows), key=lambda run: str(run["ended_at"]))
        return [{name: run[name] for name in DOINGS if name in run} for run in runs]

    @staticmethod
    def _wait_for(condition: Callable[[], object]) -> None:
        """Wait until it holds or the time is up; whoever asked says what should have been."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline and not condition():
            time.sleep(0.2)


FIGURES = (
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
)


def by_session_and_model(report: dict[str, Any]) -> Sums:
    """Return the rows with tokens; a turn without usage has a row that names no model."""
    return {
        (row["session"], row["model"]): {name: row[name] for name in FIGURES}
        for row in report["rows"]
        if row["total_tokens"]
    }


def with_beginning(found: Found, aborted: Handed) -> Found:
    """Add an answer that was cut off: its beginning told the input and a first token."""
    row = dict(found.sums[aborted.session, aborted.model])
    usage = claude_usage(aborted.number)
    added = {
        "responses": 1,
        "input_tokens": usage.input,
        "cached_input_tokens": usage.cached,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": 1,
        "total_tokens": usage.input + 1,
    }
    grown = {name: row[name] + added.get(name, 0) for name in row}
    return replace(found, sums=found.sums | {(aborted.session, aborted.model): grown})


@contextlib.contextmanager
def set_up(root: Path, programs: Path) -> Iterator[Stage]:
    """Start the fake model and a server, log the coder in, and take all of it down again."""
    with serving() as model:
        coder = Coder(root / "home", programs, model.address)
        coder.moves_in()
        database = f"sqlite:///{root / 'server.sqlite3'}"
        server = Server(coder.environ | {"TELEMHQ_DATABASE_URL": database}, free_port())
        server.environ["TELEMHQ_PUBLIC_URL"] = f"http://127.0.0.1:{server.port}"
        made = coder.asks("server", "init", "--email", OWNER, "--database", database)
        with running(server):
            address = server.environ["TELEMHQ_PUBLIC_URL"]
            coder.run("login", "--url", address, "--key-stdin", given=made["api_key"])
            stage = Stage(coder, model)
            try:
                yield stage
            finally:
                stage.stop_agent()
    assert model.refused_paths == [], model.refused_paths
