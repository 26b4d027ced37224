"""The background agent at rest and at work, beside its goals: `python -m bench.watcher`.

Ten thousand old session files lie there. Starts the real agent on a loopback server, by
notifications and by polling, measures its CPU over a while of rest and its memory, then ends one
turn after the other and measures how long each takes to be in the outbox and at the server. Prints
the figures beside their goals; the last line is JSON.

    --files 10000   how many old session files
    --rest 20       seconds of rest
    --turns 10      turns per collector
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemhq_agents.credentials import Credentials, Destination
from telemhq_agents.ledger import steering
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_S = 86_400
GOALS = {"cpu %": 0.5, "rss MB": 60.0, "rss at work MB": 60.0, "outbox s": 1.0}
POLLING = (
    "import sys; from telemhq_cli import watching\n"
    "def none_left(*_): raise OSError(24, 'inotify instance limit reached')\n"
    "watching.Notifications = none_left\n"
    "from telemhq_cli.main import main; sys.exit(main())"
)
NOTIFIED = "import sys; from telemhq_cli.main import main; sys.exit(main())"


class Server(BaseHTTPRequestHandler):
    """Takes every ping and remembers when it came."""

    protocol_version = "HTTP/1.1"
    arrived: dict[int, float] = {}  # noqa: RUF012 - one server, one book

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.arrived.setdefault(body.get("input_tokens", 0), time.monotonic())
        self._say({"ok": True, "id": "1", "received_at": "2026-01-01T00:00:00.000Z"})

    def do_GET(self) -> None:
        able = {"idempotency": True, "corrections": True, "verbs": [], "max_body_bytes": 65536}
        told = {"message": "", "ping_url": "", "example": "", "fields": [], "capabilities": able}
        self._say(told)

    def _say(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Home:
    """A made-up home with the logs of both agents."""

    def __init__(self, root: Path) -> None:
        self.root, self.ours = root, root / "telemhq"
        self.codex, self.claude = root / "codex", root / "claude"
        self.environ = {
            **os.environ,
            "HOME": str(root),
            "TELEMHQ_HOME": str(self.ours),
            "CODEX_HOME": str(self.codex),
            "CLAUDE_CONFIG_DIR": str(self.claude),
        }

    def fill(self, files: int) -> None:
        """Write old sessions: half of them Codex's in dated folders, half Claude Code's."""
        now = time.time()
        for number in range(files // 2):
            at = now - 2 * DAY_S - (number // 12) * DAY_S
            rollout = codex_turn(self.rollout(at), at, 1000, first=True)
            prompt = claude_turn(self.transcript(number % 150), at, 1000)
            for path in (rollout, prompt):
                os.utime(path, (at, at))

    def rollout(self, at: float) -> Path:
        """Name a new rollout in the folder of its day."""
        day = datetime.fromtimestamp(at, UTC)
        folder = self.codex / "sessions" / day.strftime("%Y/%m/%d")
        return folder / f"rollout-{day.strftime('%Y-%m-%dT%H-%M-%S')}-{uuid.uuid4()}.jsonl"

    def transcript(self, project: int) -> Path:
        """Name a new transcript in the folder of its project."""
        return self.claude / "projects" / f"-srv-made-up-{project}" / f"{uuid.uuid4()}.jsonl"

    def send_to(self, url: str) -> None:
        """Send what ends from now on to a server, as a login would."""

        def pointed(held: Credentials) -> Credentials:
            for source in Source:
                place = Destination(f"default:{source}:1", url, source.value, "default")
                held = held.with_destination(place)
                held = held.with_source_sent(source.value, place.id, int(time.time() * 1000))
            return held

        with Ledger.open(self.ours / "ledger.sqlite3") as ledger:
            steering.point(ledger, self.ours / "credentials.json", pointed)


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def codex_turn(path: Path, at: float, tokens: int, *, first: bool = False) -> Path:
    """Append one finished turn to a rollout."""
    thread, turn = path.name[28:64], str(uuid.uuid4())
    meta = {"id": thread, "timestamp": iso(at), "cwd": "/srv/made-up", "cli_version": "0.169.0"}
    usage: dict[str, Any] = {"input_tokens": tokens, "cached_input_tokens": 0, "output_tokens": 5}
    usage |= {"reasoning_output_tokens": 0, "total_tokens": tokens + 5}
    ids = {"thread_id": thread, "turn_id": turn, "session_id": thread}
    record = {**ids, "response_id": f"resp_{uuid.uuid4().hex}", "usage": usage}
    lines = [
        ("event_msg", {"type": "task_started", "turn_id": turn}),
        ("turn_context", {"turn_id": turn, "cwd": "/srv/made-up", "model": "gpt-5.4"}),
        ("token_usage_record", record),
        ("event_msg", {"type": "task_complete", "turn_id": turn, "duration_ms": 900}),
    ]
    if first:
        lines.insert(0, ("session_meta", meta | {"history_mode": "paginated"}))
    written = [{"timestamp": iso(at), "type": kind, "payload": told} for kind, told in lines]
    return append(path, written)


def claude_turn(path: Path, at: float, tokens: int) -> Path:
    """Append one prompt and its reply to a transcript."""
    shared: dict[str, Any] = {"isSidechain": False, "cwd": "/srv/made-up", "sessionId": path.stem}
    shared |= {"timestamp": iso(at), "version": "2.1.328"}
    asked: dict[str, Any] = {"type": "user", "promptId": str(uuid.uuid4()), "promptSource": "typed"}
    asked |= {"message": {"role": "user", "content": "made up"}}
    reply = {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [{"type": "text"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": tokens, "output_tokens": 5},
    }
    said = {"type": "assistant", "requestId": f"req_{uuid.uuid4().hex}", "message": reply}
    ended = {"type": "system", "subtype": "turn_duration", "durationMs": 900}
    lines = [asked, said, ended]
    return append(path, [{**shared, "uuid": str(uuid.uuid4()), **line} for line in lines])


def cpu_s(pid: int) -> float:
    """Return what a process and its threads used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, name: str) -> float:
    """Return VmRSS (now) or VmHWM (the most there ever was)."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name)) / 1024


@contextmanager
def agent(home: Home, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real agent, until its first pass is done."""
    (home.ours / "agent.json").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", program, "agent", "run"], env=home.environ, stdin=subprocess.DEVNULL
    )
    try:
        while not has_read(home):
            assert process.poll() is None, "the agent ended"
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def has_read(home: Home) -> bool:
    """Tell whether the agent has read everything once."""
    try:
        return bool(json.loads((home.ours / "agent.json").read_bytes())["last_pass_ms"])
    except (OSError, ValueError, KeyError):
        return False


