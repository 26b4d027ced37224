"""How each shell wants to be told what may be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from telemhq_cli.completion.typed import Typed

Offer = tuple[str, str]
"""A word that may be meant, and what it is, in a few words or none."""

VALUES = "values"
FILES = "files"
"""The first line of every answer: what follows, or that the shell knows its files best."""

_PLAIN = frozenset("%+,-./:=@_^")
_ESCAPED_IN_DOUBLE_QUOTES = '\\"$`'


def bash(offers: Iterable[Offer], typed: Typed) -> Iterator[str]:
    """Yield what Readline puts in the place of what it completes, quoted as the word was begun."""
    for value, _ in offers:
        if value.startswith(typed.word):
            yield quoted(value[typed.kept :], typed.quote)


def described(offers: Iterable[Offer]) -> Iterator[str]:
    """Yield words with what they are, for shells that match and quote by themselves."""
    for value, about in offers:
        yield f"{value}\t{about.partition('; ')[0].rstrip('.')}".rstrip("\t")


def quoted(text: str, quote: str = "") -> str:
    """Return a text as bash reads it: inside of a quote that is open, else with backslashes."""
    match quote:
        case "'":
            return _closed(text.replace("'", "'\\''"), quote)
        case '"':
            escaped = (f"\\{one}" if one in _ESCAPED_IN_DOUBLE_QUOTES else one for one in text)
            return _closed("".join(escaped), quote)
        case _:
            return "".join(one if _is_plain(one) else f"\\{one}" for one in text)


def _closed(text: str, quote: str) -> str:
    """Close the quote where Readline would not: it takes one that is escaped for the closing one."""
    return text + quote if text.endswith(quote) else text


def _is_plain(letter: str) -> bool:
    return letter.isalnum() or letter in _PLAIN or not letter.isascii()
