"""Several processes that do the same work: started, started again where they die, ended together.

The parent forks while it has neither threads nor connections, and then only watches: a signal, or a
child that is ready, wakes its one selector.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from telemhq_agents.clock import monotonic_ns
from telemhq_agents.errors import SettingsError, TelemhqError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Work = Callable[[Callable[[], None]], None]

LOG = logging.getLogger("telemhq.server")
NS = 1_000_000_000
ENDING = (signal.SIGTERM, signal.SIGINT)
SETTLED_NS = 10 * NS
"""Whoever has lived so long did not die of being started."""

LONGEST_PAUSE_NS = 30 * NS
ENDING_NS = 30 * NS
"""How long processes may take to end well, before they are killed."""


def supervise(
    count: int, work: Work, ready: Callable[[], None], ending: Callable[[], None]
) -> None:
    """Run `work` in `count` processes until SIGTERM or SIGINT, which each of them gets too.

    `work` is handed a function to call once it is ready, and ends well on these signals. `ready` is
    called here, once, when all are; `ending` when they are about to end. Raises TelemhqError where
    one ends before all were ready, SettingsError where the system cannot fork.
    """
    if not hasattr(os, "fork"):
        raise SettingsError(
            "this system cannot run several server processes", "leave --workers out: one will run"
        )
    _Supervisor(count, work, ready, ending).run()


class _Supervisor:
    """The parent of the processes."""

    def __init__(
        self, count: int, work: Work, ready: Callable[[], None], ending: Callable[[], None]
    ) -> None:
        self._work = work
        self._ready, self._ending = ready, ending
        self._missing = self._unready = count
        self._born_ns: dict[int, int] = {}
        self._deaths = 0
        self._start_ns = 0
        self._killing_ns: int | None = None
        self._stopping = False
        self._failed_start = ""
        # Each child that is ready writes a byte; all learn of our death by the end of the lifeline.
        self._told, self._telling = os.pipe()
        self._lifeline, self._held = os.pipe()

    def run(self) -> None:
        """Watch until all have ended."""
        with _signals() as arrived, selectors.DefaultSelector() as selector:
            selector.register(arrived, selectors.EVENT_READ, lambda: self._heed(arrived))
            selector.register(self._told, selectors.EVENT_READ, self._count_ready)
            while self._born_ns or not self._stopping:
                self._start_missing()
                for key, _ in selector.select(self._patience_s()):
                    key.data()
                self._reap()
                self._kill_late()
        for pipe in (self._told, self._telling, self._lifeline, self._held):
            os.close(pipe)
        if self._failed_start:
            raise TelemhqError(self._failed_start, "see what it logged, above")

    def _heed(self, arrived: socket.socket) -> None:
        for number in arrived.recv(256):
            if number in ENDING:
                self._stop(number)

    def _count_ready(self) -> None:
        self._unready -= len(os.read(self._told, max(self._unready, 1)))
        if self._unready == 0:
            self._unready = -1
            self._ready()

    def _stop(self, number: int) -> None:
        """Tell every process to end; what it got before does no harm again."""
        if not self._stopping:
            self._stopping, self._missing = True, 0
            self._killing_ns = monotonic_ns() + ENDING_NS
            self._ending()
        for pid in self._born_ns:
            os.kill(pid, number)

    def _start_missing(self) -> None:
        while self._missing and monotonic_ns() >= self._start_ns:
            self._missing -= 1
            self._fork()

    def _fork(self) -> None:
        """Start a process; no signal reaches it before it has forgotten what we do on signals."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork()
        if pid == 0:
            self._be_child()
        self._born_ns[pid] = monotonic_ns()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _be_child(self) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*ENDING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._held)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            self._work(self._tell_ready)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except TelemhqError as error:
            LOG.error("a server process cannot go on: %s", error.message)  # noqa: TRY400 - known
        except BaseException:
            LOG.exception("a server process failed")
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _tell_ready(self) -> None:
        """Tell the parent; a thread begins only now, so that the work may have forked before."""
        os.write(self._telling, b"!")
        threading.Thread(target=_end_with_parent, args=(self._lifeline,), daemon=True).start()

    def _reap(self) -> None:
        """Take note of every process that has ended."""
        while self._born_ns:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            born_ns = self._born_ns.pop(pid, None)
            if born_ns is not None and not self._stopping:
                self._replace(pid, os.waitstatus_to_exitcode(status), born_ns)

    def _replace(self, pid: int, code: int, born_ns: int) -> None:
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        if self._unready > 0:
            self._failed_start = f"a server process ended {how} while it started"
            self._stop(signal.SIGTERM)
            return
        now_ns = monotonic_ns()
        self._deaths = 0 if now_ns - born_ns >= SETTLED_NS else self._deaths + 1
        pause_ns = min(NS * 2**self._deaths // 4, LONGEST_PAUSE_NS) if self._deaths > 1 else 0
        self._start_ns = now_ns + pause_ns
        self._missing += 1
        LOG.error("server process %d ended %s; another one is started", pid, how)

    def _kill_late(self) -> None:
        if self._killing_ns is not None and monotonic_ns() >= self._killing_ns:
            self._killing_ns = None
            for pid in self._born_ns:
                LOG.error("server process %d did not end and is killed", pid)
                os.kill(pid, signal.SIGKILL)

    def _patience_s(self) -> float | None:
        """Return how long nothing is to be done unless something happens."""
        moments = [self._killing_ns] if self._killing_ns is not None else []
        if self._missing:
            moments.append(self._start_ns)
        if not moments:
            return None
        return max(min(moments) - monotonic_ns(), 0) / NS


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Lend a socket on which the number of each signal arrives that concerns us."""
    arrived, arriving = socket.socketpair()
    arrived.settimeout(0)
    arriving.settimeout(0)
    heeded = (*ENDING, signal.SIGCHLD)
    before_fd = signal.set_wakeup_fd(arriving.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in heeded}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        arrived.close()
        arriving.close()


def _end_with_parent(lifeline: int) -> None:
    """End well when the parent is gone, however that came: nobody else would ever end this one."""
    with suppress(OSError):
        os.read(lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)
