from __future__ import annotations

import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.errors import SettingsError
from telemhq_agents.own_prices import OwnPrice, own_prices, read_own, set_own, unset_own

if TYPE_CHECKING:
    from pathlib import Path

TWO = """\
# what we pay
[[price]]
# since the contract
model = "in-house"
input = 1.25 # don't ask
output = 10

# a hash in "a text" is no comment
[[price]]
model = "has # in it"
input = 1
output = 2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "prices.toml"


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def price(model: str, input_: float = 3.0, **more: Any) -> OwnPrice:
    amounts = {"input": input_, "output": 4.0} | more.pop("amounts", {})
    return OwnPrice(model, more.pop("provider", ""), more.pop("since", ""), amounts)


def test_a_first_price_makes_the_file(file: Path) -> None:
    lost = set_own(
        file, price("m", provider="cloud", since="2026-11-01", amounts={"cache_write_1h": 2.5})
    )

    assert lost == []
    assert tomllib.loads(file.read_text()) == {
        "price": [
            {
                "model": "m",
                "provider": "cloud",
                "since": date(2026, 11, 1),
                "input": 3.0,
                "output": 4.0,
                "cache_write_1h": 2.5,
            }
        ]
    }


def test_a_further_price_leaves_every_character_of_the_file(file: Path) -> None:
    written(file, TWO)

    lost = set_own(file, price("new"))

    assert lost == []
    assert file.read_text().startswith(TWO)
    assert [one.model for one in own_prices(file)] == ["in-house", "has # in it", "new"]


def test_a_price_that_is_set_again_takes_its_place_and_tells_the_comments_that_went(
    file: Path,
) -> None:
    written(file, TWO)

    lost = set_own(file, price("In-House"))

    assert lost == ["# since the contract", "# don't ask"]
    assert [(one.model, one.amounts["input"]) for one in own_prices(file)] == [
        ("In-House", 3.0),
        ("has # in it", 1),
    ]
    assert file.read_text().startswith("# what we pay\n[[price]]\n")
    assert '\n# a hash in "a text" is no comment\n[[price]]' in file.read_text()


def test_another_day_or_provider_is_another_price(file: Path) -> None:
    set_own(file, price("m", 1.0))
    set_own(file, price("m", 2.0, since="2026-06-01"))
    set_own(file, price("m", 3.0, provider="cloud"))
    set_own(file, price("m", 4.0, since="2026-06-01"))

    assert [(one.provider, one.since, one.amounts["input"]) for one in own_prices(file)] == [
        ("", "", 1.0),
        ("", "2026-06-01", 4.0),
        ("cloud", "", 3.0),
    ]
    assert list(read_own(file)) == ["m", "cloud/m"]


def test_a_price_is_taken_out_and_the_rest_stays(file: Path) -> None:
    written(file, TWO)

    assert unset_own(file, "IN-HOUSE") == (1, ["# since the contract", "# don't ask"])
    assert file.read_text() == "# what we pay\n" + TWO[TWO.index("# a hash") :]
    assert unset_own(file, "in-house") == (0, [])


def test_taking_out_a_model_takes_all_its_days_or_one_providers(file: Path) -> None:
    for one in (
        price("m"),
        price("m", since="2026-06-01"),
        price("m", provider="cloud"),
        price("m", provider="other"),
    ):
        set_own(file, one)

    assert unset_own(file, "m", "cloud")[0] == 1
    assert [one.provider for one in own_prices(file)] == ["", "", "other"]
    assert unset_own(file, "m")[0] == 3
    assert own_prices(file) == []


@pytest.mark.parametrize(
    "text",
    [
        '# why\nprice = [\n  {model = "a", input = 1, output = 2}, # first\n]\n',
        '# why\n["price"]\n',
        '# why\n[[price]]\nmodel = """\n[[price]]\n"""\ninput = 1\noutput = 2 # first\n',
    ],
)
def test_prices_in_another_spelling_are_written_anew_or_refused_never_lost(
    file: Path, text: str
) -> None:
    written(file, text)
    try:
        before = own_prices(file)
    except SettingsError:
        with pytest.raises(SettingsError):
            set_own(file, price("new"))
        assert file.read_text() == text
        return

    lost = set_own(file, price("new"))

    assert own_prices(file) == [*before, price("new")]
    kept = [comment for comment in ("# why", "# first") if comment in file.read_text()]
    assert sorted([*lost, *kept]) == ["# first", "# why"]


def test_a_wrong_file_is_left_as_it_is(file: Path) -> None:
    written(file, '[[price]]\nmodel = "m"\n')

    with pytest.raises(SettingsError, match="needs both input and output"):
        set_own(file, price("m"))
    with pytest.raises(SettingsError, match="needs both input and output"):
        unset_own(file, "m")

    assert file.read_text() == '[[price]]\nmodel = "m"\n'


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="cannot be"):
        set_own(tmp_path / "file" / "prices.toml", price("m"))
