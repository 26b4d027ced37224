"""Costs by hand, from the vendors' published price lists (USD per million tokens).

Anthropic (https://docs.claude.com/en/docs/about-claude/pricing): Opus 4.8 5 / 25, cache writes
6.25 (5 minutes) and 10 (1 hour), cache reads 0.50; Sonnet 4.6 3 / 15 / 3.75 / 6 / 0.30; Haiku 4.5
1 / 5 / 1.25 / 2 / 0.10; Sonnet 4.5 above 200,000 input tokens 6 / 22.50.
OpenAI (https://platform.openai.com/docs/pricing): GPT-5.3-Codex 1.75 / 14, cached 0.175; GPT-5.4
mini 0.75 / 4.50, cached 0.075; o3 10 / 40 until 10 June 2025, 2 / 8 since.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.errors import SettingsError
from telemhq_agents.price_table import TABLE
from telemhq_agents.pricing import Prices, PricesInForce
from telemhq_agents.rates import MOST_USD, Cost
from telemhq_agents.usage import MOST_TOKENS
from tools.make_prices import text

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000
DOLLAR = 1_000_000_000  # nano-USD
PRICES = Prices.load()


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2026-11-20T08:00")


def cost(
    provider: str,
    model: str,
    *,
    when: int = NOW,
    fresh: int = 0,
    read: int = 0,
    write: int = 0,
    write_1h: int = 0,
    output: int = 0,
    prices: Prices = PRICES,
) -> Cost | None:
    """Price one response; `write` are cache writes of five minutes."""
    everything = fresh + read + write + write_1h
    return prices.cost(provider, model, when, everything, read, write + write_1h, write_1h, output)


def usd(found: Cost | None) -> float | None:
    return None if found is None else found[0] / DOLLAR


@pytest.mark.parametrize(
    ("provider", "model", "tokens", "dollars"),
    [
        ("anthropic", "claude-opus-4-8", {"fresh": MILLION}, 5.0),
        ("anthropic", "claude-opus-4-8", {"output": MILLION}, 25.0),
        ("anthropic", "claude-opus-4-8", {"write": MILLION}, 6.25),
        ("anthropic", "claude-opus-4-8", {"write_1h": MILLION}, 10.0),
        ("anthropic", "claude-opus-4-8", {"read": MILLION}, 0.5),
        ("anthropic", "claude-sonnet-4-6", {"fresh": 1000, "output": 1000, "write": 1000, "write_1h": 1000, "read": 1000}, 0.02805),
        ("anthropic", "claude-haiku-4-5-20251001", {"fresh": 10, "read": 90, "output": 7}, 0.000054),
        ("openai", "gpt-5.3-codex", {"fresh": 200_000, "read": 800_000, "output": 50_000}, 0.35 + 0.14 + 0.7),
        ("openai", "gpt-5.4-mini", {"fresh": 100, "read": 900, "output": 30}, 0.0002775),
    ],
)  # fmt: skip
def test_a_response_costs_what_the_vendors_list_says(
    provider: str, model: str, tokens: dict[str, int], dollars: float
) -> None:
    found = cost(provider, model, **tokens)  # type: ignore[arg-type]

    assert found is not None
    assert found[0] == round(dollars * DOLLAR)


def test_a_price_is_that_of_the_day() -> None:
    assert usd(cost("openai", "o3", fresh=MILLION, when=at("2025-06-09T23:59:59"))) == 10.0
    assert cost("openai", "o3", fresh=MILLION, when=at("2025-06-10")) == (2 * DOLLAR, "2025-06-10")


def test_a_long_request_is_charged_at_its_tier_whole() -> None:
    assert usd(cost("anthropic", "claude-sonnet-4-5", fresh=200_000)) == pytest.approx(0.6)
    assert usd(cost("anthropic", "claude-sonnet-4-5", fresh=200_001)) == pytest.approx(1.200006)
    long = cost("anthropic", "claude-sonnet-4-5", fresh=1, read=200_000, output=MILLION)
    assert usd(long) == pytest.approx(0.000006 + 0.12 + 22.5)


def test_a_price_of_the_night_is_that_of_the_night() -> None:
    """DeepSeek's own list: half price from 16:30 to 00:30 UTC."""
    day = cost("deepseek", "deepseek-chat", fresh=MILLION, when=at("2026-11-20T12:00"))
    night = cost("deepseek", "deepseek-chat", fresh=MILLION, when=at("2026-11-20T23:00"))

    assert (usd(day), usd(night)) == (0.27, 0.135)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "nimbus-coder-6"),
        ("ollama", "gpt-5"),
        ("", ""),
        ("openai", ""),
        ("lab", "llama-of-my-own"),
        ("anthropic", "<synthetic>"),
        ("openai", "gpt-5-something-new"),
    ],
)
def test_a_model_that_nobody_knows_is_unpriced_never_free(provider: str, model: str) -> None:
    assert cost(provider, model, fresh=1000, output=10) is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-6[1m]"),
        ("anthropic", "CLAUDE-SONNET-4-6"),
        ("anthropic", "claude-sonnet-4-6-20260101"),
        ("vertex", "claude-sonnet-4-6@20260101"),
        ("google", "claude-sonnet-4-6@default"),
        ("my-proxy", "anthropic/claude-sonnet-4-6"),
        ("", "claude-sonnet-4-6"),
        ("Anthropic", "claude-sonnet-4-6"),
    ],
)
def test_a_model_is_known_by_the_names_that_clouds_and_tools_give_it(
    provider: str, model: str
) -> None:
    assert usd(cost(provider, model, fresh=MILLION)) == 3.0


