"""The entry: what to run, and how it ends. Errors become exit codes here and nowhere else."""

from __future__ import annotations

import errno
import gc
import os
import sys

from telemhq_cli.render import letters

TYPE_CHECKING = False  # `telemhq ping` starts a job: nothing heavy may be imported before it runs
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

INTERRUPTED = 130
BROKEN_PIPE = 141
UNEXPECTED = 70
FULL_DISK = 1
OUR_FAULT = "This is a fault of telemhq. TELEMHQ_DEBUG=1 shows where it happened."
FAULT = {"kind": "fault", "exit_code": UNEXPECTED}
COMPLETING = "_TELEMHQ_COMPLETE"
"""Set by a shell's script to the shell's name, while somebody who types presses Tab."""


def main() -> int:
    """Run the command line and return the exit code."""
    arguments = sys.argv[1:]
    if COMPLETING in os.environ:
        return _completed(os.environ[COMPLETING], arguments)
    letters.let_output_take_everything()
    document = _document(arguments)
    code = _guarded(lambda: _on_its_road(arguments), document)
    if document is not None:
        document.end()
    _let_go_of_stderr()
    # What is left goes with the process: the interpreter need not look through all of it, 15 ms.
    gc.freeze()
    return code


def _document(arguments: list[str]) -> ModuleType | None:
    """Begin the JSON document where one is asked for: whatever happens now, it will tell."""
    if "--json" not in arguments:
        return None
    from telemhq_cli.render import envelope  # noqa: PLC0415 - for programs alone

    if not envelope.is_asked_for(arguments):
        return None
    envelope.begin(arguments[:1])
    return envelope


def _completed(shell: str, arguments: list[str]) -> int:
    from telemhq_cli.completion.answering import run  # noqa: PLC0415 - the road of those who type

    return run(shell, arguments)


def _on_its_road(arguments: list[str]) -> int:
    if arguments[:1] == ["ping"]:
        return _ping(arguments[1:])
    if arguments[:1] == ["statusline"] and "--help" not in arguments:
        return _statusline(arguments[1:])
    if arguments == ["agent", "run"]:
        return _agent()
    _stand_in_for_closed_stdout()
    if not arguments:
        return _welcome()
    return _command(arguments)


def _stand_in_for_closed_stdout() -> None:
    # Whoever closed it wants no output (`>&-`); a file opened later must not take its place either.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the process


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


def _welcome() -> int:
    from telemhq_cli.commands.welcome import run  # noqa: PLC0415 - the first thing seen: no Typer

    return run()


def _command(arguments: list[str]) -> int:
    if arguments[:1] == ["usage"]:
        gc.disable()  # a report is over before looking for cycles would find any, 10 ms
        from telemhq_cli.commands import own_usage  # noqa: PLC0415 - most reports need no Typer

        form = own_usage.plain_form(arguments[1:])
        if form is not None:
            return own_usage.run(form)
    from telemhq_cli.commands.tree import run  # noqa: PLC0415 - Typer: 60 ms

    return run(arguments)


def _guarded(work: Callable[[], int], document: ModuleType | None) -> int:
    try:
        code = work()
        if document is not None and code != INTERRUPTED:
            document.finish()
        _flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the one place where every failure ends
        code, failure = _told(error)
        if document is not None:
            _finish(document, failure)
    return code


def _told(error: Exception) -> tuple[int, dict[str, Any]]:
    """Say what went wrong; return the exit code, and what a document tells of it."""
    from telemhq_agents.errors import TelemhqError  # noqa: PLC0415 - not on the job's road
    from telemhq_cli.render.voice import complain, note  # noqa: PLC0415 - same

    if isinstance(error, TelemhqError):
        complain(error)
        return error.exit_code, error.told()
    if os.environ.get("TELEMHQ_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        full = TelemhqError(f"{error.strerror}: {error.filename or 'the output is not whole'}")
        note(f"telemhq: {full.message}")
        _silence_stdout()
        return FULL_DISK, full.told()
    if isinstance(error, PermissionError) and error.filename:
        closed = TelemhqError(f"{error.filename}: {error.strerror}.", "telemhq doctor")
        complain(closed)
        return closed.exit_code, closed.told()
    message = f"{type(error).__name__}: {error}"
    note(f"telemhq: {message}", f"  {OUR_FAULT}")
    return UNEXPECTED, TelemhqError(message, OUR_FAULT).told() | FAULT


def _finish(document: ModuleType, failure: dict[str, Any]) -> None:
    """Write the document of a command that failed; its exit code stays, whoever reads it or not."""
    try:
        document.fail(failure)
        document.finish()
        _flush()
    except OSError:
        _silence_stdout()


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