def in_outbox(home: Home, count: int, until: float) -> float:
    """Return when the ledger has told of `count` turns, in or through the outbox."""
    ledger = sqlite3.connect(f"file:{home.ours}/ledger.sqlite3?mode=ro", uri=True)
    try:
        while time.monotonic() < until:
            if ledger.execute("SELECT count(*) FROM told").fetchone()[0] >= count:
                return time.monotonic()
            time.sleep(0.005)
    finally:
        ledger.close()
    return float("inf")


def delays(home: Home, turns: int, told: int, tokens: int) -> dict[str, list[float]]:
    """End turns in both agents' new and old logs; return how long each took, seconds."""
    found: dict[str, list[float]] = {"outbox": [], "server": []}
    rollout, transcript = home.rollout(time.time()), home.transcript(0)
    for number in range(turns * 2):
        time.sleep(random.uniform(0.2, 1.5))
        began, tokens, told = time.monotonic(), tokens + 1, told + 1
        if number % 2:
            claude_turn(transcript, time.time(), tokens)
        else:
            codex_turn(rollout, time.time(), tokens, first=number == 0)
        found["outbox"].append(in_outbox(home, told, began + 8) - began)
        while tokens not in Server.arrived and time.monotonic() < began + 8:
            time.sleep(0.005)
        found["server"].append(Server.arrived.get(tokens, float("inf")) - began)
    return found


def measure(home: Home, program: str, asked: argparse.Namespace, told: int) -> dict[str, float]:
    began = time.monotonic()
    with agent(home, program) as process:
        first_pass, first_cpu = time.monotonic() - began, cpu_s(process.pid)
        time.sleep(2)
        before = cpu_s(process.pid)
        time.sleep(asked.rest)
        cpu = (cpu_s(process.pid) - before) / asked.rest * 100
        rss = memory_mb(process.pid, "VmRSS")
        took = delays(home, asked.turns, told, 50_000 + told)
        return {
            "cpu %": cpu,
            "rss MB": rss,
            "outbox s": max(took["outbox"]),
            "outbox median s": statistics.median(took["outbox"]),
            "server s": max(took["server"]),
            "rss at work MB": memory_mb(process.pid, "VmRSS"),
            "rss at most MB": memory_mb(process.pid, "VmHWM"),
            "first pass s": first_pass,
            "first pass cpu s": first_cpu,
        }


def show(name: str, figures: dict[str, float]) -> None:
    for what, figure in figures.items():
        goal = GOALS.get(what)
        verdict = (
            "" if goal is None else f"   goal {goal:g}  {'ok' if figure <= goal else 'MISSED'}"
        )
        print(f"{name:<22} {what:<18} {figure:9.3f}{verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.watcher")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rest", type=float, default=20)
    parser.add_argument("--turns", type=int, default=10)
    asked = parser.parse_args()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as root:
        home = Home(Path(root))
        home.fill(asked.files)
        home.send_to(f"http://127.0.0.1:{http.server_address[1]}/ping/tt_bench")
        found = {}
        ways = {"first start": NOTIFIED, "notifications": NOTIFIED, "polling": POLLING}
        for round_, (name, program) in enumerate(ways.items()):
            found[name] = measure(home, program, asked, round_ * asked.turns * 2)
            show(name, found[name])
    print(json.dumps(found))
    goals = [found[way][what] <= goal for way in found for what, goal in GOALS.items()]
    return 0 if all(goals) else 1


if __name__ == "__main__":
    sys.exit(main())
