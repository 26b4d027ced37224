from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.errors import SettingsError
from telemhq_agents.own_prices import OwnPrice
from telemhq_agents.price_list import ListedPrice, listed
from telemhq_agents.price_table import built_in, keep, newest
from telemhq_agents.pricing import Prices

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000


def table(made: str, dollars: str = "7") -> dict[str, Any]:
    entry = {"n": "gpt-5", "m": ["=", "gpt-5"], "p": [{"i": dollars, "o": "9"}]}
    return {"from": "test", "made": made, "providers": {"openai": {"models": [entry]}, "aws": {}}}


@pytest.mark.parametrize(
    ("made", "dollars"), [("2000-01-01", 1.25), ("2999-01-01T00:00:00.000Z", 7.0)]
)
def test_the_newer_table_is_in_force(tmp_path: Path, made: str, dollars: float) -> None:
    keep(tmp_path / "data" / "prices.json", json.dumps(table(made)))

    prices = Prices.load(None, tmp_path / "data" / "prices.json")

    cost = prices.cost("openai", "gpt-5", 1_795_161_600_000, MILLION, 0, 0, 0, 0)
    assert cost is not None
    assert cost[0] == dollars * 1_000_000_000


def test_a_table_of_the_day_of_this_versions_own_is_the_newer_one(tmp_path: Path) -> None:
    keep(tmp_path / "prices.json", json.dumps(table(f"{built_in()['made']}T00:00:00.000Z")))

    assert newest(tmp_path / "prices.json")["from"] == "test"


def test_without_a_download_this_versions_table_is_in_force(tmp_path: Path) -> None:
    assert newest(tmp_path / "none.json") is built_in()
    assert newest(None) is built_in()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"from": 1, "made": "x", "providers": {}}'])
def test_a_damaged_download_is_named_with_the_command_that_mends_it(
    tmp_path: Path, text: str
) -> None:
    keep(tmp_path / "prices.json", text)

    with pytest.raises(SettingsError) as caught:
        newest(tmp_path / "prices.json")

    assert str(tmp_path / "prices.json") in caught.value.message
    assert "telemhq prices update" in caught.value.next_step


# The list


def rows(pattern: str, own: list[OwnPrice] | None = None) -> list[ListedPrice]:
    return listed(built_in(), "built-in", own or [], pattern)


def test_the_list_shows_a_price_with_all_its_parts() -> None:
    """Anthropic's list: Opus 4.8 5 / 25, cache writes 6.25 and 10, cache reads 0.50."""
    found = [one for one in rows("claude-opus-4-8") if one.provider == "anthropic"]

    assert len(found) == 1
    assert (found[0].input, found[0].output, found[0].cached_input) == (5.0, 25.0, 0.5)
    assert (found[0].cache_write, found[0].cache_write_1h) == (6.25, 10.0)
    assert (found[0].since, found[0].source) == ("", "built-in")


def test_the_list_shows_tiers_days_and_hours() -> None:
    sonnet = [one for one in rows("claude-sonnet-4-5") if one.provider == "anthropic"]
    assert [(one.above_input_tokens, one.input) for one in sonnet] == [(0, 3.0), (200_000, 6.0)]

    o3 = [one for one in rows("o3") if one.provider == "openai"]
    assert [(one.since, one.input, one.output) for one in o3] == [
        ("", 10.0, 40.0),
        ("2025-06-10", 2.0, 8.0),
    ]
    deepseek = [one for one in rows("deepseek-chat") if one.provider == "deepseek"]
    by_hours = {(one.hours, one.input) for one in deepseek}
    assert {("", 0.135), ("00:30-16:30", 0.27)} <= by_hours  # half price from 16:30 to 00:30


def test_your_own_price_is_listed_first_and_called_yours() -> None:
    mine = OwnPrice("GPT-5", "cloud", "2026-11-01", {"input": 1.5, "output": 2.0})

    found = rows("gpt-5", [mine])

    assert found[0] == ListedPrice(
        "GPT-5", "cloud", "2026-11-01", "", 0, 1.5, 2.0, 1.5, 1.5, 1.5, "2026-11-01", "yours"
    )
    assert {one.source for one in found[1:]} == {"built-in"}


def test_a_name_that_no_entry_has_is_looked_up_as_a_responses_model_is() -> None:
    found = rows("us.anthropic.claude-opus-4-8-20260101[1m]")

    assert found
    assert {one.provider for one in found} == {"aws"}
    assert all("claude-opus-4-8" in one.model for one in found)
    assert rows("nimbus-coder-6") == rows("nimbus-*") == []
