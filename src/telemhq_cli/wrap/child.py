"""The job: started first, never piped, its signals passed on, its exit code kept.

Signals are blocked and waited for, not handled: `sigwaitinfo` tells who sent one. What the
terminal sends (Ctrl-C) reaches the whole foreground group, the job included, so only what a
process sent to us alone is passed on.
"""

from __future__ import annotations

import os

from telemhq_agents import clock

TYPE_CHECKING = False  # typing itself costs 5 ms, and the job waits for this file
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Sequence
else:
    import _signal as signal  # the C half of `signal`: the other half is 4 ms of enums

NOT_EXECUTABLE = 126
NOT_FOUND = 127
KILLED_BY_SIGNAL = 128
FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
WATCHED = (*FORWARDED, signal.SIGCHLD)
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Child:
    """A running job."""

    __slots__ = ("_started_ns", "pid", "started_ms")

    def __init__(self, pid: int, started_ms: int, started_ns: int) -> None:
        self.pid = pid
        self.started_ms = started_ms
        self._started_ns = started_ns

    def wait(self) -> Ended:
        """Pass signals on until the job ends."""
        while True:
            number, sent_to_us_alone = _next_signal()
            if number == signal.SIGCHLD:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    return Ended.of(
                        status, self.started_ms, clock.monotonic_ns() - self._started_ns
                    )
            elif sent_to_us_alone:
                self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except OSError:
            return  # a job that runs as somebody else (sudo) cannot be reached by us either


class Ended:
    """How the job ended. `code` is what we exit with; times in milliseconds."""

    __slots__ = ("code", "duration_ms", "exit_code", "reason", "signal", "started_ms")

    def __init__(
        self,
        code: int,
        started_ms: int,
        *,
        duration_ms: int = 0,
        exit_code: int | None = None,
        signal_number: int = 0,
        reason: str = "",
    ) -> None:
        self.code = code
        self.started_ms = started_ms
        self.duration_ms = duration_ms
        self.exit_code = exit_code
        self.signal = signal_number
        self.reason = reason

    @classmethod
    def of(cls, status: int, started_ms: int, duration_ns: int) -> Ended:
        """Read a wait status."""
        duration_ms = duration_ns // 1_000_000
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return cls(code, started_ms, duration_ms=duration_ms, exit_code=code)
        return cls(
            KILLED_BY_SIGNAL - code, started_ms, duration_ms=duration_ms, signal_number=-code
        )

    @property
    def failed(self) -> bool:
        """Tell whether the job went wrong."""
        return self.code != 0


def start(command: Sequence[str], stdout: int | None = None) -> Child | Ended:
    """Start the job with our own streams (or `stdout`), directory and environment.

    Returns at once, with `Ended` where there was nothing to start. From here on `FORWARDED`
    signals wait until `Child.wait` or `release` hears them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    # Inherited as "ignored", the job's exit code would be thrown away by the kernel.
    signal.signal(signal.SIGCHLD, _nothing)
    started_ms, started_ns = clock.now_ms(), clock.monotonic_ns()
    redirected = [] if stdout is None else [(os.POSIX_SPAWN_DUP2, stdout, 1)]
    try:
        pid = _spawn(command, before, redirected)
    except FileNotFoundError:
        return Ended(NOT_FOUND, started_ms, exit_code=NOT_FOUND, reason="command not found")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Ended(
            NOT_EXECUTABLE, started_ms, exit_code=NOT_EXECUTABLE, reason=reason or "not executable"
        )
    return Child(pid, started_ms, started_ns)


def release(when_hit: Callable[[], None]) -> None:
    """Unblock signals: from here on the first of them calls `when_hit`, which ends the process."""
    for number in FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: when_hit())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)


def signal_name(number: int) -> str:
    """Return a signal's name, `SIGTERM`; `SIG<n>` for those that have none."""
    names = (name for name in dir(signal) if name.startswith("SIG") and name[3] != "_")
    return next((name for name in names if getattr(signal, name) == number), f"SIG{number}")


def _spawn(
    command: Sequence[str], mask: Iterable[int], redirected: Sequence[tuple[int, int, int]]
) -> int:
    def spawn(file: str, words: Sequence[str]) -> int:
        return os.posix_spawnp(
            file,
            list(words),
            os.environ,
            file_actions=redirected,
            setsigmask=mask,
            setsigdef=IGNORED_BY_PYTHON,
        )

    try:
        return spawn(command[0], command)
    except OSError as error:
        script = _script_without_interpreter(command[0], error)
        if not script:
            raise
    return spawn("/bin/sh", ["/bin/sh", script, *command[1:]])


def _script_without_interpreter(name: str, error: OSError) -> str:
    # A shell, which cron jobs are used to, runs a script that has no #! line.
    import errno  # noqa: PLC0415 - rarely needed

    if error.errno != errno.ENOEXEC:
        return ""
    folders = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = (os.path.join(folder, name) for folder in folders)  # noqa: PTH118 - pathlib costs 8 ms
    return next((path for path in paths if os.access(path, os.X_OK)), "")


def _nothing(*_: object) -> None:
    """Stand in as a handler: an ignored signal could not be waited for everywhere."""


def _next_signal() -> tuple[int, bool]:
    if hasattr(signal, "sigwaitinfo"):
        heard = signal.sigwaitinfo(WATCHED)
        return heard.si_signo, heard.si_code <= 0
    number = signal.sigwait(WATCHED)  # macOS: nobody tells who sent it
    from_keyboard = number in {signal.SIGINT, signal.SIGQUIT} and _in_foreground()
    return number, not from_keyboard


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
