"""`telemhq ping`: one ping, or a job and the ping that tells how it went.

With a job, its code is ours and the ping is an afterthought: no mistake, full disk or dead network
may cost the job anything. What was not delivered is said once, on stderr.
"""

from __future__ import annotations

import _thread
import os
import sys

from telemhq_cli.wrap import child
from telemhq_cli.wrap.command_line import Asked, help_text, parse

TYPE_CHECKING = False  # typing itself costs 5 ms, and the job waits for this file
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from telemhq_cli.wrap.group import Canary
    from telemhq_cli.wrap.listening import Listener

GROUP_IS_WORTH_WATCHING_AFTER_S = 0.1
"""Seconds. Watching takes a process of its own."""
START_IS_WORTH_TELLING_AFTER_S = 1.0
"""Seconds. A job that is over by then is told by its end alone."""
A_MOMENT_S = 0.1
START_IS_WAITED_FOR_S = 1.0
"""Seconds. What the end leaves to a start that is on its way, so that they arrive in order."""


class Course:
    """The job's course: its key, who listens to it, whether it runs and is still told of."""

    __slots__ = ("_running", "_telling", "canary", "key", "listener")

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.listener: Listener | None = None
        self.canary: Canary | None = None
        self._running = _thread.allocate_lock()
        self._running.acquire()
        self._telling = _thread.allocate_lock()

    def ends_within(self, seconds: float) -> bool:
        """Wait until the job ends, for this long at most; tell whether it did."""
        ended = self._running.acquire(timeout=seconds)
        if ended:
            self._running.release()
        return ended

    def while_it_runs(self, tell: Callable[[], object]) -> None:
        """Call `tell`, unless the job has ended by now."""
        with self._telling:
            if self._running.locked():
                tell()

    def end(self) -> None:
        """Note that the job has ended: nothing new is told of its start."""
        self._running.release()

    def is_sent_to_group(self, number: int) -> bool:
        """Tell whether a signal that we got went to the whole process group; False: not known."""
        return self.canary is not None and self.canary.has_heard(number)

    def settle(self, seconds: float = START_IS_WAITED_FOR_S) -> None:
        """Wait for what is being told of the start, `START_IS_WAITED_FOR_S` at most."""
        if self._telling.acquire(timeout=min(seconds, START_IS_WAITED_FOR_S)):
            self._telling.release()


def run(arguments: Sequence[str]) -> int:
    """Do what the command line asks and return the exit code.

    Without a job, errors are raised; with one, they are said and the job's code is returned.
    """
    asked = parse(arguments)
    if asked.has("--help"):
        from telemhq_cli.render.voice import say  # noqa: PLC0415 - not on the job's road

        say(*help_text().splitlines())
        return 0
    if asked.has("--dry-run") and not asked.problem:
        from telemhq_cli.wrap import dry_run  # noqa: PLC0415 - not on the job's road

        return dry_run.show(asked)
    if asked.command and not asked.has("--dry-run"):
        _around(asked, asked.command)
    if asked.problem:
        from telemhq_agents.errors import UsageError  # noqa: PLC0415 - not on the job's road

        raise UsageError(asked.mistake, "telemhq ping --help")
    from telemhq_cli.wrap import telling  # noqa: PLC0415 - not on the job's road

    return telling.tell(asked, _new_key())


def _around(asked: Asked, command: list[str]) -> NoReturn:
    unlock = _locked(asked)
    course = Course(_new_key())
    ended = _attempts(asked, command, course)
    course.end()
    unlock()
    if asked.problem:
        _complain(f"{asked.mistake.rstrip('?')}; the run is not recorded (telemhq ping --help)")
        leave(course, ended.code)
    try:
        from telemhq_cli.wrap import telling  # noqa: PLC0415 - the job has run by now

        telling.tell_of(asked, ended, course, leave)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job's code is what counts
        _complain(f"the run is not recorded: {getattr(error, 'message', None) or repr(error)}")
    leave(course, ended.code)


def _attempts(asked: Asked, command: list[str], course: Course) -> child.Ended:
    """Run the job, as often as is asked for while it fails; return how it ended, all in all."""
    tries = 1
    first = begun = _begin(asked, command, course)
    if isinstance(begun, child.Child):
        _accompany(asked, course.key, begun.started_ms, course)
    ended = _end(asked, begun, course)
    while tries <= asked.retries and _is_worth_another(begun, ended, course):
        if not child.rest(asked.retry_delay_s):
            break
        tries += 1
        begun = _begin(asked, command, course)
        if isinstance(begun, child.Child) and isinstance(first, child.Child):
            begun.started_ms, begun.started_ns = first.started_ms, first.started_ns
        ended = _end(asked, begun, course)
    ended.attempts = tries if asked.retries else 0
    return ended


