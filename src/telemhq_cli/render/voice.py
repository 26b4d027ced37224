"""Lines for a person, on stdout and stderr. Imports next to nothing: the wrapper speaks too."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from telemhq_agents.errors import TelemhqError

_CONTROL = [*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029]
_DIRECTION = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
USUAL_WIDTH, NARROWEST = 80, 40
MOST_KEPT = 1000
"""Warnings; a command that follows something goes on for months."""
_kept: list[str] | None = None
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


def remark(*messages: str) -> None:
    """Print what a person may want to know on stderr, in lines that fit."""
    for message in messages:
        note(*_folded(message, _room()))


def warn(message: str) -> None:
    """Print what a person should know on stderr, in lines that fit; programs get it in the JSON."""
    if _kept is not None and len(_kept) < MOST_KEPT:
        _kept.append(message)
    _tell(message)


def keep_warnings() -> None:
    """Keep, from here on, what is warned of."""
    global _kept  # noqa: PLW0603 - one process runs one command
    _kept = []


def kept_warnings() -> list[str]:
    """Return what was warned of since it is kept."""
    return list(_kept or ())


def drop_warnings() -> None:
    """Keep no warnings: a process that runs for months would gather them."""
    global _kept  # noqa: PLW0603 - same
    _kept = None


def complain(error: TelemhqError) -> None:
    """Print what went wrong and, on a line of its own, the command that mends it."""
    _tell(error.message)
    if error.next_step:
        note(*_folded(f"  {error.next_step}", _room()))


def _tell(message: str) -> None:
    note(*_folded(f"telemhq: {message}", _room()))


def _room() -> int:
    """Return how wide a line on stderr may be: as the terminal is, or as most are."""
    import os  # noqa: PLC0415 - loaded anyway by whoever has something to say

    try:
        return max(os.get_terminal_size(sys.stderr.fileno()).columns, NARROWEST)
    except (AttributeError, OSError, ValueError):
        return USUAL_WIDTH


def _folded(text: str, width: int) -> list[str]:
    """Fold a line between words: a path, an address, a name stay whole, to be copied."""
    if len(text) <= width:
        return [text]
    indent = "  "
    first, *words = text.split()
    lines = [f"{indent}{first}" if text.startswith(indent) else first]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > width >= len(indent) + len(word):
            lines.append(f"{indent}{word}")
        else:
            lines[-1] += f" {word}"
    return lines
