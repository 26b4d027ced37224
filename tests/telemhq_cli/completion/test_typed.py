"""Lines as bash and fish take them apart; the shells themselves agree in test_shells.py."""

from __future__ import annotations

import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as some

from telemhq_cli.completion.spelling import bash, quoted
from telemhq_cli.completion.typed import Typed, read

BREAKS = " \t\n\"'@><=;|&(:"
"""bash's own COMP_WORDBREAKS."""


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", Typed(())),
        ("telemhq", Typed((), "telemhq")),
        ("telemhq ", Typed(("telemhq",))),
        ("telemhq  tracker\tshow a", Typed(("telemhq", "tracker", "show"), "a")),
        ("telemhq 'a b' c", Typed(("telemhq", "a b"), "c")),
        ("telemhq ''", Typed(("telemhq",), "")),
        ("telemhq '' x", Typed(("telemhq", ""), "x")),
        ("telemhq a\\ b", Typed(("telemhq",), "a b")),
        ("telemhq a\\", Typed(("telemhq",), "a")),
        ("telemhq 'a b", Typed(("telemhq",), "a b", "'")),
        ('telemhq "a \\" b', Typed(("telemhq",), 'a " b', '"')),
        ('telemhq "a \\n b', Typed(("telemhq",), "a \\n b", '"')),
        ("telemhq 'a\\b", Typed(("telemhq",), "a\\b", "'")),
        ("telemhq 'a\\' b", Typed(("telemhq", "a\\"), "b")),
        ("telemhq a'b c", Typed(("telemhq",), "ab c", "'", 1)),
        ("telemhq --by=da", Typed(("telemhq",), "--by=da", "", 5)),
        ("telemhq --by='da", Typed(("telemhq",), "--by=da", "'", 5)),
        ("telemhq ada@ex", Typed(("telemhq",), "ada@ex", "", 3)),
        ("telemhq a\\:b", Typed(("telemhq",), "a:b")),
    ],
)
def test_a_line_is_taken_apart_up_to_the_cursor(line: str, wanted: Typed) -> None:
    assert read(line, breaks=BREAKS) == wanted


def test_fish_escapes_inside_of_single_quotes_too() -> None:
    assert read("telemhq 'it\\'s", is_fish=True) == Typed(("telemhq",), "it's", "'")


@given(some.lists(some.text(string.printable + "äß日", min_size=1), min_size=1))
def test_what_was_quoted_is_read_as_it_was(words: list[str]) -> None:
    assert read(shlex.join(words) + " ", breaks=BREAKS).words == tuple(words)


@given(some.text(string.printable.translate({10: None, 13: None, 11: None, 12: None}) + "äß日"))
def test_what_is_offered_is_read_as_what_was_meant(name: str) -> None:
    """By shlex, which reads as a POSIX shell does."""
    assert shlex.split(f"x{quoted(name)}") == [f"x{name}"]
    for quote in "'\"":
        open_until = quoted(name, quote)
        line = quote + open_until + ("" if open_until.endswith(quote) else quote)
        if quote == "'":
            assert shlex.split(line) == [name]
        else:
            assert read(f"telemhq {line} ").words == ("telemhq", name)


def test_only_what_the_shell_puts_in_is_given_to_bash() -> None:
    typed = read("telemhq usage --tracker=team:pr", breaks=BREAKS)

    assert list(bash([("--tracker=team:prod", ""), ("--tracker=x", "")], typed)) == ["prod"]
