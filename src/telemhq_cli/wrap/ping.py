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

    from telemhq_cli.wrap.stream import Tee

START_IS_WORTH_TELLING_AFTER_S = 1.0
"""Seconds. A job that is over by then is told by its end alone."""
START_IS_WAITED_FOR_S = 1.0
"""Seconds. What the end leaves to a start that is on its way, so that they arrive in order."""


class Course:
    """The job's course, as the thread beside it sees it: whether it runs, and is still told of."""

    __slots__ = ("_running", "_telling")

    def __init__(self) -> None:
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

    def settle(self) -> None:
        """Wait for what is being told of the start, `START_IS_WAITED_FOR_S` at most."""
        if self._telling.acquire(timeout=START_IS_WAITED_FOR_S):
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
    if asked.command:
        _around(asked, asked.command)
    if asked.problem:
        from telemhq_agents.errors import UsageError  # noqa: PLC0415 - not on the job's road

        raise UsageError(asked.problem, "telemhq ping --help")
    from telemhq_cli.wrap import telling  # noqa: PLC0415 - not on the job's road

    return telling.tell(asked, _new_key())


def _around(asked: Asked, command: list[str]) -> NoReturn:
    tee = _tee(asked)
    begun = child.start(command, None if tee is None else tee.job_end)
    key = _new_key()
    last_line = b""
    course = Course()
    if isinstance(begun, child.Ended):
        ended = begun
        _complain(f"{command[0]}: {ended.reason}")
    else:
        if tee is not None:
            tee.start()
        _accompany(asked, key, begun.started_ms, course)
        ended = begun.wait()
        course.end()
        if tee is not None:
            last_line = tee.finish()
    if asked.problem:
        _complain(f"{asked.problem}; the run is not recorded (telemhq ping --help)")
        _leave(ended.code)
    try:
        from telemhq_cli.wrap import telling  # noqa: PLC0415 - the job has run by now

        telling.tell_of(asked, key, ended, last_line, course.settle)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job's code is what counts
        _complain(f"the run is not recorded: {getattr(error, 'message', None) or repr(error)}")
    _leave(ended.code)


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


def _tee(asked: Asked) -> Tee | None:
    """Return what hands the job's stdout on, where its last line is wanted."""
    if not asked.has("--payload-from-stdout"):
        return None
    from telemhq_cli.wrap.stream import Tee  # noqa: PLC0415 - rarely wanted

    try:
        os.fstat(1)  # a job without stdout has no last line
        return Tee()
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

        if asked.problem or course.ends_within(START_IS_WORTH_TELLING_AFTER_S):
            return
        from telemhq_cli.wrap.announcing import announce  # noqa: PLC0415 - httpx, for long jobs

        announce(asked, key, started_ms, course)
    except Exception:  # noqa: BLE001 - a courtesy; the end tells everything that counts
        return


def _complain(message: str) -> None:
    from telemhq_cli.render.voice import note  # noqa: PLC0415 - not on the job's road

    note(f"telemhq: {message}")
