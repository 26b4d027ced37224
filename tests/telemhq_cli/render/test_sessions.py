"""How single things of a session read."""

from __future__ import annotations

import pytest

from telemhq_agents.contract.amounts import Amounts
from telemhq_cli.render import screen
from telemhq_cli.render.measure import Measure, short
from telemhq_cli.render.sessions import (
    brief,
    cost_of,
    short_cost,
    short_model,
    short_models,
)

CENT = 10_000_000


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, ""),
        (0, "0s"),
        (1, "<1s"),
        (1000, "1s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (3_599_999, "59m"),
        (3_600_000, "1h00m"),
        (86_399_999, "23h59m"),
        (97_200_000, "1d03h"),
    ],
)
def test_a_duration_in_brief_is_never_longer_than_it_was(ms: int | None, text: str) -> None:
    assert brief(ms) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-haiku-4-5-20251001", "haiku-4-5"),
        ("claude-opus-4-8", "opus-4-8"),
        ("gpt-5.4-mini", "gpt-5.4-mini"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("in-house-1", "in-house-1"),
    ],
)
def test_models_go_by_what_people_call_them(name: str, text: str) -> None:
    assert short_model(name) == text


def test_models_in_brief_fit_twelve_columns() -> None:
    assert short_models(["gpt-5.1-codex-mini"]) == "gpt-5.1-cod…"
    assert short_models(["gpt-5.1-codex-mini", "b", "c"]) == "gpt-5.1-… +2"
    assert short_models(["日本語モデル一号"]) == "日本語モデ…"
    assert short_models([]) == short_models(None) == ""
    screen.ask(ascii_only=True)
    try:
        assert short_models(["gpt-5.1-codex-mini"]) == "gpt-5.1-cod~"
    finally:
        screen.forget()


@pytest.mark.parametrize(
    ("nano", "unpriced", "full", "in_short"),
    [
        (0, 0, "$0.00", "$0.00"),
        (1, 0, "<$0.0001", "<$0.01"),
        (CENT, 0, "$0.0100", "$0.01"),
        (1_234_567_890, 0, "$1.23", "$1.23"),
        (1_234_567_890, 5, "$1.23*", "$1.23*"),
        (0, 5, "unpriced*", "n/a*"),
        (1234 * 100 * CENT, 0, "$1,234.00", "$1.2k"),
        (-3 * CENT, 0, "-$0.0300", "-$0.03"),
    ],
)
def test_what_has_no_price_is_marked(nano: int, unpriced: int, full: str, in_short: str) -> None:
    amounts = Amounts(cost_nano=nano, unpriced_tokens=unpriced)

    assert short_cost(amounts) == in_short
    assert cost_of(amounts) == full


@pytest.mark.parametrize(
    ("value", "of", "text"),
    [
        (1234, Measure.TOKENS, "1.2k"),
        (7, Measure.RUNS, "7"),
        (0, Measure.COST, "$0.00"),
        (CENT // 2, Measure.COST, "$0.0050"),
        (9999 * CENT, Measure.COST, "$99.99"),
        (250 * 100 * CENT, Measure.COST, "$250"),
    ],
)
def test_a_figure_of_a_picture_takes_a_few_characters(value: int, of: Measure, text: str) -> None:
    assert short(value, of) == text
