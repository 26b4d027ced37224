"""Usage over time: a stacked chart, and what it adds up to."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never
from zoneinfo import ZoneInfo

from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.ledger.report import local_day, local_hour, local_week, moment_of
from telemhq_cli.render import screen
from telemhq_cli.render.measure import Measure, figure, key, raw, short, unit
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.usage_report import UsageReport

SCHEMA = "telemhq.trend/1"
MOST_LINES = 6
"""Lines of their own; the rest is one more."""

OTHERS = "others"
NAMELESS = "(none)"
HEIGHT = 16
DAY_MS = 24 * 3600 * 1000
_AND_SOME_MS = 2 * 3600 * 1000
"""A window begins with its quarter-hour, and a day in autumn has 25 hours."""

LONGEST_BY_HOUR_MS = 2 * DAY_MS + _AND_SOME_MS
LONGEST_BY_DAY_MS = 120 * DAY_MS + _AND_SOME_MS
_PART_OF_A_DAY_MS = 6 * 3600 * 1000
"""No local day is so short that none of these begins in it."""


class Step(StrEnum):
    """What one point of the chart sums; the groups of a report."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a figure for each step, zero where nothing was used; `name` may be empty."""

    name: str
    values: tuple[int, ...]

    @property
    def title(self) -> str:
        """Return what a person reads."""
        return self.name or NAMELESS

    @property
    def total(self) -> int:
        """Return what the line adds up to."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Trend:
    """Lines over the same steps, the largest first; together they are the report's total."""

    of: Measure
    by: str
    step: Step
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    zone: ZoneInfo
    about: str = ""


def step_of(since_ms: int, until_ms: int) -> Step:
    """Return what to sum over in a window: an hour up to two days, a week beyond 120."""
    length = until_ms - since_ms
    if length <= LONGEST_BY_HOUR_MS:
        return Step.HOUR
    return Step.DAY if length <= LONGEST_BY_DAY_MS else Step.WEEK


def labels_of(step: Step, since_ms: int, until_ms: int, zone: ZoneInfo) -> tuple[str, ...]:
    """Return what each step of a window is called in a report, from the first to the last."""
    match step:
        case Step.HOUR:
            name, stride = local_hour, QUARTER_MS
        case Step.DAY:
            name, stride = local_day, _PART_OF_A_DAY_MS
        case Step.WEEK:
            name, stride = local_week, _PART_OF_A_DAY_MS
        case _:
            assert_never(step)
    moments = [*range(since_ms, until_ms, stride), max(until_ms - 1, since_ms)]
    return tuple(dict.fromkeys(name(moment_of(ms, zone)) for ms in moments))


def trend_of(
    report: UsageReport, of: Measure, labels: Sequence[str], zone: ZoneInfo, about: str
) -> Trend:
    """Gather a report by a step and one more group; steps that it has beyond `labels` are kept."""
    step, by = report.group_by
    every = tuple(sorted({*labels, *(row.keys[0] for row in report.rows)}, key=_sorting(step)))
    place = {label: at for at, label in enumerate(every)}
    lines: dict[str, list[int]] = {}
    for row in report.rows:
        values = lines.setdefault(row.keys[1], [0] * len(every))
        values[place[row.keys[0]]] += figure(row.amounts, of)
    found = [Series(name, tuple(values)) for name, values in lines.items()]
    ordered = sorted(found, key=lambda one: (-one.total, one.name))
    return Trend(of, by, Step(step), every, _most(ordered), zone, about)


def _sorting(step: str) -> Any:  # noqa: ANN401 - a key of sorted
    # The hours that a clock shows twice sort by the moment, not by how they are written.
    return datetime.fromisoformat if step == Step.HOUR else str


