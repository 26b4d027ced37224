from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from telemhq_agents.contract.series import Archive, FieldKind, FieldSeries, Series
from telemhq_cli.render import series as shown

RIGA = ZoneInfo("Europe/Riga")
DAY_MS = 86_400_000
MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC


def whole(*fields: FieldSeries) -> Series:
    runs = len(fields[0].values) if fields else 0
    ended = [MONDAY_MS + at * DAY_MS for at in range(runs)]
    return Series("1", 50, runs, False, ended, ended, list(fields))  # noqa: FBT003


def cost(*values: float | None, last: float | None = None) -> FieldSeries:
    return FieldSeries("cost_usd", FieldKind.COST, "USD", list(values), last=last)


def tokens(name: str, *values: int | None) -> FieldSeries:
    return FieldSeries(name, FieldKind.TOKENS, "tokens", list(values))


SAMPLED = Series(
    tracker="1",
    window=100_000,
    runs=6,
    down_sampled=True,
    began_ms=[0, 3000],
    ended_ms=[2000, 5000],
    series=[
        FieldSeries(
            *("cost_usd", FieldKind.COST, "USD"),
            values=[2, 51],
            min=[1, 2],
            max=[3, 100],
            count=[3, 1],
            last=100,
        )
    ],
)


def test_figures_are_of_all_the_runs_not_of_the_points_drawn() -> None:
    (found,) = shown.figures(SAMPLED)

    assert (found.runs, found.gaps) == (4, 2)
    assert (found.last, found.min, found.max) == (100, 1, 100)
    assert found.mean == pytest.approx((3 * 2 + 51) / 4)


def test_figures_of_runs_leave_gaps_out() -> None:
    (found,) = shown.figures(whole(cost(1, None, 3, None)))

    assert (found.runs, found.gaps, found.last) == (2, 2, 3)
    assert (found.min, found.max, found.mean) == (1, 3, 2)


def test_a_field_that_no_run_has_has_no_figures() -> None:
    (found,) = shown.figures(whole(cost(None, None)))

    assert (found.runs, found.gaps) == (0, 2)
    assert (found.last, found.min, found.max, found.mean) == (None,) * 4


def test_points_of_many_runs_keep_both_extremes() -> None:
    assert shown.points(SAMPLED, SAMPLED.series[0]) == [(0, 1), (2, 3), (3, 2), (5, 100)]


def test_a_slice_of_gaps_is_one_gap() -> None:
    gap = FieldSeries(
        *("x", FieldKind.NUMBER, ""), values=[None], min=[None], max=[None], count=[0]
    )
    told = Series("1", 9, 4, True, [0], [3000], [gap])  # noqa: FBT003

    assert shown.points(told, gap) == [(0, None)]


def test_fields_of_one_unit_share_a_panel_and_others_get_their_own() -> None:
    told = whole(tokens("input", 1), cost(2), tokens("output", 3))

    found = shown.panels(told)

    assert [(one.title, one.unit) for one in found] == [("", "tokens"), ("cost_usd", "USD")]
    assert [line.name for line in found[0].lines] == ["input", "output"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "USD", "-"),
        (0, "USD", "$0"),
        (0.1041, "USD", "$0.1041"),
        (12.5, "USD", "$12.50"),
        (1_234_567, "tokens", "1,234,567"),
        (44_759.3, "tokens", "44,759"),
        (0.85, "", "0.85"),
        (68.3166, "", "68.32"),
        (1258.4, "ms", "1.258 s"),
        (90, "s", "1.5 min"),
        (12, "%", "12%"),
        (-3.5, "", "-3.5"),
        (1e-9, "", "1e-09"),
        (2e300, "tokens", "2e+300"),
        (2_500_000, "B", "2.5 MB"),
    ],
)
def test_a_figure_reads_in_its_unit(value: float | None, unit: str, text: str) -> None:
    assert shown.reading(value, unit) == text


def test_the_heading_tells_runs_project_and_time_on_the_zones_clock() -> None:
    told = whole(cost(1, 2))

    assert shown.heading("nightly", told, RIGA) == (
        "nightly: latest 2 runs, 2026-01-05 02:00 to 2026-01-06 02:00 (Europe/Riga)"
    )
    assert shown.heading("nightly", whole(), RIGA) == "nightly: no runs"


def test_programs_get_a_row_for_each_point_and_what_averages_stand_for() -> None:
    plain = shown.series_table(whole(cost(1, None)))
    few = shown.series_table(SAMPLED)

    assert [column.key for column in plain.columns] == ["began_at", "ended_at", "cost_usd"]
    assert plain.rows[1][1:] == ("2026-01-06T00:00:00.000Z", None)
    assert [column.key for column in few.columns][2:] == [
        "cost_usd",
        "cost_usd:min",
        "cost_usd:max",
        "cost_usd:count",
    ]
    assert few.rows[1][2:] == (51, 2, 100, 1)


def test_what_is_kept_no_more_is_told_with_its_dates() -> None:
    left = Archive("1", 1234, 5, "2026-01-01T00:00:01.000Z", "2026-10-31T23:00:00.000Z", [])

    assert shown.older(left) == (
        "Older: 1,234 runs, 2026-01-01 to 2026-10-31, of which only counts are kept."
    )
    assert shown.older(None) == shown.older(Archive("1", 0, 0, None, None, [])) == ""
    assert shown.document(SAMPLED, left)["archive"]["runs"] == 1234
