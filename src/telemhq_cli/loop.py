"""The background loop: one instance, woken by changes, by the outbox's next try, or by the minute."""

from __future__ import annotations

import json
import os
import signal
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, locations, spool
from telemhq_agents.errors import TelemhqError
from telemhq_agents.ledger import locks
from telemhq_agents.usage import Source
from telemhq_cli.agent import Pass, Plan, at_work
from telemhq_cli.watching import Folder, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from telemhq_agents.locations import Locations
    from telemhq_cli.agent import Agent

FULL_PASS_S = 60.0
DEBOUNCE_S = 1.0
FIRST_PAUSE_S = 1.0
"""After a pass that failed; doubled with each further one, up to `FULL_PASS_S`."""
LOCK_WAIT_S = 1.0
"""A hook that looks whether an agent runs holds the lock for a moment."""


def status_path(ours: Locations) -> Path:
    """Return where the running agent writes what it does."""
    return ours.data / "agent.json"


def lock_path(ours: Locations) -> Path:
    """Return the lock of an agent that takes hooks in; they look at it before they wake one."""
    return ours.locks / "agent.lock"


def _lock_of_part(ours: Locations) -> Path:
    """Return the lock of an agent that follows Codex alone: hooks must not count on that one."""
    return ours.locks / "codex.lock"


def read_status(ours: Locations) -> dict[str, Any]:
    """Return what the agent last wrote, {} when it never did."""
    try:
        held = json.loads(status_path(ours).read_bytes())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def remember(done: Pass) -> None:
    """Write down a single pass; what a running agent wrote about itself stays."""
    ours = locations.ours()
    last = {"last_pass_ms": clock.now_ms(), "last_pass": as_json(done)}
    _write_status(ours, read_status(ours) | last)


def is_running(ours: Locations) -> bool:
    """Tell whether an agent runs now, with all collectors or with one."""
    return any(_is_held(path) for path in (lock_path(ours), _lock_of_part(ours)))


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with locks.held(path, LOCK_WAIT_S) as got:
        return not got


def run(plan: Plan, begun: Callable[[], None], said: Callable[[Pass], None]) -> bool:
    """Make passes until SIGTERM or SIGINT; False when another agent runs already.

    Raises what keeps the first pass from beginning. Later trouble is said, and tried again.
    """
    ours = locations.ours()
    own, other = lock_path(ours), _lock_of_part(ours)
    if Source.CLAUDE not in plan.sources:
        own, other = other, own
    with locks.held(own, LOCK_WAIT_S) as got:
        if not got or _is_held(other):
            return False
        begun()
        stop, changed = Event(), Event()
        ours.spool.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is there can be watched
        # watchdog warns of a race of its own, whose end is right; nobody could act on it.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        with _stopped_by_signals(stop, changed):
            _Loop(ours, plan, stop=stop, changed=changed, said=said).go_on()
        _write_status(ours, {"pid": os.getpid(), "stopped_ms": clock.now_ms()})
    return True


def wake() -> None:
    """Take in what a hook has just left, unless an agent runs, which sees it by itself.

    A hook leaves its entry before it looks at the lock: whoever holds the lock looks again after
    letting go of it, so no entry is left to nobody.
    """
    ours = locations.ours()
    while spool.pending_count(ours.spool):
        with locks.held(lock_path(ours), 0) as got:
            if not got:
                return
            with at_work(Plan()) as agent:
                done = agent.short_pass()
        if not done.hooks + done.pings:
            return  # what is left cannot be taken in now; the next wake or agent tries again


class _Loop:
    def __init__(
        self,
        ours: Locations,
        plan: Plan,
        *,
        stop: Event,
        changed: Event,
        said: Callable[[Pass], None],
    ) -> None:
        self._ours = ours
        self._plan = plan
        self._stop = stop
        self._changed = changed
        self._said = said
        self._started_ms = clock.now_ms()
        self._last_pass_ms: int | None = None
        self._failures = 0

    def go_on(self) -> None:
        watch = Watch(self._changed)
        try:
            while not self._stop.is_set():
                try:
                    self._work(watch)
                except (TelemhqError, OSError) as error:
                    if self._last_pass_ms is None and not self._failures:
                        raise
                    self._bear(error, watch)
        finally:
            watch.stop()

    def _work(self, watch: Watch) -> None:
        """Make passes on the ledger that lies in its place, until another one does, or none."""
        with at_work(self._plan, self._stop) as agent:
            opened = _identity(self._ours.ledger)
            while not self._stop.is_set() and opened == _identity(self._ours.ledger) is not None:
                try:
                    self._wait(self._pass(agent, watch))
                except (TelemhqError, OSError) as error:
                    self._bear(error, watch)

    def _pass(self, agent: Agent, watch: Watch) -> float:
        """Make one pass; return for how many seconds nothing is due."""
        watch.follow(folders(self._ours, self._plan.sources))
        self._changed.clear()
        done = agent.whole_pass()
        due_ms = agent.next_due_ms()
        self._failures, self._last_pass_ms = 0, clock.now_ms()
        self._tell(done, watch)
        if due_ms is None:
            return FULL_PASS_S
        return min(max((due_ms - clock.now_ms()) / 1000, DEBOUNCE_S), FULL_PASS_S)

    def _wait(self, seconds: float) -> None:
        if self._changed.wait(seconds):
            self._stop.wait(DEBOUNCE_S)  # more of the same usually follows at once

    def _bear(self, error: TelemhqError | OSError, watch: Watch) -> None:
        """Say what went wrong, and leave it in peace for a while: a lock, a full disk passes."""
        self._tell(Pass(problems=[_in_words(error)]), watch)
        self._stop.wait(min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), FULL_PASS_S))
        self._failures += 1

    def _tell(self, done: Pass, watch: Watch) -> None:
        self._said(done)
        status = {
            "pid": os.getpid(),
            "sources": [source.value for source in self._plan.sources],
            "started_ms": self._started_ms,
            "last_pass_ms": self._last_pass_ms,
            "watching_by": "polling" if watch.is_polling else "notifications",
            "last_pass": as_json(done),
        }
        _write_status(self._ours, status)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _in_words(error: TelemhqError | OSError) -> str:
    if isinstance(error, TelemhqError):
        return f"{error.message} {error.next_step}".strip()
    return f"{error.strerror or error}: {error.filename or 'this machine'}"


def folders(ours: Locations, sources: Sequence[Source]) -> list[Folder]:
    """Return what to watch: the spool, and the logs of these sources."""
    found = [Folder(ours.spool, deep=False)]
    if Source.CODEX in sources:
        home = locations.codex_home()
        found += [Folder(home / name) for name in ("sessions", "archived_sessions")]
    if Source.CLAUDE in sources:
        found += [Folder(home / "projects") for home in locations.claude_homes()]
    return found


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


def _write_status(ours: Locations, status: dict[str, Any]) -> None:
    path = status_path(ours)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump(status, stream)
        unfinished.replace(path)
    except OSError:
        return  # a full disk must not end the loop; the ledger tells the same


@contextmanager
def _stopped_by_signals(stop: Event, changed: Event) -> Iterator[None]:
    def hear(*_: object) -> None:
        stop.set()
        changed.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
