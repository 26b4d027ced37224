"""A command line that is still being typed, taken apart as its shell would, quotes open or not."""

from __future__ import annotations

from typing import NamedTuple

_IN_DOUBLE_QUOTES = '"\\$`'
_KEPT_BY_READLINE = "@$"
"""Breaks that belong to what follows: bash's special prefixes, of hosts and variables."""

_IN_SINGLE_QUOTES_OF_FISH = "'\\"


class Typed(NamedTuple):
    """What stands before the cursor, without quotes.

    `words` are over; `word` is being typed, `quote` is the one that is open in it. `kept` is how
    much of `word` the shell leaves as it is, because it completes only what follows.
    """

    words: tuple[str, ...]
    word: str = ""
    quote: str = ""
    kept: int = 0


class _Reading:
    """What is known of the line so far."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.word = ""
        self.quote = ""
        self.kept = 0
        self.is_begun = False

    def take(self, letters: str) -> None:
        self.word += letters
        self.is_begun = True

    def turn(self, quote: str) -> None:
        """Open a quote, or close the one that is open; Readline completes what follows either."""
        self.quote = quote
        self.kept = len(self.word)
        self.is_begun = True

    def end_word(self) -> None:
        if self.is_begun:
            self.words.append(self.word)
        self.word, self.kept, self.is_begun = "", 0, False


def read(line: str, *, breaks: str = "", is_fish: bool = False) -> Typed:
    """Take a line apart up to its end, where the cursor is.

    `breaks` are the letters after which bash completes anew, its COMP_WORDBREAKS; fish knows
    escapes inside of single quotes too.
    """
    found = _Reading()
    escaped_by_single = _IN_SINGLE_QUOTES_OF_FISH if is_fish else ""
    letters = iter(line)
    for letter in letters:
        if found.quote and letter == found.quote:
            found.turn("")
        elif found.quote and letter == "\\":
            after = next(letters, "")
            known = escaped_by_single if found.quote == "'" else _IN_DOUBLE_QUOTES
            if found.quote == "'" and after == "'" and not is_fish:
                found.take(letter)
                found.turn("")
            else:
                found.take(after if after and after in known else letter + after)
        elif found.quote:
            found.take(letter)
        elif letter == "\\":
            found.take(next(letters, ""))
        elif letter in "'\"":
            found.turn(letter)
        elif letter.isspace():
            found.end_word()
        else:
            found.take(letter)
            if letter in breaks:
                found.kept = len(found.word) - (letter in _KEPT_BY_READLINE)
    return Typed(tuple(found.words), found.word, found.quote, found.kept)
