"""Published data as genai-prices writes it; prices from the vendors' lists (test_pricing.py)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from telemhq_agents.price_table import TABLE
from telemhq_agents.pricing import Prices
from telemhq_agents.published_prices import as_text, read_published
from tools.make_prices import published

MILLION = 1_000_000
DOLLAR = 1_000_000_000


def model(name: str, prices: object, **match: object) -> dict[str, Any]:
    return {"id": name, "match": match or {"equals": name}, "prices": prices}


def provider(name: str, *models: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"id": name, "name": name, "models": list(models), **more}


def document(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a small whole document; a keyword replaces the provider of that name."""
    opus = {"input_mtok": 5, "cache_read_mtok": 0.5, "output_mtok": 25, "web_searches_kcount": 10}
    tiers = {"base": 2.5, "tiers": [{"start": 272_000, "price": 5}]}
    found = {
        "anthropic": provider("anthropic", model("opus", opus), model_match={"contains": "op"}),
        "openai": provider("openai", model("gpt", {"input_mtok": tiers, "output_mtok": 15})),
        "aws": provider("aws", model("nova", {"input_mtok": 1, "output_mtok": 4})),
    }
    return list((found | changes).values())


def read(published_data: object) -> dict[str, Any]:
    return read_published(json.dumps(published_data).encode(), "test", "2026-11-20")


def cost(table: dict[str, Any], name: str, tokens: int, at_ms: int = 0) -> float | None:
    found = Prices(table, {}).cost("", name, at_ms, tokens, 0, 0, 0, 0)
    by_provider = found or Prices(table, {}).cost("openai", name, at_ms, tokens, 0, 0, 0, 0)
    return by_provider[0] / DOLLAR if by_provider else None


def test_published_data_prices_what_it_says() -> None:
    table = read(document())

    assert cost(table, "opus", MILLION) == 5.0
    assert cost(table, "gpt", 272_000) == pytest.approx(0.68)
    assert cost(table, "gpt", 272_001) == pytest.approx(1.360005)
    assert cost(table, "other", MILLION) is None


def test_all_of_the_published_data_makes_the_table_that_this_version_has() -> None:
    text = json.dumps(
        published(), default=lambda one: float(one) if isinstance(one, Decimal) else 0
    )
    held = json.loads(TABLE.read_text("utf-8"))

    made = read_published(text.encode(), held["from"], held["made"])

    assert as_text(made) == TABLE.read_text("utf-8")


def test_a_price_that_began_on_a_day_or_holds_by_night_is_kept() -> None:
    night = {"start_time": "16:30:00", "end_time": "00:30:00Z"}
    eastern = {"start_time": "00:30:00+08:00", "end_time": "08:30:00+08:00"}
    gpt: list[dict[str, Any]] = [
        {"prices": {"input_mtok": 10, "output_mtok": 40}},
        {"constraint": {"start_date": "2025-06-10"}, "prices": {"input_mtok": 2, "output_mtok": 8}},
        {"constraint": night, "prices": {"input_mtok": 1, "output_mtok": 8}},
    ]
    table = read(document(openai=provider("openai", model("gpt", gpt))))
    entry = table["providers"]["openai"]["models"][0]["p"]

    assert [one.get("d") for one in entry] == [None, "2025-06-10", None]
    assert entry[2]["t"] == ["16:30", "00:30"]
    gpt[2]["constraint"] = eastern
    again = read(document(openai=provider("openai", model("gpt", gpt))))
    assert again["providers"]["openai"]["models"][0]["p"][2]["t"] == ["16:30", "00:30"]


def test_a_model_that_is_not_priced_by_the_input_token_is_left_out() -> None:
    whisper = model("whisper", {"input_audio_mtok": 6})
    speech = model("speech", {"output_mtok": 6})
    gpt = model("gpt", {"input_mtok": 1})
    table = read(document(openai=provider("openai", whisper, speech, gpt)))

    assert [one["n"] for one in table["providers"]["openai"]["models"]] == ["gpt"]


def openai_with(prices: object, **match: object) -> list[dict[str, Any]]:
    return document(openai=provider("openai", model("gpt", prices, **match)))


GOOD = {"input_mtok": 1, "output_mtok": 2}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "no list of providers"),
        ({"providers": []}, "no list of providers"),
        ([], "no prices of anthropic, openai, aws"),
        (document()[:2], "no prices of aws"),
        (document(openai=provider("openai")), "no prices of openai"),
        ([*document(), "x"], "no id"),
        ([*document(), {"models": []}], "no id"),
        (document(openai={"id": "openai", "models": 7}), "provider openai"),
        (document(openai=provider("openai", {"id": "gpt"})), "model gpt"),
        (openai_with({"input_mtok": "1"}), "'1' is no price"),
        (openai_with({"input_mtok": True}), "True is no price"),
        (openai_with({"input_mtok": -1}), "-1 is no price"),
        (openai_with({"input_mtok": 4001}), "4001 is no price"),
        (openai_with({"input_mtok": {"base": 1}}), "provider openai: model gpt"),
        (openai_with({"input_mtok": {"base": 1, "tiers": [{"start": -5, "price": 2}]}}), "-5"),
        (openai_with(GOOD, sounds_like="x"), "in a way that is new"),
        (openai_with(GOOD, equals=7), "in a way that is new"),
        (openai_with(GOOD, regex="("), "openai: model gpt"),
        (openai_with(GOOD, **{"or": [{"equals": "a"}, {}]}), "openai: model gpt"),
        (openai_with([{"constraint": {"moon": "full"}, "prices": GOOD}]), "condition that is new"),
        (openai_with([{"constraint": {"start_date": "soon"}, "prices": GOOD}]), "soon"),
    ],
)
def test_data_that_is_not_whole_or_not_understood_makes_no_table(wrong: object, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read(wrong)

    assert said in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 50, 200, 400])
def test_data_that_was_cut_off_makes_no_table(length: int) -> None:
    whole = json.dumps(document()).encode()
    assert len(whole) > 400

    with pytest.raises(ValueError, match="no JSON, or not all of it"):
        read_published(whole[:length], "test", "2026-11-20")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000, b"<html>", b'[{"x": NaN}]'])
def test_data_that_is_something_else_makes_no_table(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"no |is |have"):
        read_published(text, "test", "2026-11-20")
