"""What earlier pings left behind: sent by another process, for which nobody waits."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from telemhq_agents import spool

if TYPE_CHECKING:
    from pathlib import Path

LEFTOVERS = frozenset({"ping"})
"""Hooks' entries are for the agent, or the drain that they wake."""
DRAIN = ("-P", "-m", "telemhq_cli.main", "agent", "once", "--wake")


def send(home: Path) -> None:
    """Have another process send what earlier pings left behind; nobody waits for that one."""
    if not spool.pending_count(home, LEFTOVERS):
        return
    streams = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    others = [(os.POSIX_SPAWN_CLOSE, number) for number in inherited()]
    program = [sys.executable, *DRAIN]
    with suppress(OSError, NotImplementedError):  # whoever comes next tries again
        os.posix_spawn(
            program[0],
            program,
            os.environ,
            file_actions=[*streams, *others],
            setsid=True,
            setsigmask=(),  # what we wait for is blocked here
        )


def inherited() -> list[int]:
    """Return what somebody else opened for us: a pipe among it would not end before the drain."""
    numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names only
    found = []
    for number in numbers:
        with suppress(OSError):  # the listing's own
            if number > 2 and os.get_inheritable(number):  # noqa: PLR2004 - after the three streams
                found.append(number)
    return found
