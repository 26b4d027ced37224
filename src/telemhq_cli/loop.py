"""The background loop: one instance, woken by changes, reading what changed and nothing else."""

from __future__ import annotations

import os
import signal
import warnings
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from telemhq_agents import clock, locations, settings, spool
from telemhq_agents.errors import BrokenLedgerError, TelemhqError
from telemhq_agents.ledger import locks
from telemhq_agents.usage import Source
from telemhq_cli import status
from telemhq_cli.agent import Pass, Plan, at_work, in_words
from telemhq_cli.board import Board
from telemhq_cli.courier import Courier
from telemhq_cli.journal import Journal
from telemhq_cli.mending import in_words as mended_in_words
from telemhq_cli.mending import mend
from telemhq_cli.reading import NotNowError
from telemhq_cli.sweep import Folder
from telemhq_cli.watching import Changes, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from telemhq_agents.locations import Locations
    from telemhq_cli.agent import Agent

TICK_S = 60.0
"""How often to look whether a turn has settled, when nothing changes."""
DEBOUNCE_S = 0.4
"""The first change is read at once; what follows it is read together, this much later."""
SOON_S, SOON_FOR_S = 1.0, 3.0
"""How often, and for how long after something was read: a turn's end may be a moment ahead."""
MANY_FILES = 8
"""More changed files than these are read by a process of its own."""
FIRST_PAUSE_S = 1.0
"""After a pass that failed; doubled with each further one, up to `TICK_S`."""
LOCK_WAIT_S = 1.0
"""A hook that looks whether an agent runs holds the lock for a moment."""


