from __future__ import annotations

import io
import sys

import pytest

from telemhq_cli.render import screen
from telemhq_cli.render.bars import bar


@pytest.fixture
def utf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


@pytest.mark.usefixtures("utf")
@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (0.0, ""),
        (-0.5, ""),
        (1e-9, "▏"),
        (1 / 32, "▏"),
        (0.25, "█"),
        (0.5, "██"),
        (0.53125, "██▏"),
        (0.97, "███▉"),
        (1.0, "████"),
        (7.5, "████"),
    ],
)
def test_a_share_is_drawn_in_eighths(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


@pytest.mark.usefixtures("utf")
@pytest.mark.parametrize(
    ("share", "drawn"), [(0.0, ""), (1e-9, "#"), (0.5, "##"), (0.7, "###"), (1.0, "####")]
)
def test_in_ascii_a_share_is_drawn_in_whole_characters(share: float, drawn: str) -> None:
    screen.ask(ascii_only=True)
    try:
        assert bar(share, 4) == drawn
    finally:
        screen.forget()


def test_an_output_that_takes_ascii_alone_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))

    assert bar(0.5, 4) == "##"
