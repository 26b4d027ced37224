"""Every error a user can meet.

The tree, with the exit code that each one carries:

TelemhqError            1  something known went wrong
├── UsageError          2  the command line or a value in it is wrong
├── SettingsError       3  a setting or a file of ours is wrong
├── NotLoggedInError    4  no server or API key for what was asked
├── RefusedError        5  the server said no (a problem body), `status` and `problem` tell why
├── UnreachableError    6  the server gave no answer
│   └── NoSuchRouteError   it is another server, or an older one, that knows no such thing
└── DamagedError        7  a file of ours (ledger, spool) cannot be read
    └── BrokenLedgerError  the ledger's content is damaged: it is moved away and made again

A message says what happened, to which input, and `next_step` what to do about it. `kind` is the
name by which programs know an error: it stays, whatever its class or words become.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from telemhq_agents.contract.problem import Problem


class TelemhqError(Exception):
    """A known failure: shown as one message, never as a traceback."""

    kind: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def told(self) -> dict[str, object]:
        """Return what programs are told of it."""
        return {
            "kind": self.kind,
            "message": self.message,
            "next_step": self.next_step,
            "exit_code": self.exit_code,
        }


class UsageError(TelemhqError):
    """The command line, or a value in it, is wrong."""

    kind = "usage"
    exit_code = 2


class SettingsError(TelemhqError):
    """A setting, or a file of ours that holds settings, is wrong."""

    kind = "settings"
    exit_code = 3


class NotLoggedInError(TelemhqError):
    """There is no server or no API key for what was asked."""

    kind = "not-logged-in"
    exit_code = 4


class RefusedError(TelemhqError):
    """The server answered with a problem."""

    kind = "refused"
    exit_code = 5

    def __init__(self, message: str, next_step: str = "", *, status: int, problem: Problem) -> None:
        super().__init__(message, next_step)
        self.status = status
        self.problem = problem

    def told(self) -> dict[str, object]:
        """Return what programs are told of it: the answer's HTTP status and problem type too."""
        return {**super().told(), "status": self.status, "type": self.problem.type}


class UnreachableError(TelemhqError):
    """The server gave no answer, or none that can be understood."""

    kind = "unreachable"
    exit_code = 6


class NoSuchRouteError(UnreachableError):
    """The server knows nothing of what was asked: another kind of server, or an older one."""

    kind = "no-such-route"


class DamagedError(TelemhqError):
    """A file of ours cannot be read."""

    kind = "damaged"
    exit_code = 7


class BrokenLedgerError(DamagedError):
    """The ledger's content is damaged; another one can be made of logs and backups."""

    kind = "broken-ledger"


E = TypeVar("E", bound=TelemhqError)
NO_ROOM_OR_NO_RIGHT = "Check the permissions of the directory and the space left on its disk."


def unwritable(kind: type[E], what: object, error: Exception) -> E:
    """Return the error of a file of ours that the disk does not take, in the words of all of them.

    `what` names the file: a path, or what is in it and the path.
    """
    reason = getattr(error, "strerror", None) or error
    return kind(f"{what} cannot be written: {reason}.", NO_ROOM_OR_NO_RIGHT)
