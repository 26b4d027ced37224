"""The client against its yardsticks, in one run: `python -m bench.client`.

Whole process of `telemhq ping URL -- true` on a loopback server, how long the job waits for it, and
Claude Code's hook; each beside bare Python. Prints both sides, the last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from claude_code_hooks import install
from telemhq_agents.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 60
TELEMHQ = str(Path(sys.executable).with_name("telemhq"))
EVENT = json.dumps(
    {
        "session_id": "0a1b2c3d-0000-4000-8000-000000000000",
        "transcript_path": "/nowhere/transcript.jsonl",
        "cwd": "/nowhere",
        "hook_event_name": "UserPromptSubmit",
        "prompt": "x" * 400,
    }
).encode()


class Yes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"ok":true,"id":"1","received_at":"2026-01-01T00:00:00.000Z"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/ping/tt_bench"


def timed(program: list[str], environ: dict[str, str], given: bytes = b"") -> float:
    """Return the whole process's wall time, milliseconds."""
    began = time.perf_counter()
    subprocess.run(program, env=environ, input=given, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def delay(program: list[str], environ: dict[str, str]) -> float:
    """Return how long after our start the job touched its mark, milliseconds."""
    read, write = os.pipe()
    began = time.perf_counter()
    process = subprocess.Popen(
        [*program, "--", "/bin/sh", "-c", f"echo >&{write}"], env=environ, pass_fds=[write]
    )
    os.close(write)
    os.read(read, 1)
    took = (time.perf_counter() - began) * 1000
    os.close(read)
    process.wait()
    return took


def shell_delay(environ: dict[str, str]) -> float:
    """Return what the job itself takes to touch its mark, started by nobody but us."""
    read, write = os.pipe()
    began = time.perf_counter()
    process = subprocess.Popen(["/bin/sh", "-c", f"echo >&{write}"], env=environ, pass_fds=[write])
    os.close(write)
    os.read(read, 1)
    took = (time.perf_counter() - began) * 1000
    os.close(read)
    process.wait()
    return took


def medians(measures: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Measure in turn, so that a slow second hits every side alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
        environ = {**os.environ, "HOME": home, "TELEMHQ_HOME": f"{home}/telemhq"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
        ping = [TELEMHQ, "ping", serve()]
        timed([*ping, "--", "true"], environ)
        ours = Locations(Path(home) / "telemhq", Path(home) / "telemhq")
        hook = install.command(ours, sys.executable)
        program = ["/bin/sh", "-c", hook]
        took = medians(
            {
                "python -c pass": lambda: timed([sys.executable, "-c", "pass"], environ),
                "python -I -S -c pass": lambda: timed(
                    [sys.executable, "-I", "-S", "-c", "pass"], environ
                ),
                "telemhq ping URL -- true": lambda: timed([*ping, "--", "true"], environ),
                "job's own start": lambda: shell_delay(environ),
                "job's start under telemhq ping": lambda: delay(ping, environ),
                "hook, sh guard included": lambda: timed(program, environ, EVENT),
            }
        )
    return report(took)


def report(took: dict[str, float]) -> int:
    for name, ms in took.items():
        print(f"{name:<34} {ms:7.2f} ms")
    waited = took["job's start under telemhq ping"] - took["job's own start"]
    bare = took["python -c pass"]
    ratios = {
        "ping_whole_process": (took["telemhq ping URL -- true"] / bare, 5.0),
        "job_delay": (waited / bare, 1.6),
        "hook": (took["hook, sh guard included"] / took["python -I -S -c pass"], 2.5),
    }
    print(f"{'the job waits':<34} {waited:7.2f} ms")
    for name, (ratio, goal) in ratios.items():
        print(f"{name:<34} {ratio:7.2f} x bare Python (goal: at most {goal})")
    print(json.dumps({"ms": took, "ratios": {name: ratio for name, (ratio, _) in ratios.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
