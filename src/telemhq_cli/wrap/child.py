"""The job: started first, never piped, its signals passed on, its exit code kept.

Signals are blocked and waited for, not handled: `sigwaitinfo` tells who sent one. What the
terminal sends (Ctrl-C) reaches the whole foreground group, the job included, so only what a
process sent to us alone is passed on.
"""

from __future__ import annotations

import _thread
import os
import sys

from telemhq_agents import clock

TYPE_CHECKING = False  # typing itself costs 5 ms, and the job waits for this file
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping, Sequence
else:
    import _signal as signal  # the C half of `signal`: the other half is 4 ms of enums

TIMED_OUT = 124
"""What timeout(1) exits with. (Ours for SIGKILL too: 137 would look like anybody's.)"""
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
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Whoever gets one of these wants the end of it all: no job is run again."""
WATCHED = (*FORWARDED, signal.SIGCHLD, signal.SIGALRM)
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)

GIVEN_BY_PYTHON = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
"""Values of LC_CTYPE that Python sets for itself where it finds the C locale."""
ALARM_MAY_COME_EARLY_NS = 10_000_000
SOON_S = 0.001
"""As good as at once: an alarm in no time at all would never come."""

_before: Iterable[int] | None = None


class Limit:
    """How long the job may run, and how long it then has to obey SIGTERM; seconds."""

    __slots__ = ("grace_s", "kill_after_s")

    def __init__(self, kill_after_s: float, grace_s: float) -> None:
        self.kill_after_s = kill_after_s
        self.grace_s = grace_s


class Child:
    """A running job."""

    __slots__ = ("_due_ns", "_timed_out", "pid", "started_ms", "started_ns", "told_to_end")

    def __init__(self, pid: int, started_ms: int, started_ns: int) -> None:
        self.pid = pid
        self.started_ms = started_ms
        self.told_to_end = False
        self.started_ns = started_ns
        self._timed_out = False
        self._due_ns = 0

    def wait(
        self, limit: Limit | None = None, sent_to_group: Callable[[int], bool] | None = None
    ) -> Ended:
        """Pass signals on until the job ends, and end it once its time is up.

        `sent_to_group` tells of a signal whether the whole process group, the job included, got it.
        """
        if limit:
            self._call_time_in(limit.kill_after_s)
        while True:
            number, sent_to_us_alone = _next_signal()
            if number in {signal.SIGCHLD, signal.SIGALRM}:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    return self._ended(status, limit)
                if limit and number == signal.SIGALRM:
                    self._enforce(limit)
                continue
            self.told_to_end = self.told_to_end or _is_an_end(number)
            if sent_to_us_alone and not self._has(number, sent_to_group):
                self._signal(number)

    def _call_time_in(self, seconds: float) -> None:
        self._due_ns = clock.monotonic_ns() + int(seconds * 1e9)
        _alarm_in(max(seconds, SOON_S))

    def _has(self, number: int, sent_to_group: Callable[[int], bool] | None) -> bool:
        if sent_to_group is None or not sent_to_group(number):
            return False
        try:
            return os.getpgid(self.pid) == os.getpgrp()
        except OSError:
            return False

    def _enforce(self, limit: Limit) -> None:
        """Ask the job to end; the second time, end it. Its process alone: the group is ours too."""
        if clock.monotonic_ns() + ALARM_MAY_COME_EARLY_NS < self._due_ns:
            return  # somebody else's alarm
        if not self._timed_out:
            self._timed_out = self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # one that was stopped hears nothing before it goes on
            self._call_time_in(limit.grace_s)
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        try:
            os.kill(self.pid, number)
        except OSError:
            return False  # a job that runs as somebody else (sudo) cannot be reached by us either
        return True

    def _ended(self, status: int, limit: Limit | None) -> Ended:
        ended = Ended.of(status, self.started_ms, clock.monotonic_ns() - self.started_ns)
        if limit:
            _alarm_in(0)
        if self._timed_out and limit:
            ended.code, ended.timed_out = TIMED_OUT, True
            ended.reason = f"timed out after {limit.kill_after_s:g} s"
        return ended


class Ended:
    """How the job ended. `code` is what we exit with; times in milliseconds.

    `attempts` is 0 where nobody asked for more than one.
    """

    __slots__ = (
        *("attempts", "code", "duration_ms", "exit_code", "reason", "signal", "started_ms"),
        "timed_out",
    )

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
        self.timed_out = False
        self.attempts = 0

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


def start(command: Sequence[str], redirected: Sequence[tuple[int, int]] = ()) -> Child | Ended:
    """Start the job with our own streams, directory and environment.

    `redirected` pairs a descriptor of ours with the job's stream that it becomes. Returns at once,
    with `Ended` where there was nothing to start. From here on `FORWARDED` signals wait until
    `Child.wait` or `release` hears them.
    """
    before = _mask_before_us()
    # Inherited as "ignored", the job's exit code would be thrown away by the kernel.
    signal.signal(signal.SIGCHLD, _nothing)
    started_ms, started_ns = clock.now_ms(), clock.monotonic_ns()
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in redirected]
    try:
        pid = _spawn(command, before, actions)
    except FileNotFoundError:
        return Ended(NOT_FOUND, started_ms, exit_code=NOT_FOUND, reason="command not found")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Ended(
            NOT_EXECUTABLE, started_ms, exit_code=NOT_EXECUTABLE, reason=reason or "not executable"
        )
    return Child(pid, started_ms, started_ns)


def release(when_hit: Callable[[], None]) -> None:
    """Let the first signal from here on call `when_hit`, which ends the process.

    In a thread, which hears it whatever we wait for: a resolver in C lets no handler run.
    """
    heard = [number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN]

    def hear() -> None:
        signal.sigwait(heard)
        when_hit()

    try:
        _thread.start_new_thread(hear, ())
    except RuntimeError:  # no thread to be had: between two waits then
        for number in heard:
            signal.signal(number, lambda *_: when_hit())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)


def rest(seconds: float) -> bool:
    """Wait between two attempts; tell whether that was undisturbed by a signal of `ENDING`."""
    if seconds > 0:
        _alarm_in(seconds)
    while seconds > 0 and not is_told_to_end():
        number, _ = _next_signal()
        if number == signal.SIGALRM:
            break
        if _is_an_end(number):
            _alarm_in(0)
            return False
    return not is_told_to_end()


def is_told_to_end() -> bool:
    """Tell whether a signal of `ENDING` waits to be heard."""
    return any(_is_an_end(number) for number in signal.sigpending())


def signal_name(number: int) -> str:
    """Return a signal's name, `SIGTERM`; `SIG<n>` for those that have none."""
    names = (name for name in dir(signal) if name.startswith("SIG") and name[3] != "_")
    return next((name for name in names if getattr(signal, name) == number), f"SIG{number}")


