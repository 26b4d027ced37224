"""The load on a server: pings such as Healthchecks gets them, each with its own key, by wrk."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

TRACKERS = 1000
PROJECTS = 200
MEMBERS = 60
BODY_BYTES = 400
TICKS = os.sysconf("SC_CLK_TCK")
LUA = """
local count = 0
local id = 0
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


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load: answers per second, milliseconds, answers that were no 200.

    `cpu_us` is what the server's processes spent on each ping, user and system.
    """

    rate: float
    p50: float
    p99: float
    answered: int
    bad: int
    cpu_us: float


def load(url: str, server_pid: int, seconds: float, connections: int) -> Loaded:
    """Send pings for a while, each connection its next one when the last one is answered."""
    numbers = {"trackers": TRACKERS, "projects": PROJECTS, "body": BODY_BYTES}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA % numbers)
        script.flush()
        before = cpu_seconds(server_pid)
        told = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency"),
                *("--timeout", "10s", "-s", script.name, url, "--", secrets.token_hex(4)),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        spent = cpu_seconds(server_pid) - before
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    errors = re.search(r"Socket errors: (.*)", told)
    assert errors is None, errors[1]
    answered = int(_found(r"(\d+) requests in", told))
    return Loaded(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", told)),
        p50=_milliseconds(_found(r"\n +50% +(\S+)", told)),
        p99=_milliseconds(_found(r"\n +99% +(\S+)", told)),
        answered=answered,
        bad=int(bad[1]) if bad else 0,
        cpu_us=spent / answered * 1e6,
    )


def cpu_seconds(pid: int) -> float:
    """Return what a process and all that it started have spent so far, threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / TICKS + sum(cpu_seconds(int(child)) for child in children)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)