def _most(ordered: Sequence[Series]) -> tuple[Series, ...]:
    """Keep the largest lines, and put the others into one; a single one is its own."""
    if len(ordered) <= MOST_LINES + 1:
        return tuple(ordered)
    rest = ordered[MOST_LINES:]
    summed = tuple(map(sum, zip(*(one.values for one in rest), strict=True)))
    return (*ordered[:MOST_LINES], Series(f"{OTHERS} ({len(rest)})", summed))


def document(trend: Trend) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.trend/1`."""
    return {
        "schema": SCHEMA,
        "of": key(trend.of),
        "by": trend.by,
        "step": trend.step.value,
        "timezone": trend.zone.key,
        "steps": list(trend.labels),
        "series": [
            {
                "name": one.name,
                "values": [raw(value, trend.of) for value in one.values],
                "total": raw(one.total, trend.of),
            }
            for one in trend.series
        ],
        "total": raw(sum(one.total for one in trend.series), trend.of),
    }


def points_table(trend: Trend) -> Table:
    """Return a row for each step and line, for a spreadsheet."""
    names = (trend.step.value, trend.by, key(trend.of))
    rows = [
        (label, one.name, raw(value, trend.of))
        for at, label in enumerate(trend.labels)
        for one in trend.series
        for value in [one.values[at]]
    ]
    return Table(tuple(Column(name, name) for name in names), rows)


def sums_table(trend: Trend, notes: Sequence[str] = ()) -> Table:
    """Return a row for each line: its sum, its share, its mean and its highest step."""

    def figures(value: int | None) -> str:
        return "" if value is None else short(value, trend.of)

    whole = sum(one.total for one in trend.series)
    columns = (
        Column("name", trend.by.capitalize()),
        Column("total", trend.of.value.capitalize(), figures, is_figure=True),
        Column("share", "Share", _percent, is_figure=True),
        Column("mean", f"A {trend.step}", figures, is_figure=True),
        Column("most", "Most", figures, is_figure=True),
        Column("at", "On", spare=1),
    )
    rows = [_sums(one.title, one.values, trend.labels, whole) for one in trend.series]
    together = [sum(values) for values in zip(*(one.values for one in trend.series), strict=True)]
    total = _sums("Total", together, trend.labels, whole) if rows else None
    return Table(columns, rows, total=total, notes=tuple(notes))


def _sums(name: str, values: Sequence[int], labels: Sequence[str], whole: int) -> tuple[Any, ...]:
    most = max(range(len(values)), key=lambda at: values[at])
    share = sum(values) / whole if whole else None
    return (name, sum(values), share, round(sum(values) / len(values)), values[most], labels[most])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def show_chart(trend: Trend) -> None:
    """Print the chart, as wide as the screen."""
    from telemhq_cli.render.chart import Line, drawn  # noqa: PLC0415 - not needed for JSON

    scale = 1_000_000_000 if trend.of is Measure.COST else 1
    starts = [start_of(trend.step, label, trend.zone) for label in trend.labels]
    lines = [
        Line(visible(one.title), list(zip(starts, (v / scale for v in one.values), strict=True)))
        for one in trend.series
    ]
    title = f"{trend.of.value.capitalize()} by {trend.step} and {trend.by}: {trend.about}"
    picture = drawn(
        lines,
        zone=trend.zone,
        unit=unit(trend.of),
        stacked=True,
        width=screen.width(),
        height=HEIGHT,
    )
    sys.stdout.write("".join(f"{line}\n" for line in (visible(title), "", *picture, "")))


def start_of(step: Step, label: str, zone: ZoneInfo) -> float:
    """Return when a step begins, in seconds since 1970 UTC."""
    match step:
        case Step.HOUR:
            return datetime.fromisoformat(label).timestamp()
        case Step.DAY:
            day = date.fromisoformat(label)
        case Step.WEEK:
            year, _, week = label.partition("-W")
            day = date.fromisocalendar(int(year), int(week), 1)
        case _:
            assert_never(step)
    return datetime.combine(day, time(), tzinfo=zone).timestamp()
