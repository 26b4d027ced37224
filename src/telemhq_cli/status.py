"""Whether an agent runs on this machine, and what it last wrote about itself."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, locations, whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.locations import Locations
    from telemhq_cli.agent import Pass

PROBES, PROBE_S = 20, 0.05
"""A drain that a hook woke holds the lock too, for a moment."""


def path_of(ours: Locations) -> Path:
    """Return where the running agent writes what it does."""
    return ours.data / "agent.json"


def lock_path(ours: Locations) -> Path:
    """Return the lock of an agent that takes hooks in; they look at it before they wake one."""
    return ours.locks / "agent.lock"


def lock_of_part(ours: Locations) -> Path:
    """Return the lock of an agent that follows Codex alone: hooks must not count on that one."""
    return ours.locks / "codex.lock"


def read(ours: Locations) -> dict[str, Any]:
    """Return what the agent last wrote, {} when it never did."""
    try:
        held = json.loads(path_of(ours).read_bytes())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def write(ours: Locations, status: dict[str, Any]) -> None:
    """Put what the agent says of itself in place, whole, for its owner alone."""
    try:
        whole_file.put(path_of(ours), json.dumps(status).encode(), sync=False)
    except OSError:
        return  # a full disk must not end the loop; the ledger tells the same


def remember(done: Pass) -> None:
    """Write down a single pass; what a running agent wrote about itself stays."""
    ours = locations.ours()
    last = {"last_pass_ms": clock.now_ms(), "last_pass": as_json(done)}
    write(ours, read(ours) | last)


def is_running(ours: Locations) -> bool:
    """Tell whether an agent runs now, with all collectors or with one."""
    return any(is_held(path) for path in (lock_path(ours), lock_of_part(ours)))


def seems_running(ours: Locations) -> bool:
    """Tell at one look whether an agent runs: for a moment, a drain that a hook woke seems so too."""
    is_held_now = any(_is_held_now(path) for path in (lock_path(ours), lock_of_part(ours)))
    return is_held_now and "stopped_ms" not in read(ours)


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock and goes on holding it."""
    pause = Event()
    for _ in range(PROBES):
        if not _is_held_now(path):
            return False
        pause.wait(PROBE_S)
    return True


def _is_held_now(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # none there, or closed to us: nobody of ours holds it
        return False
    try:
        # Shared, as hooks ask: two who ask at once don't take each other for an agent.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def as_json(done: Pass) -> dict[str, Any]:
    """Return a pass as JSON shows it."""
    return {
        "hooks": done.hooks,
        "pings": done.pings,
        "scans": {source.value: asdict(report) for source, report in done.scans.items()},
        "queued": done.queued,
        "delivery": None if done.delivery is None else asdict(done.delivery),
        "problems": done.problems,
    }
