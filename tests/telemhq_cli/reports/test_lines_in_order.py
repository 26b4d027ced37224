"""Order, top and comparison of a report's lines, on made-up figures."""

from __future__ import annotations

import pytest

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.usage_report import UsageReport, UsageRow
from telemhq_agents.errors import UsageError
from telemhq_cli.reports import comparing, ordering
from telemhq_cli.reports.lines import NOTHING, Line, shown_of
from telemhq_cli.reports.topping import topped

USD = 1_000_000_000


def amounts(cost: int, tokens: int = 0, runs: int = 1, cached: int = 0) -> Amounts:
    return Amounts(
        runs=runs,
        input_tokens=tokens,
        cached_input_tokens=cached,
        total_tokens=tokens,
        cost_nano=cost * USD,
    )


def report(group: str, **rows: Amounts) -> UsageReport:
    found = tuple(UsageRow((key,), row) for key, row in rows.items())
    return UsageReport((group,), found, sum(rows.values(), Amounts()))


WORK = report(
    "project",
    api=amounts(9, tokens=100, runs=3, cached=90),
    web=amounts(5, tokens=400, runs=1, cached=100),
    cli=amounts(5, tokens=50, runs=5),
    docs=amounts(0, tokens=0, runs=0),
)


def order(text: str) -> str:
    sort = ordering.sort_of(text, ("project",), is_compared=False)
    return " ".join(line.keys[0] for line in ordering.ordered(shown_of(WORK), sort).lines)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("cost", "api web cli docs"),
        ("cost_usd", "api web cli docs"),
        ("-cost", "docs web cli api"),
        ("tokens", "web api cli docs"),
        ("-tokens", "docs cli api web"),
        ("input", "web api cli docs"),
        ("cached", "web api cli docs"),
        ("runs", "cli api web docs"),
        ("per-run", "web api cli docs"),
        ("cache", "api web cli docs"),
        ("project", "api cli docs web"),
        ("-project", "web docs cli api"),
    ],
)
def test_lines_stand_in_the_order_asked_for_and_equals_as_they_stood(text: str, keys: str) -> None:
    assert order(text) == keys


def test_what_is_no_figure_or_group_of_the_report_is_refused_with_what_was_meant() -> None:
    with pytest.raises(UsageError, match=r"no 'cots' to sort by; did you mean 'cost'\?"):
        ordering.sort_of("cots", ("project",), is_compared=False)
    with pytest.raises(UsageError, match="no 'model' to sort by"):
        ordering.sort_of("model", ("project",), is_compared=False)
    with pytest.raises(UsageError, match="no change"):
        ordering.sort_of("change", ("project",), is_compared=False)


@pytest.mark.parametrize(("count", "others"), [(1, 3), (2, 2), (3, 1), (4, 0), (9, 0)])
def test_the_rest_is_one_line_and_nothing_is_dropped(count: int, others: int) -> None:
    shown = topped(shown_of(WORK), count)

    assert [line.others for line in shown.lines if line.others] == ([others] if others else [])
    assert len(shown.lines) == min(count, 4) + bool(others)
    assert sum((line.amounts for line in shown.lines), NOTHING) == WORK.total
    assert shown.total.amounts == WORK.total
    assert shown.is_topped
    assert not any(line.others for line in shown.lines[:count])


def test_the_rest_of_a_comparison_is_summed_on_both_sides() -> None:
    before = report("project", api=amounts(1), web=amounts(2), old=amounts(4))

    shown = topped(comparing.compared(shown_of(WORK), before), 1)

    assert shown.lines[1].others == 4
    assert shown.lines[1].amounts == amounts(10, tokens=450, runs=6, cached=100)
    assert shown.lines[1].before == amounts(2) + amounts(4)


def test_what_is_new_and_what_is_gone_are_lines_too() -> None:
    before = report("project", web=amounts(2), old=amounts(4))
    now = report("project", api=amounts(3), web=amounts(1))

    shown = comparing.compared(shown_of(now), before)

    assert [(line.keys[0], comparing.fate(line)) for line in shown.lines] == [
        ("api", "new"),
        ("web", ""),
        ("old", "gone"),
    ]
    assert [line.change.cost_nano // USD for line in shown.lines] == [3, -1, -4]
    assert shown.total.change.cost_nano == (4 - 6) * USD
    sort = ordering.sort_of("change", ("project",), is_compared=True)
    assert [line.keys[0] for line in ordering.ordered(shown, sort).lines] == ["api", "web", "old"]


def test_changes_are_ordered_by_what_the_report_is_about_and_never_by_tokens_among_costs() -> None:
    now = report("model", cheap=amounts(0, tokens=9 * USD), dear=amounts(1, tokens=1))

    shown = comparing.compared(shown_of(now), report("model", gone=amounts(1)))

    sort = ordering.sort_of("change", ("model",), is_compared=True)
    order = [line.keys[0] for line in ordering.ordered(shown, sort).lines]
    assert order == ["dear", "cheap", "gone"]


def test_days_are_compared_in_their_places_and_missing_ones_stand_where_they_belong() -> None:
    now = report("day", **{"2026-11-03": amounts(1), "2026-11-05": amounts(2)})
    before = report("day", **{"2026-10-28": amounts(4), "2026-10-29": amounts(8)})

    shown = comparing.compared(shown_of(now), comparing.moved(before, 7))

    assert [
        (line.keys[0], line.amounts.cost_nano // USD, (line.before or NOTHING).cost_nano // USD)
        for line in shown.lines
    ] == [("2026-11-03", 1, 0), ("2026-11-04", 0, 4), ("2026-11-05", 2, 8)]


@pytest.mark.parametrize(
    ("groups", "days", "is_fine"),
    [
        (("project", "model"), None, True),
        (("day",), 7, True),
        (("day", "model"), 1, True),
        (("day",), None, False),
        (("hour",), 7, False),
        (("project", "week"), 7, False),
        (("month",), 30, False),
    ],
)
def test_groups_of_time_without_a_counterpart_are_refused(
    groups: tuple[str, ...], days: int | None, *, is_fine: bool
) -> None:
    if is_fine:
        comparing.check_groups(groups, days)
        return
    with pytest.raises(UsageError, match="of this time is one of the time before"):
        comparing.check_groups(groups, days)


@pytest.mark.parametrize(
    ("now", "before", "grown"),
    [(3, 2, 50), (1, 4, -75), (0, 4, -100), (5, 5, 0), (5, 0, None), (0, 0, None), (2, -1, -300)],
)
def test_growth_is_of_what_was_there(now: int, before: int, grown: float | None) -> None:
    assert comparing.percent(now, before) == grown


def test_a_report_without_any_cost_is_about_tokens() -> None:
    some, priced = Amounts(total_tokens=5), Amounts(total_tokens=5, cost_nano=1)

    assert comparing.figure_of(some, None) == "total_tokens"
    assert comparing.figure_of(some, priced) == "cost_nano"
    assert comparing.figure_of(priced, some) == "cost_nano"


def test_estimates_are_of_the_groups_named_and_of_the_total() -> None:
    shown = shown_of(WORK, {("web",)})

    assert [line.is_estimated for line in shown.lines] == [False, True, False, False]
    assert shown.total.is_estimated
    assert topped(shown, 1).lines[-1].is_estimated
    assert Line((), NOTHING).change == NOTHING
