"""Which letters a terminal has, and what is written for those that it has not."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from telemhq_cli.render import letters, screen
from tests.telemhq_cli.screens import on_screen

SAYS = """
import sys
from telemhq_cli.render import letters, screen
letters.let_output_take_everything()
print("a·b…", "→", "Übung", "─", screen.is_ascii(), flush=True)
print("é…", file=sys.stderr, flush=True)
"""


def environ(**named: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    return kept | named


@pytest.mark.parametrize(
    ("named", "is_ascii"),
    [
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_CTYPE": "POSIX", "LC_ALL": "C"}, True),
        ({"LANG": "C"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({}, False),
    ],
)
def test_a_locale_that_knows_ascii_alone_is_drawn_for_in_ascii(
    named: dict[str, str], is_ascii: bool
) -> None:
    asks = "from telemhq_cli.render import screen; print(screen.is_ascii())"
    done = subprocess.run(
        [sys.executable, "-c", asks],
        env=environ(**named),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{is_ascii}\n"


def test_a_pipe_takes_every_letter_whatever_the_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAYS], env=environ(LC_ALL="C"), capture_output=True, check=True
    )

    assert done.stdout.decode() == "a·b… → Übung ─ True\n"


def test_a_terminal_of_ascii_gets_likenesses_and_numbers() -> None:
    # The terminal's own environment names UTF-8: what the program is told is the last word.
    command = ["/usr/bin/env", "LC_ALL=C", sys.executable, "-c", SAYS]
    with on_screen(command, environ()) as terminal:
        assert terminal.end() == 0

    assert terminal.written.decode() == ("a-b~ > \\xdcbung \\u2500 True\r\n\\xe9~\r\n")


def test_an_output_of_another_encoding_keeps_the_letters_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))

    letters.let_output_take_everything()
    sys.stdout.write("Übung … 日")
    sys.stdout.flush()

    assert raw.getvalue().decode("latin-1") == "Übung ~ \\u65e5"
    assert screen.is_ascii()
