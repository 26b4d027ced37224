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

A message says what happened, to which input, and `next_step` what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from telemhq_agents.contract.problem import Problem


class TelemhqError(Exception):
    """A known failure: shown as one message, never as a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class UsageError(TelemhqError):
    """The command line, or a value in it, is wrong."""

    exit_code = 2


class SettingsError(TelemhqError):
    """A setting, or a file of ours that holds settings, is wrong."""

    exit_code = 3


class NotLoggedInError(TelemhqError):
    """There is no server or no API key for what was asked."""

    exit_code = 4


class RefusedError(TelemhqError):
    """The server answered with a problem."""

    exit_code = 5

    def __init__(self, message: str, next_step: str = "", *, status: int, problem: Problem) -> None:
        super().__init__(message, next_step)
        self.status = status
        self.problem = problem


class UnreachableError(TelemhqError):
    """The server gave no answer, or none that can be understood."""

    exit_code = 6


class NoSuchRouteError(UnreachableError):
    """The server knows nothing of what was asked: another kind of server, or an older one."""


class DamagedError(TelemhqError):
    """A file of ours cannot be read."""

    exit_code = 7


class BrokenLedgerError(DamagedError):
    """The ledger's content is damaged; another one can be made of logs and backups."""
