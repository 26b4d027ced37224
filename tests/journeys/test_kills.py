"""Kill -9 of server, watcher and drain while 2,000 pings are on their way: all arrive, none twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.journeys.household import Line, Person, Server, free_port, kill, running
from tools.make_demo_logs import START, CodexThread, Tokens, Truth

TURNS = 50
VICTIMS = ("server", "watcher", "drain")
SEED = 20261120
OWNER = "owner@example.com"
MODEL = "gpt-5.4-mini"
NO_DEDUPLICATION = Path(__file__).with_name("server_without_deduplication.py")


@dataclass(frozen=True)
class Length:
    """How many threads of 50 turns each there are, and how many deaths while they are sent."""

    threads: int
    kills: int
    kills_in_flight: int

    @property
    def runs(self) -> int:
        return self.threads * TURNS


WHOLE = Length(threads=40, kills=20, kills_in_flight=16)
SHORT = Length(threads=10, kills=5, kills_in_flight=4)


def write_logs(home: Path, threads: int) -> dict[str, Any]:
    """Write turns of one response each and return the true total."""
    truth = Truth()
    for number in range(1, threads + 1):
        thread = CodexThread(number, START - timedelta(hours=3 * number), f"project-{number % 7}")
        for turn in range(TURNS):
            tokens = Tokens(100 + number, 1_000 + turn, 10 + turn, turn % 5)
            thread.turn(truth, OWNER, MODEL, tokens)
        thread.write(home)
    total: dict[str, Any] = truth.shown()["total"]
    return total


@dataclass
class Fate:
    """Decides, from one seed, who dies when; counts what really died."""

    server: Server
    dice: random.Random
    length: Length
    agent: subprocess.Popen[bytes] | None = None
    agent_name: str = ""
    next_death: int = 0
    in_flight: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))
    at_random: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))
    server_is_dead: bool = False

    def __post_init__(self) -> None:
        self.next_death = self.dice.randint(40, 80)

    def on_request(self, pings: int) -> None:
        """Kill the server or the agent right now: a request was passed on, no answer came back."""
        if sum(self.in_flight.values()) >= self.length.kills_in_flight or pings < self.next_death:
            return
        agent = self.agent
        if agent is None or agent.poll() is not None or self.server_is_dead:
            return
        self.next_death = pings + self.dice.randint(40, 80)
        time.sleep(self.dice.choice([0, 0.001, 0.004]))
        if self.dice.random() < 0.5:
            self.server_is_dead = True
            self.server.kill()
            self.in_flight["server"] += 1
        else:
            kill(agent)
            self.in_flight[self.agent_name] += 1

    def after_a_while(self) -> None:
        """Kill the agent at a moment of its own: while it reads, books or queues."""
        assert self.agent is not None
        time.sleep(self.dice.uniform(0.2, 1.2))
        if self.agent.poll() is None:
            kill(self.agent)
            self.at_random[self.agent_name] += 1

    @property
    def kills(self) -> int:
        return sum(self.in_flight.values()) + sum(self.at_random.values())


def live_through(person: Person, fate: Fate) -> None:
    """Start watcher and drain in turns until everything has died often enough and all is sent."""
    deadline = time.monotonic() + 240
    starts = 0
    while fate.kills < fate.length.kills and time.monotonic() < deadline:
        if fate.agent is None or fate.agent.poll() is not None:
            starts += 1
            fate.agent_name = "watcher" if starts % 2 else "drain"
            command = ("codex", "watch") if starts % 2 else ("agent", "once")
            fate.agent = person.start(*command, "--backfill")
        if sum(fate.at_random.values()) < fate.length.kills - fate.length.kills_in_flight:
            fate.after_a_while()
        wait_for_a_death(fate)
        if fate.server_is_dead:
            fate.server.start()
            fate.server_is_dead = False
    if fate.agent is not None:
        kill(fate.agent)


def wait_for_a_death(fate: Fate) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not fate.server_is_dead:
        if fate.agent is None or fate.agent.poll() is not None:
            return
        time.sleep(0.01)


def drain(person: Person) -> None:
    """Run the agent until nothing is left to send."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        person.run("agent", "once", "--backfill", code=None)
        if not person.asks("agent", "outbox"):
            return
        time.sleep(0.5)
    raise AssertionError(person.run("agent", "outbox"))


def stored(database: str) -> dict[str, int]:
    """Return what lies in the raw rows, asked with SQL of the test's own."""
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection:
        runs, distinct, tokens = connection.execute(
            text(
                "SELECT COUNT(*), COUNT(DISTINCT session_id || CAST(payload AS TEXT)),"
                " SUM(total_tokens) FROM runs"
            )
        ).one()
    return {"runs": runs, "distinct": distinct, "total_tokens": int(tokens)}


def story(
    root: Path, program: tuple[str, ...], length: Length = WHOLE, database: str = ""
) -> tuple[Fate, dict[str, Any], dict[str, Any], Any]:
    person = Person(root / "home")
    true_total = write_logs(person.home, length.threads)
    database = database or f"sqlite:///{root / 'server.sqlite3'}"
    server = Server({}, free_port(), program)
    fate = Fate(server, random.Random(SEED), length)
    line = Line(server.port, fate.on_request)
    environ = person.environ | {
        "TELEMHQ_DATABASE_URL": database,
        "TELEMHQ_PUBLIC_URL": f"http://127.0.0.1:{line.port}",
    }
    server.environ.update(environ)
    key = Person(root / "home").asks(
        "server", "init", "--email", OWNER, "--database", environ["TELEMHQ_DATABASE_URL"]
    )["api_key"]
    line.serve()
    with running(server):
        person.run("login", "--url", f"http://127.0.0.1:{line.port}", "--key-stdin", given=key)
        live_through(person, fate)
        drain(person)
        report = person.asks("usage", "--mine", "--by", "project")
    line.close()
    return fate, true_total, stored(database), report


@pytest.fixture
def real_server() -> tuple[str, ...]:
    return Server({}, 0).program


def test_every_run_arrives_and_none_twice(tmp_path: Path, real_server: tuple[str, ...]) -> None:
    fate, *found = story(tmp_path, real_server)

    assert sum(fate.in_flight.values()) >= 15, fate
    deaths = {name: fate.in_flight[name] + fate.at_random[name] for name in VICTIMS}
    assert min(deaths.values()) >= 2, fate
    arrives_once(fate, *found)


def test_two_server_processes_on_postgresql_make_no_difference(
    tmp_path: Path, real_server: tuple[str, ...], own_postgres_url: str
) -> None:
    fate, *found = story(tmp_path, (*real_server, "--workers", "2"), SHORT, own_postgres_url)

    assert fate.in_flight["server"] >= 1, fate
    arrives_once(fate, *found)


def arrives_once(
    fate: Fate, truth: dict[str, Any], rows: dict[str, Any], report: dict[str, Any]
) -> None:
    runs = fate.length.runs
    assert fate.kills >= fate.length.kills, fate
    assert rows == {"runs": runs, "distinct": runs, "total_tokens": truth["total_tokens"]}
    assert {name: report["total"][name] for name in truth} == pytest.approx(truth, abs=1e-9)


def test_the_same_story_is_red_without_deduplication(tmp_path: Path) -> None:
    _, truth, rows, report = story(tmp_path, (sys.executable, str(NO_DEDUPLICATION)))

    assert rows["runs"] > 2000
    assert report["total"]["total_tokens"] > truth["total_tokens"]