@pytest.mark.parametrize(
    "model",
    [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)
def test_bedrocks_regional_names_have_bedrocks_prices(model: str) -> None:
    """https://aws.amazon.com/bedrock/pricing: regional endpoints are 10 % above the global ones."""
    assert usd(cost("anthropic", model, fresh=100_000)) == pytest.approx(0.33)


# The whole table against the library it comes from.

KNOWN = [
    (provider, model)
    for provider in providers
    if provider.id in {"anthropic", "openai", "google", "x-ai", "mistral", "groq", "aws"}
    for model in provider.models
    if provider.find_model(model.id) is model
]


@given(
    which=st.integers(0, len(KNOWN) - 1),
    fresh=st.integers(0, 400_000),
    read=st.integers(0, 400_000),
    write=st.integers(0, 50_000),
    write_1h=st.integers(0, 50_000),
    output=st.integers(0, 100_000),
    when=st.integers(at("2024-01-01"), at("2026-12-31")),
)
def test_every_model_costs_what_genai_prices_says(  # noqa: PLR0917 - given by name
    which: int, fresh: int, read: int, write: int, write_1h: int, output: int, when: int
) -> None:
    provider, model = KNOWN[which]
    usage = Usage(
        input_tokens=fresh + read + write + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write + write_1h,
        cache_write_1h_tokens=write_1h,
        output_tokens=output,
    )
    moment = datetime.fromtimestamp(when / 1000, UTC)
    try:
        wanted = model.calc_price(usage, provider, genai_request_timestamp=moment).total_price
    except ValueError:  # priced by the image, the page or the hour
        return

    found = cost(
        provider.id,
        model.id,
        fresh=fresh,
        read=read,
        write=write,
        write_1h=write_1h,
        output=output,
        when=when,
    )

    if found is not None:
        assert found[0] == pytest.approx(float(wanted) * DOLLAR, abs=0.51)


def test_the_table_is_what_the_pinned_genai_prices_makes() -> None:
    held = TABLE.read_text("utf-8")

    assert held == text(json.loads(held)["made"]), "run: python -m tools.make_prices"


# The user's own prices


def own(tmp_path: Path, toml: str) -> Prices:
    file = tmp_path / "prices.toml"
    file.write_text(toml)
    return Prices.load(file)


def test_the_users_price_wins(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """
        [[price]]
        model = "Nimbus-coder-6"
        input = 1.5
        output = 6
        cached_input = 0.1
        [[price]]
        model = "gpt-5"
        provider = "ollama"
        input = 0
        output = 0
        """,
    )

    assert cost("anthropic", "nimbus-coder-6[1m]", fresh=MILLION, read=MILLION, prices=prices) == (
        1_600_000_000,
        "prices.toml",
    )
    assert cost("ollama", "gpt-5", fresh=MILLION, prices=prices) == (0, "prices.toml")
    assert usd(cost("openai", "gpt-5", fresh=MILLION, prices=prices)) == 1.25


def test_the_users_prices_are_dated_too(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """
        price = [
            {model = "m", input = 2, output = 2, since = 2026-06-01},
            {model = "m", input = 1, output = 1},
        ]
        """,
    )

    assert usd(cost("", "m", fresh=MILLION, when=at("2026-05-31"), prices=prices)) == 1.0
    assert cost("", "m", fresh=MILLION, when=at("2026-06-01"), prices=prices) == (
        2 * DOLLAR,
        "2026-06-01",
    )


def test_before_the_users_price_begins_the_published_one_holds(tmp_path: Path) -> None:
    begun = """
        price = [
            {model = "gpt-5", input = 2, output = 2, since = "2026-06-01"},
            {model = "m", input = 2, output = 2, since = "2026-06-01"},
        ]
        """
    prices = own(tmp_path, begun)
    may, june = at("2026-05-31"), at("2026-06-01")

    assert usd(cost("openai", "gpt-5", fresh=MILLION, when=may, prices=prices)) == 1.25
    assert usd(cost("openai", "gpt-5", fresh=MILLION, when=june, prices=prices)) == 2.0
    assert cost("", "m", fresh=MILLION, when=may, prices=prices) is None


def test_before_the_price_at_one_provider_begins_the_one_for_all_holds(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """
        price = [
            {model = "m", provider = "cloud", input = 3, output = 3, since = "2026-06-01"},
            {model = "m", input = 1, output = 1},
        ]
        """,
    )
    may, june = at("2026-05-31"), at("2026-06-01")

    assert usd(cost("cloud", "m", fresh=MILLION, when=may, prices=prices)) == 1.0
    assert usd(cost("cloud", "m", fresh=MILLION, when=june, prices=prices)) == 3.0
    assert usd(cost("other", "m", fresh=MILLION, when=june, prices=prices)) == 1.0


def test_the_users_price_of_a_long_context_is_that_names_alone(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """
        price = [
            {model = "m[1m]", input = 2, output = 2},
            {model = "m", input = 1, output = 1},
        ]
        """,
    )

    assert usd(cost("cloud", "m[1m]", fresh=MILLION, prices=prices)) == 2.0
    assert usd(cost("cloud", "m", fresh=MILLION, prices=prices)) == 1.0


def test_the_dearest_price_of_the_largest_response_fits_a_ledger(tmp_path: Path) -> None:
    prices = own(tmp_path, f'[[price]]\nmodel = "m"\ninput = {MOST_USD}\noutput = {MOST_USD}')

    found = prices.cost("", "m", 0, MOST_TOKENS, 0, 0, 0, MOST_TOKENS)

    assert found is not None
    assert found[0] < 2**63


def test_no_file_is_no_price_of_ones_own(tmp_path: Path) -> None:
    assert (
        usd(cost("openai", "gpt-5", fresh=MILLION, prices=Prices.load(tmp_path / "none.toml")))
        == 1.25
    )


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[[price]]\nmodel = 1", "needs a model"),
        ('[[price]]\nmodel = "m"\ninput = 1', "needs both input and output"),
        ('[[price]]\nmodel = "m"\ninput = "1"\noutput = 1', "input of m is not a price: '1'"),
        ('[[price]]\nmodel = "m"\ninput = -1\noutput = 1', "input of m is not a price: -1"),
        ('[[price]]\nmodel = "m"\ninput = true\noutput = 1', "input of m is not a price: True"),
        ('[[price]]\nmodel = "m"\ninput = nan\noutput = 1', "input of m is not a price: nan"),
        ('[[price]]\nmodel = "m"\ninput = 1e9\noutput = 1', "input of m is not a price: 1000000"),
        ('[[price]]\nmodel = "m"\ninput = 1\noutput = 1\nouptut = 2', "ouptut"),
        (
            '[[price]]\nmodel = "m"\ninput = 1\noutput = 1\nsince = "soon"',
            "since of m is not a day: 'soon'",
        ),
        ("[m]\ninput = 1", "only [[price]] tables belong there"),
        ("price = 1", "only [[price]] tables belong there"),
        ("price = [1]", "needs a model"),
        ("[[price", "cannot be used"),
    ],
)
def test_a_wrong_price_is_named(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        own(tmp_path, toml)

    assert "prices.toml" in caught.value.message
    assert said in caught.value.message


def test_a_price_that_is_set_meanwhile_holds_from_then_on(tmp_path: Path) -> None:
    file, downloaded = tmp_path / "prices.toml", tmp_path / "prices.json"
    in_force = PricesInForce(file, downloaded)

    before = in_force.now()
    file.write_text('[[price]]\nmodel = "m"\ninput = 1\noutput = 1')
    own_price = in_force.now()
    table = json.loads(TABLE.read_bytes())
    table["providers"]["openai"]["models"] = []
    downloaded.write_text(json.dumps(table | {"made": "2999-01-01"}))

    assert in_force.now() is in_force.now()
    assert cost("", "m", fresh=MILLION, prices=before) is None
    assert cost("", "m", fresh=MILLION, prices=own_price) == (DOLLAR, "prices.toml")
    assert cost("openai", "gpt-5", fresh=MILLION, prices=own_price) is not None
    assert cost("", "m", fresh=MILLION, prices=in_force.now()) == (DOLLAR, "prices.toml")
    assert cost("openai", "gpt-5", fresh=MILLION, prices=in_force.now()) is None


def test_importing_it_loads_neither_the_library_nor_its_like() -> None:
    heavy = "{'genai_prices', 'pydantic', 'httpx', 'msgspec', 'tomllib'}"
    code = f"import sys; sys.path[:] = {sys.path!r}; import telemhq_agents.pricing; print(sorted({heavy} & set(sys.modules)))"

    shown = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"
