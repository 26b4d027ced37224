"""Which letters a terminal has. In the C locale Python writes UTF-8 all the same: there it has ASCII.

Imports next to nothing: every command comes by here.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

LIKENESSES = {
    "\N{MIDDLE DOT}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "~",
    "\N{UPWARDS ARROW}": "^",
    "\N{DOWNWARDS ARROW}": "v",
    "\N{RIGHTWARDS ARROW}": ">",
    "\N{BULLET}": "*",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MICRO SIGN}": "u",
    "\N{MULTIPLICATION SIGN}": "x",
}
"""What stands for a sign of ours in ASCII, as wide as it is."""

_ASCII_LOCALES = {"C", "POSIX"}
_PYTHONS_OWN = {"C.UTF-8", "C.utf8", "UTF-8"}
_LIKENESS = "telemhq.likeness"


def is_c_locale() -> bool:
    """Tell whether the environment names a locale whose letters are ASCII alone.

    Where it names none at all, nothing is known of the terminal: most take UTF-8.
    """
    kind = os.environ.get("LC_CTYPE", "")
    if sys.flags.utf8_mode and kind in _PYTHONS_OWN:
        kind = ""  # put there by Python itself, in place of C (PEP 538)
    return (os.environ.get("LC_ALL") or kind or os.environ.get("LANG")) in _ASCII_LOCALES


def let_output_take_everything() -> None:
    """Let stdout and stderr write any text: what a terminal has no letter for is written about."""
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if not stream.encoding.lower().startswith("utf"):
            _reconfigure(stream, stream.encoding)
        elif is_c_locale() and stream.isatty():
            _reconfigure(stream, "ascii")


def _reconfigure(stream: io.TextIOWrapper, encoding: str) -> None:
    codecs.register_error(_LIKENESS, _likeness)
    stream.reconfigure(encoding=encoding, errors=_LIKENESS)


def _likeness(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written for letters that cannot be: a likeness, else their numbers."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if letter in LIKENESSES:
        return LIKENESSES[letter], error.start + 1
    error.end = error.start + 1
    return codecs.backslashreplace_errors(error)
