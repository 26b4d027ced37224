"""The records both sides of the wire agree on."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.contract import routes
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, nano, usd
from telemhq_agents.contract.ping import COUNT_FIELDS, NUMBER_FIELDS, TEXT_FIELDS, Receipt, Recorded
from telemhq_agents.contract.usage_report import SHOWN, UsageRow, as_json, figures, sum_rows

FIGURES = st.integers(-(10**12), 10**12)
AMOUNTS = st.builds(Amounts, **dict.fromkeys(AMOUNT_FIELDS, FIGURES))


@given(AMOUNTS, AMOUNTS)
def test_a_difference_added_again_gives_the_same_sums(one: Amounts, other: Amounts) -> None:
    assert other + (one - other) == one
    assert bool(one - other) == (one != other)


@given(AMOUNTS, AMOUNTS)
def test_the_larger_of_two_is_larger_in_every_figure(one: Amounts, other: Amounts) -> None:
    larger = one.largest(other)

    for name in AMOUNT_FIELDS:
        assert getattr(larger, name) == max(getattr(one, name), getattr(other, name))


@given(st.integers(-4 * 10**15, 4 * 10**15))
def test_money_survives_the_wire_to_the_nano_dollar(amount: int) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(usd(amount)))

    assert nano(sent) == amount


@pytest.mark.parametrize(
    ("dollars", "wanted"), [(1.0, 10**9), (0.1, 10**8), (1e-9, 1), (-2.5, -25 * 10**8), (0, 0)]
)
def test_dollars_are_whole_nano_dollars(dollars: float, wanted: int) -> None:
    assert nano(dollars) == wanted


def test_a_receipt_tells_every_figure_of_a_bucket() -> None:
    told = {field.name for field in fields(Recorded)} - {"revision", "project"}

    assert told == {"cost_usd" if name == "cost_nano" else name for name in AMOUNT_FIELDS}


def test_a_receipt_is_read_as_it_was_written() -> None:
    recorded = Recorded(3, 1, 0, 2, 10, 5, 1, 7, 2, 17, 0.25, 0, 900)
    receipt = Receipt("1", "2026-11-20T08:00:00.000Z", duplicate=True, recorded=recorded)

    assert msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt) == receipt


def test_no_field_of_a_ping_has_two_kinds() -> None:
    named = [*COUNT_FIELDS, *NUMBER_FIELDS, *TEXT_FIELDS]

    assert len(named) == len(set(named))


def test_routes_are_told_apart() -> None:
    paths = [value for name, value in vars(routes).items() if name.isupper() and name != "API"]

    assert len(paths) == len(set(paths))
    assert all(path.startswith("/") for path in paths)


def test_the_machine_readable_report_has_its_keys_in_every_row() -> None:
    rows = [
        UsageRow(("2026-11-20", "opus"), Amounts(runs=1, input_tokens=2, cost_nano=3 * 10**9)),
        UsageRow(("2026-11-19", "opus"), Amounts(failures=1, output_tokens=5)),
    ]

    shape = as_json(sum_rows(["day", "model"], rows))

    assert shape["schema"] == "telemhq.usage/1"
    assert [row["day"] for row in shape["rows"]] == ["2026-11-19", "2026-11-20"]
    assert all(row.keys() == {"day", "model", *SHOWN} for row in shape["rows"])
    assert shape["total"]["cost_usd"] == 3.0
    assert (shape["total"]["runs"], shape["total"]["failures"]) == (1, 1)


def test_names_come_by_cost_then_by_tokens() -> None:
    rows = [
        UsageRow(("small",), Amounts(total_tokens=5)),
        UsageRow(("large",), Amounts(total_tokens=9)),
        UsageRow(("dear",), Amounts(total_tokens=1, cost_nano=1)),
    ]

    assert [row.keys[0] for row in sum_rows(["project"], rows).rows] == ["dear", "large", "small"]


def test_figures_are_numbers() -> None:
    assert all(isinstance(value, int | float) for value in figures(Amounts()).values())
