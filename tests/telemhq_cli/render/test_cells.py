from __future__ import annotations

import pytest

from telemhq_cli.render import screen
from telemhq_cli.render.cells import columns, cut, padded


@pytest.fixture(autouse=True)
def _letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "is_ascii", lambda: False)


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("größe", 5), ("日本", 4), ("e\u0301t", 2)]
)
def test_wide_letters_take_two_columns(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("billing-api", 11, "billing-api"),
        ("billing-api", 10, "billing-a…"),
        ("日本日本", 7, "日本日…"),
        ("日本日本", 6, "日本…"),
    ],
)
def test_what_is_too_long_is_cut_and_says_so(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


def test_a_cell_is_exactly_as_wide_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("", "web", "日本日本日本", "a-very-long-name"):
        assert columns(padded(text, 9)) == 9

    monkeypatch.setattr(screen, "is_ascii", lambda: True)

    assert padded("a-very-long-name", 9) == "a-very..."
