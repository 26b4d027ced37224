"""What is drawn on: how wide, in which characters, in colour or not; decided once for a command.

Piped output is plain: no colour, no boxes, no bars' colours, as wide as it needs to be.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass

from telemhq_cli.render import letters

USUAL_WIDTH = 80
NARROWEST, WIDEST = 40, 1000
_NO_COLOUR = ("NO_COLOR",)


@dataclass(slots=True)
class _Asked:
    """What `--width` and `--ascii` said, for the command that runs."""

    width: int | None = None
    ascii: bool = False


_asked = _Asked()


def ask(*, width: int | None = None, ascii_only: bool | None = None) -> None:
    """Keep what a command's options say of the screen; None leaves a choice as it was."""
    if width is not None:
        _asked.width = width
    if ascii_only is not None:
        _asked.ascii = ascii_only


def forget() -> None:
    """Begin a command: nothing was asked for."""
    _asked.width, _asked.ascii = None, False


def is_terminal() -> bool:
    """Tell whether a person watches stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def width() -> int:
    """Return how many columns there are: as asked for, else the terminal's, else 80."""
    if _asked.width is not None:
        return _asked.width
    if not is_terminal():
        return USUAL_WIDTH
    return max(shutil.get_terminal_size((USUAL_WIDTH, 24)).columns, NARROWEST)


def width_was_asked() -> bool:
    """Tell whether `--width` was given: then piped output keeps to it too."""
    return _asked.width is not None


def is_ascii() -> bool:
    """Tell whether to draw in ASCII alone: asked for, or all that the output can take."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return _asked.ascii or not encoding.startswith("utf") or letters.is_c_locale()


def has_colour() -> bool:
    """Tell whether to colour: on a terminal that is not dumb, unless NO_COLOR is set."""
    if any(os.environ.get(name) for name in _NO_COLOUR) or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal()