class Signals:
    """What the agent was told from outside: to stop, or to read its settings again."""

    def __init__(self) -> None:
        self.stop = Event()
        self.reload = Event()
        self.changes = Changes()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear SIGTERM, SIGINT and SIGHUP while inside."""
        numbers = [signal.SIGTERM, signal.SIGINT]
        if hasattr(signal, "SIGHUP"):
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _: object) -> None:
        is_end = number in {signal.SIGTERM, signal.SIGINT}
        (self.stop if is_end else self.reload).set()
        self.changes.wake()


def run(plan: Plan, begun: Callable[[], None], said: Callable[[Pass], None]) -> bool:
    """Make passes until SIGTERM or SIGINT; False when another agent runs already.

    Raises what keeps the first pass from beginning. Later trouble is said, and tried again.
    """
    ours = locations.ours()
    own, other = status.lock_path(ours), status.lock_of_part(ours)
    if Source.CLAUDE not in plan.sources:
        own, other = other, own
    with locks.held(own, LOCK_WAIT_S) as got:
        if not got or status.is_held(other):
            return False
        begun()
        ours.spool.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is there can be watched
        # watchdog warns of a race of its own, whose end is right; nobody could act on it.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        signals = Signals()
        with signals.heard(), _journal_of(ours) as journal:
            loop = _Loop(ours, plan, signals, journal, said)
            loop.go_on()
        status.write(ours, {"pid": os.getpid(), "stopped_ms": clock.now_ms()})
        if loop.is_sending:
            # A server that hangs must not hold up the end. Nothing is lost: what was on its way is
            # still in the outbox, and goes out again under the same key.
            os._exit(0)
    return True


@contextmanager
def _journal_of(ours: Locations) -> Iterator[Journal]:
    """Keep the log open, and write down how the agent ended."""
    journal = Journal(ours.agent_log)
    journal.write(f"started, process {os.getpid()}")
    try:
        yield journal
        journal.write("stopped")
    except TelemhqError as error:
        journal.write(f"gave up: {in_words(error)}")
        raise
    except Exception as error:
        journal.write(f"failed: {type(error).__name__}: {error}")
        raise
    finally:
        journal.close()


def wake() -> None:
    """Take in what a hook has just left, unless an agent runs, which sees it by itself.

    A hook leaves its entry before it looks at the lock: whoever holds the lock looks again after
    letting go of it, so no entry is left to nobody.
    """
    ours = locations.ours()
    while spool.pending_count(ours.spool):
        with locks.held(status.lock_path(ours), 0) as got:
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
        signals: Signals,
        journal: Journal,
        said: Callable[[Pass], None],
    ) -> None:
        self._ours = ours
        self._plan = plan
        self._signals = signals
        self._journal = journal
        self._board = Board(ours, plan, journal, said)
        self._failures = 0
        self._has_begun = False
        self._soon_until_ns = 0
        self.is_sending = False

    def go_on(self) -> None:
        """Work until told to stop, on whatever ledger lies in its place."""
        watch = Watch(self._signals.changes)
        try:
            while not self._signals.stop.is_set():
                try:
                    self._work(watch)
                except BrokenLedgerError as error:
                    self._replace_ledger(error)
                except (TelemhqError, OSError) as error:
                    if not self._has_begun and not self._failures:
                        raise
                    self._bear(error)
        finally:
            watch.stop()

    def _work(self, watch: Watch) -> None:
        """Catch up, then read what changes, until the ledger or the settings are others."""
        with at_work(self._plan, self._signals.stop) as agent:
            opened = _identity(self._ours.ledger)
            courier = Courier(self._ours, self._board.sent, self._board.sending_failed)
            courier.start()
            try:
                self._catch_up(agent, watch, courier)
                while self._goes_on(opened):
                    self._read(agent, watch, courier)
            finally:
                courier.end()
                self.is_sending = courier.is_alive()

    def _goes_on(self, opened: tuple[int, int] | None) -> bool:
        if self._signals.stop.is_set() or self._is_to_reload():
            return False
        return opened == _identity(self._ours.ledger) is not None

    def _catch_up(self, agent: Agent, watch: Watch, courier: Courier) -> None:
        """Read everything there is, until that was done once."""
        watch.follow(folders(self._ours, self._plan.sources))
        while not self._signals.stop.is_set():
            try:
                done = agent.catch_up()
            except BrokenLedgerError:
                raise
            except (TelemhqError, OSError) as error:
                will_pass = isinstance(error, NotNowError)
                if not (will_pass or self._has_begun or self._failures):
                    raise
                self._bear(error)
                continue
            if done is not None:
                self._passed(done, watch, courier)
            return

    def _read(self, agent: Agent, watch: Watch, courier: Courier) -> None:
        """Wait for changes and read them; those of a pass that failed are read by the next one."""
        watch.wait(SOON_S if clock.monotonic_ns() < self._soon_until_ns else TICK_S)
        began_ns = clock.monotonic_ns()
        changes = self._signals.changes
        paths = changes.take()
        if self._signals.stop.is_set() or self._signals.reload.is_set():
            changes.note(paths)
            return
        entries = _entries(paths, self._ours.spool)
        if entries:
            courier.wake()
        logs = paths - entries
        try:
            done = agent.read(logs) if len(logs) <= MANY_FILES else agent.catch_up()
        except BrokenLedgerError:
            changes.note(paths)
            raise
        except (TelemhqError, OSError) as error:
            changes.note(paths)
            self._bear(error)
            return
        if done is not None:
            self._passed(done, watch, courier)
        took_s = (clock.monotonic_ns() - began_ns) / 1e9
        self._signals.stop.wait(max(DEBOUNCE_S - took_s, 0))

    def _passed(self, done: Pass, watch: Watch, courier: Courier) -> None:
        self._failures, self._has_begun = 0, True
        if any(one.files_read for one in done.scans.values()):
            self._soon_until_ns = clock.monotonic_ns() + int(SOON_FOR_S * 1e9)
        if done.queued:
            courier.wake()
        self._board.passed(done, watch)

    def _bear(self, error: TelemhqError | OSError) -> None:
        """Say what went wrong, and leave it in peace for a while: a lock, a full disk passes."""
        self._board.failed(error)
        self._signals.stop.wait(min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), TICK_S))
        self._failures += 1

    def _replace_ledger(self, error: BrokenLedgerError) -> None:
        """Go on with another ledger than a damaged one; wait where there is none to be had."""
        self._board.failed(error)
        try:
            replaced = mend(self._ours)
        except (TelemhqError, OSError) as why:
            self._bear(why)
            return
        if replaced is None:
            self._bear(error)
            return
        for line in mended_in_words(replaced):
            self._journal.write(line)

    def _is_to_reload(self) -> bool:
        """Tell whether there are settings to read again.

        Wrong ones are said; nothing is read until they are right, as they may be about privacy.
        """
        if not self._signals.reload.is_set():
            return False
        self._signals.reload.clear()
        self._journal.close()
        try:
            settings.load(self._ours.settings)
        except TelemhqError as error:
            self._board.failed(error)
            return False
        self._journal.write("read the settings again")
        return True


def _entries(paths: set[Path], home: Path) -> set[Path]:
    """Return those of the paths that are entries of the spool."""
    place = os.path.realpath(home)
    return {path for path in paths if str(path.parent) == place}


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def folders(ours: Locations, sources: Sequence[Source]) -> list[Folder]:
    """Return what to watch: the spool, and the logs of these sources."""
    found = [Folder(ours.spool, deep=False)]
    if Source.CODEX in sources:
        home = locations.codex_home()
        found += [Folder(home / name) for name in ("sessions", "archived_sessions")]
    if Source.CLAUDE in sources:
        found += [Folder(home / "projects") for home in locations.claude_homes()]
    return found
