"""The entry: what to run, and how it ends. Errors become exit codes here and nowhere else."""

from __future__ import annotations

import errno
import gc
import os
import sys

TYPE_CHECKING = False  # `telemhq ping` starts a job: nothing heavy may be imported before it runs
if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
BROKEN_PIPE = 141
UNEXPECTED = 70
FULL_DISK = 1


def main() -> int:
    """Run the command line and return the exit code."""
    code = _on_its_road(sys.argv[1:])
    _let_go_of_stderr()
    # What is left goes with the process: the interpreter need not look through all of it, 15 ms.
    gc.freeze()
    return code


def _on_its_road(arguments: list[str]) -> int:
    if arguments[:1] == ["ping"]:
        return _guarded(lambda: _ping(arguments[1:]))
    if arguments[:1] == ["statusline"] and "--help" not in arguments:
        return _guarded(lambda: _statusline(arguments[1:]))
    if arguments == ["agent", "run"]:
        return _guarded(_agent)
    return _guarded(lambda: _command(arguments))


def _agent() -> int:
    import signal  # noqa: PLC0415 - not on the job's road

    if hasattr(signal, "SIGHUP"):  # a reload before the loop hears would be the end of it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from telemhq_cli.following import run  # noqa: PLC0415 - the service's road: 4 MB less at rest

    return run()


def _ping(arguments: list[str]) -> int:
    from telemhq_cli.wrap.ping import run  # noqa: PLC0415 - the road without Typer

    return run(arguments)


def _statusline(arguments: list[str]) -> int:
    from telemhq_cli.statusline import run  # noqa: PLC0415 - the other road without Typer

    return run(arguments)


def _command(arguments: list[str]) -> int:
    if arguments[:1] == ["usage"]:
        gc.disable()  # a report is over before looking for cycles would find any, 10 ms
        from telemhq_cli.commands import own_usage  # noqa: PLC0415 - most reports need no Typer

        form = own_usage.plain_form(arguments[1:])
        if form is not None:
            return own_usage.run(form)
    from telemhq_cli.commands.tree import run  # noqa: PLC0415 - Typer: 60 ms

    return run(arguments)


def _guarded(work: Callable[[], int]) -> int:
    try:
        code = work()
        _flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the one place where every failure ends
        return _code_of(error)
    return code


def _code_of(error: Exception) -> int:
    from telemhq_agents.errors import TelemhqError  # noqa: PLC0415 - not on the job's road
    from telemhq_cli.render.voice import complain, note  # noqa: PLC0415 - same

    if isinstance(error, TelemhqError):
        complain(error)
        return error.exit_code
    if os.environ.get("TELEMHQ_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        note(f"telemhq: {error.strerror}: {error.filename or 'the output is not whole'}")
        _silence_stdout()
        return FULL_DISK
    note(f"telemhq: {type(error).__name__}: {error}")
    note("  This is a fault of telemhq. TELEMHQ_DEBUG=1 shows where it happened.")
    return UNEXPECTED


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _silence_stdout() -> None:
    # The reader has gone (`telemhq usage | head`): the interpreter's own flush must not complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _let_go_of_stderr() -> None:
    # Where it cannot take what was noted, the interpreter would end with a code of its own, 120.
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = None


if __name__ == "__main__":
    sys.exit(main())