def _spawn(
    command: Sequence[str], mask: Iterable[int], redirected: Sequence[tuple[int, int, int]]
) -> int:
    environ = _environment()

    def spawn(file: str, words: Sequence[str]) -> int:
        return os.posix_spawnp(
            file,
            list(words),
            environ,
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


def _environment() -> Mapping[str, str]:
    """Return our environment as we got it: in the C locale, cron's, Python adds to it (PEP 538)."""
    if os.environ.get("LC_CTYPE") not in GIVEN_BY_PYTHON:
        return os.environ
    try:
        with open("/proc/self/environ", "rb") as given:  # noqa: PTH123 - pathlib costs 8 ms
            words = given.read().split(b"\0")
    except OSError:  # no Linux: Python was in the C locale, or somebody else gave us the value
        words = [] if sys.flags.utf8_mode else [b"LC_CTYPE=" + os.fsencode(os.environ["LC_CTYPE"])]
    environ = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    for word in words:
        if word.startswith(b"LC_CTYPE="):
            environ["LC_CTYPE"] = os.fsdecode(word.partition(b"=")[2])
    return environ


def _script_without_interpreter(name: str, error: OSError) -> str:
    # A shell, which cron jobs are used to, runs a script that has no #! line.
    import errno  # noqa: PLC0415 - rarely needed

    if error.errno != errno.ENOEXEC:
        return ""
    folders = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = (os.path.join(folder, name) for folder in folders)  # noqa: PTH118 - pathlib costs 8 ms
    return next((path for path in paths if os.access(path, os.X_OK)), "")


def _mask_before_us() -> Iterable[int]:
    """Block what is waited for, and return what was blocked before the first call of this."""
    global _before  # noqa: PLW0603 - a second attempt must not inherit the first one's blocks
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    if _before is None:
        _before = blocked
    return _before


def _is_an_end(number: int) -> bool:
    return number in ENDING and signal.getsignal(number) != signal.SIG_IGN  # nohup's HUP is none


def _alarm_in(seconds: float) -> None:
    """Have SIGALRM come (0: never), for `_next_signal` to hear; an older one comes no more."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    if signal.SIGALRM in signal.sigpending():
        signal.sigwait((signal.SIGALRM,))
    signal.setitimer(signal.ITIMER_REAL, seconds)


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