def _begin(asked: Asked, command: list[str], course: Course) -> child.Child | child.Ended:
    course.listener = _listener(asked)
    begun = child.start(command, course.listener.redirected if course.listener else ())
    if course.listener:
        course.listener.start()
    return begun


def _end(asked: Asked, begun: child.Child | child.Ended, course: Course) -> child.Ended:
    if isinstance(begun, child.Ended):
        _complain(f"{(asked.command or [''])[0]}: {begun.reason}")
        ended = begun
    else:
        limit = child.Limit(asked.kill_after_s, asked.grace_s) if asked.kill_after_s else None
        ended = begun.wait(limit, course.is_sent_to_group)
    if course.listener:
        course.listener.end()
    return ended


def _is_worth_another(begun: child.Child | child.Ended, ended: child.Ended, course: Course) -> bool:
    """Tell whether a job that failed is run again: if it could be started, and nobody ended it."""
    if not ended.failed or isinstance(begun, child.Ended) or begun.told_to_end:
        return False
    while course.listener and not course.listener.is_done_within(A_MOMENT_S):
        if child.is_told_to_end():  # what the last attempt wrote comes before the next one's
            return False
    return True


def _locked(asked: Asked) -> Callable[[], None]:
    """Take the lock that is asked for and return what gives it back; where it is taken, leave."""
    if not asked.has("--lock"):
        return lambda: None
    name = asked.values["--lock"]
    try:
        from telemhq_cli.wrap import lock  # noqa: PLC0415 - 10 ms, for those who ask for it

        held = lock.take(name)
    except Exception as error:  # noqa: BLE001 - a guard that cannot be had must not cost the job
        _complain(f"the job runs without the lock {name!r}: {error}")
        return lambda: None
    if held is None:
        from telemhq_cli.wrap import skipping  # noqa: PLC0415 - the job does not run

        _leave(skipping.tell(asked, _new_key(), _leave))
    return lambda: lock.give_back(held)


def leave(course: Course, code: int) -> NoReturn:
    """End with the job's code once all that it wrote is handed on; a signal ends us before."""
    if course.listener is not None:
        child.release(lambda: os._exit(code))
        course.listener.is_done_within(-1)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End at once: the interpreter's own end can crash on the thread beside, and cost the code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # a stream that is closed or full
            continue
    os._exit(code)


def _new_key() -> str:
    return f"run:{os.urandom(16).hex()}"


def _listener(asked: Asked) -> Listener | None:
    """Return what hands the job's output on, where something of it is wanted."""
    if not asked.has("--payload-from-stdout") and not asked.has("--tail-output"):
        return None
    from telemhq_cli.wrap.listening import Listener  # noqa: PLC0415 - rarely wanted

    try:
        return Listener(asked)
    except OSError as error:
        _complain(f"the job's output is not read: {error.strerror}")
        return None


def _accompany(asked: Asked, key: str, started_ms: int, course: Course) -> None:
    """Load what the end needs, and tell the start, beside the job."""
    try:
        _thread.start_new_thread(_beside, (asked, key, started_ms, course))
    except RuntimeError:  # no thread to be had: everything waits for the job's end
        return


def _beside(asked: Asked, key: str, started_ms: int, course: Course) -> None:
    try:
        from telemhq_cli.wrap import telling  # noqa: F401, PLC0415 - loads while the job runs

        if course.ends_within(GROUP_IS_WORTH_WATCHING_AFTER_S):
            return
        from telemhq_cli.wrap.group import Canary  # noqa: PLC0415 - for jobs that last

        course.canary = Canary()
        silent = asked.problem or asked.has("--on-success-only")
        if silent or course.ends_within(START_IS_WORTH_TELLING_AFTER_S):
            return
        from telemhq_cli.wrap.announcing import announce  # noqa: PLC0415 - httpx, for long jobs

        announce(asked, key, started_ms, course)
    except Exception:  # noqa: BLE001 - a courtesy; the end tells everything that counts
        return


def _complain(message: str) -> None:
    from telemhq_cli.render.voice import note  # noqa: PLC0415 - not on the job's road

    note(f"telemhq: {message}")
