"""Other programs that read the same logs, for `bench/logs.py`: fetched with npm, run as they are.

Their native programs are packages of their own, one per platform, so no Node process stands before
them. They are kept outside of the repository.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEMS = {"linux": ("linux", "-gnu"), "darwin": ("darwin", "")}


class Peer(NamedTuple):
    """A program, how it reports all usage as JSON, and how its totals are read."""

    name: str
    command: list[str]
    tokens: Callable[[dict[str, Any], frozenset[str]], dict[str, int]]


def fetched(cache: Path) -> tuple[list[Peer], list[str]]:
    """Return the peers that could be fetched, and why others could not."""
    system = SYSTEMS.get(sys.platform)
    machine = MACHINES.get(platform.machine().lower())
    if not system or not machine or not shutil.which("npm"):
        return [], ["there is no npm here, or no build of the peers for this platform"]
    name, libc = system
    wanted = [
        (f"@ccusage/ccusage-{name}-{machine}", "20", "ccusage", ["daily", "--json", "--offline"]),
        (
            f"@tokscale/cli-{name}-{machine}{libc}",
            "4",
            "tokscale",
            ["models", "--json", "--no-spinner", "--client", "claude,codex"],
        ),
    ]
    peers, problems = [], []
    for package, version, program, arguments in wanted:
        path = _installed(cache, package, version, program)
        if path is None:
            problems.append(f"npm has no {package}@{version} for us")
            continue
        shown = _version(path)
        peers.append(Peer(shown, [str(path), *arguments], READERS[program]))
    return peers, problems


def _installed(cache: Path, package: str, version: str, program: str) -> Path | None:
    path = cache / "node_modules" / package / "bin" / program
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        asked = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", "--no-save"]
        asked += ["--prefix", str(cache), f"{package}@{version}"]
        subprocess.run(asked, check=False, capture_output=True)
    if not path.exists():
        return None
    path.chmod(0o755)
    return path


def _version(path: Path) -> str:
    told = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def quiet(home: Path, logs: Path) -> dict[str, str]:
    """Return the environment of a run: our own, but for the homes; no road leads out of here."""
    nowhere = "http://127.0.0.1:9"
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "TELEMHQ_HOME": str(home / "telemhq"),
        "CLAUDE_CONFIG_DIR": str(logs / "claude"),
        "CODEX_HOME": str(logs / "codex"),
        "TZ": "UTC",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "TOKSCALE_PRICING_CACHE_ONLY": "1",
    }


def _of_ccusage(told: dict[str, Any], claude_models: frozenset[str]) -> dict[str, int]:
    found = {"claude": 0, "codex": 0}
    counts = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")
    for day in told["daily"]:
        for row in day["modelBreakdowns"]:
            whose = "claude" if row["modelName"] in claude_models else "codex"
            found[whose] += sum(row[count] for count in counts)
    return found


def _of_tokscale(told: dict[str, Any], _: frozenset[str]) -> dict[str, int]:
    found = {"claude": 0, "codex": 0}
    for row in told["entries"]:
        found[row["client"]] += row["input"] + row["output"] + row["cacheRead"] + row["cacheWrite"]
    return found


def of_telemhq(told: dict[str, Any], _: frozenset[str]) -> dict[str, int]:
    """Return the tokens of each source in our own report by source."""
    return {"claude": 0, "codex": 0} | {
        row["source"]: row["total_tokens"] for row in told["data"]["rows"]
    }


READERS: dict[str, Callable[[dict[str, Any], frozenset[str]], dict[str, int]]] = {
    "ccusage": _of_ccusage,
    "tokscale": _of_tokscale,
}


def read(output: bytes, peer: Peer, claude_models: frozenset[str]) -> dict[str, int]:
    """Return a report's tokens by source."""
    return peer.tokens(json.loads(output), claude_models)
