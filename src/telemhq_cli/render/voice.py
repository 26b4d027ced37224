"""Lines for a person, on stdout and stderr. Imports next to nothing: the wrapper speaks too."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from telemhq_agents.errors import TelemhqError

_CONTROL = [*range(9), *range(10, 32), *range(127, 160)]
_DIRECTION = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_UNPRINTABLE = dict.fromkeys([*_CONTROL, *_DIRECTION], "\N{REPLACEMENT CHARACTER}")


def visible(text: str) -> str:
    """Return text that cannot steer a terminal: control and direction marks are shown as such."""
    return text.translate(_UNPRINTABLE)


def say(*lines: str) -> None:
    """Print lines for a person on stdout."""
    for line in lines:
        sys.stdout.write(f"{visible(line)}\n")


def note(*lines: str) -> None:
    """Print lines on stderr: what a person should know that is not the answer itself.

    A stderr that is closed or full never turns into an error of its own.
    """
    try:
        for line in lines:
            sys.stderr.write(f"{visible(line)}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        return


def complain(error: TelemhqError) -> None:
    """Print what went wrong and, on a line of its own, the command that mends it."""
    note(f"telemhq: {error.message}")
    if error.next_step:
        note(f"  {error.next_step}")
