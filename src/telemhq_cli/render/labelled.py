"""Lines that begin with a label, such as a severity; what mends a thing stands below it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

GREEN, CYAN, YELLOW, RED, BOLD = "32", "36", "33", "31", "1"
INDENT = "  "


def labelled(
    label: str, message: str, next_step: str, *, room: int, width: int, colour: str = ""
) -> list[str]:
    """Return the lines of a message: folded between words, its next step on a line of its own.

    `room` is how wide labels are; `colour` is the label's, "" for none.
    """
    indent = " " * (len(INDENT) + room)
    first, *more = folded(visible(message), width - len(indent))
    head = f"{INDENT}{painted(label.ljust(room), colour)}{first}"
    mend = [f"{indent}> {visible(next_step)}"] if next_step else []
    return [head, *(f"{indent}{line}" for line in more), *mend]


def folded(text: str, width: int) -> list[str]:
    """Fold a text between words; a path or an address stays whole, to be copied."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def painted(text: str, colour: str) -> str:
    """Return a text in a colour of the terminal, as it is where there is none."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def print_lines(lines: Sequence[str]) -> None:
    """Print lines whose content is made visible already: they may hold colours."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
