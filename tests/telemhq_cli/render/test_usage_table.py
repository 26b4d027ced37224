"""The usage report at every width, and the marks of what is not exact."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.usage_report import UsageReport, UsageRow
from telemhq_cli.render.terminal import print_boxed
from telemhq_cli.render.usage_table import table_of
from telemhq_cli.reports.comparing import compared
from telemhq_cli.reports.lines import shown_of
from telemhq_cli.reports.topping import topped

LARGE = Amounts(
    runs=12_345,
    failures=123,
    responses=98_765,
    input_tokens=7_412_345_678,
    cached_input_tokens=6_412_345_678,
    cache_write_tokens=312_345_678,
    output_tokens=112_345_678,
    reasoning_tokens=12_345_678,
    total_tokens=7_524_691_356,
    cost_nano=12_345_670_000_000,
)
SMALL = Amounts(runs=1, input_tokens=90, output_tokens=10, total_tokens=100, cost_nano=123_456)
UNPRICED = Amounts(runs=2, input_tokens=5, total_tokens=5, unpriced_tokens=5)
NAMES = [
    ("somebody.with.a.long.name@example.com", "claude-opus-4-20250514-extra", LARGE),
    ("ada@example.com", "gpt-5.4", SMALL),
    ("", "in-house-1", UNPRICED),
]


def report(*groups: str) -> UsageReport:
    rows = tuple(UsageRow((name, model)[: len(groups)], amounts) for name, model, amounts in NAMES)
    return UsageReport(groups, rows, sum((row.amounts for row in rows), Amounts()))


@pytest.fixture(autouse=True)
def _utf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


def drawn(shown: object, width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    print_boxed(table_of(shown), console)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


BESIDE = {"with": True, "alone": False}
ALL = "Member Runs Failed Responses Input Cached"


@pytest.mark.parametrize("is_compared", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("groups", [(), ("member",), ("member", "model")], ids=len)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 140, 160, 200, 240])
def test_a_report_reads_well_at_every_width(
    width: int, groups: tuple[str, ...], *, is_compared: bool
) -> None:
    shown = shown_of(report(*groups))
    if is_compared:
        shown = compared(shown, report(*groups))

    lines = drawn(shown, width)

    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert any("$12,345.67" in line for line in lines)
    if width >= 80:
        words = " ".join(lines).replace("\n", " ")
        for title in ("Cost", "Runs") if is_compared else ("Cost", "Runs", "Input", "Output"):
            assert title in words


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (80, "Member Runs Failed Input Output Cost"),
        (140, "Member Runs Failed Input Cached Output Cost Share"),
        (200, f"{ALL} Cache % Written Output Tokens Cost Per run Share"),
        (240, f"{ALL} Cache % Written Output Reasoning Tokens Cost Per run Share"),
    ],
)
def test_wider_screens_show_more_columns(width: int, titles: str) -> None:
    head = next(line for line in drawn(shown_of(report("member")), width) if "Cost" in line)

    assert " ".join(head.replace("│", " ").split()) == titles


def test_shares_are_of_the_cost_and_of_tokens_where_nothing_has_one() -> None:
    priced = table_of(shown_of(report("member")))
    rows = (UsageRow(("a",), UNPRICED), UsageRow(("b",), replace(UNPRICED, total_tokens=15)))
    total = replace(UNPRICED, total_tokens=20)
    unpriced = table_of(shown_of(UsageReport(("member",), rows, total)))

    assert [text[-1].split() for text in priced.texts()] == [
        ["████████", "100%"],
        ["▏", "0%"],
        ["0%"],
        [],
    ]
    assert [text[-1].split() for text in unpriced.texts()] == [["██", "25%"], ["██████", "75%"], []]


def test_what_is_estimated_or_unpriced_is_marked_in_its_row_and_in_the_total() -> None:
    name = NAMES[0][0]
    table = table_of(shown_of(report("member"), {(name,)}))
    by_key = {column.key: at for at, column in enumerate(table.columns)}
    texts = table.texts()

    def told(key: str) -> list[str]:
        return [row[by_key[key]] for row in texts]

    assert told("cost_usd") == ["~$12,345.67", "$0.0001", "unpriced*", "~$12,345.67*"]
    assert told("output_tokens") == ["~112,345,678", "10", "0", "~112,345,688"]
    assert told("per_run") == ["~$1.00", "$0.0001", "unpriced*", "~$0.9998*"]
    assert told("cache_share") == ["87%", "0%", "0%", "87%"]


def test_both_sides_of_a_comparison_are_marked_and_the_rest_too() -> None:
    name = NAMES[0][0]
    shown = compared(shown_of(report("member")), report("member"), {(name,)})

    texts = table_of(topped(replace(shown, lines=shown.lines[::-1]), 1)).texts()

    assert [row[0] for row in texts] == ["(none)", "(2 others)", "Total"]
    assert [row[-3] for row in texts] == ["unpriced*", "~$12,345.67", "~$12,345.67*"]
    assert [row[-1] for row in texts] == ["", "0%", "0%"]


def test_growth_reads_as_a_person_would_say_it() -> None:
    def costs(**nano: int) -> UsageReport:
        rows = tuple(
            UsageRow((key,), Amounts(runs=1, cost_nano=cost)) for key, cost in nano.items()
        )
        return UsageReport(("project",), rows, sum((row.amounts for row in rows), Amounts()))

    now = costs(a=1_034, b=15_000, c=500, d=7, e=9, free=0)
    before = costs(a=1_000, b=1_000, c=1_000, d=7, free=0, gone=4)
    before = replace(before, rows=(*before.rows, UsageRow(("e",), Amounts(runs=1))))

    texts = table_of(compared(shown_of(now), before)).texts()

    assert [(row[0], row[-1]) for row in texts[:-1]] == [
        ("a", "+3.4%"),
        ("b", "+1,400%"),
        ("c", "-50%"),
        ("d", "0%"),
        ("e", "n/a"),
        ("free", ""),
        ("gone", "gone"),
    ]
