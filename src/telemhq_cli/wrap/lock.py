"""The overlap guard: one run at a time under one name, for this user on this machine.

The lock is the kernel's (flock): nothing is left to clean up when a machine goes down. The job
inherits it, so that it holds for as long as the job runs even if we are killed; when we see the
job end, it is given back whatever the job left behind.
"""

from __future__ import annotations

import fcntl
import os

from telemhq_agents import locations

FIRST_FREE = 10
"""Shell scripts number the descriptors that they open themselves from 3 to 9."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def take(name: str) -> int | None:
    """Take the lock `name` for this process and its job; None where somebody holds it.

    Raises OSError where there can be no lock: a home that cannot be written, a name too long.
    """
    folder = locations.ours().locks
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(folder / file_name(name), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        held = fcntl.fcntl(opened, fcntl.F_DUPFD, FIRST_FREE)  # which is inherited, unlike `opened`
    finally:
        os.close(opened)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return held


def give_back(held: int) -> None:
    """Let the next run in, also where something that the job left behind holds the descriptor."""
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)


def file_name(name: str) -> str:
    """Return a file name for a lock of any name; no two names share one."""
    plain = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(name))
    return f"ping-{plain}.lock"
