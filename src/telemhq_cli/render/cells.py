"""Texts in a number of columns; wide letters take two. Pure, but for what the screen can show."""

from __future__ import annotations

from unicodedata import category, east_asian_width

from telemhq_cli.render import screen
from telemhq_cli.render.voice import visible

_UPON_ANOTHER = {"Mn", "Me", "Cf"}
"""Accents and joiners: they take no column of their own."""

_TAB = {ord("\t"): "\N{REPLACEMENT CHARACTER}"}


def still(text: str) -> str:
    """Return a text that stays where it is put: nothing in it steers a terminal, or jumps."""
    return text if text.isprintable() else visible(text).translate(_TAB)


def columns(text: str) -> int:
    """Return how many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(letter: str) -> int:
    if category(letter) in _UPON_ANOTHER:
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return a text in at most so many columns; dots say that there was more."""
    if columns(text) <= width:
        return text
    more = "..." if screen.is_ascii() else "\N{HORIZONTAL ELLIPSIS}"
    while text and columns(text) + len(more) > width:
        text = text[:-1]
    return f"{text}{more}"


def padded(text: str, width: int) -> str:
    """Return a text in exactly so many columns."""
    kept = cut(text, width)
    return kept + " " * (width - columns(kept))
