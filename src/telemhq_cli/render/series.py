"""A tracker's figures as lines, tables and documents. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.series import Number
from telemhq_cli.render.axis import is_scaled, measure_of
from telemhq_cli.render.chart import Line
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import counted, moment, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.series import (
        Archive,
        FieldSeries,
        NumericField,
        Series,
        TrackerFields,
    )
    from telemhq_cli.render.chart import Point

NO_FIELDS = "No run has a numeric field yet. Next: telemhq tracker runs TRACKER"
_LEAST, _MOST = 1e-4, 1e15
"""Where decimals say what powers of ten would."""

APART = "Fields of different units are drawn apart."


@dataclass(frozen=True, slots=True)
class Figures:
    """A field over all runs of a chart; `runs` of them have it, `gaps` do not.

    The others are null where none has it. Never of averages that a chart may be drawn from.
    """

    field: str
    unit: str
    runs: int
    gaps: int
    last: Number | None
    min: Number | None
    max: Number | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share an axis; `title` names the one there is."""

    title: str
    unit: str
    lines: tuple[Line, ...]


def figures(told: Series) -> list[Figures]:
    """Return each field's figures over all the runs, however many points there are."""
    return [_figures(one, told.runs) for one in told.series]


def _figures(one: FieldSeries, runs: int) -> Figures:
    there = [(value, count) for value, count in zip(one.values, _counts(one), strict=True) if count]
    least = [value for value in one.min or one.values if value is not None]
    most = [value for value in one.max or one.values if value is not None]
    has = sum(count for _, count in there)
    last = one.last if one.last is not None else _last(one)
    return Figures(
        field=one.field,
        unit=one.unit,
        runs=has,
        gaps=runs - has,
        last=last,
        min=min(least, default=None),
        max=max(most, default=None),
        mean=_mean([(value, count) for value, count in there if value is not None], has),
    )


def _counts(one: FieldSeries) -> Sequence[int]:
    return one.count if one.count is not None else [int(value is not None) for value in one.values]


def _last(one: FieldSeries) -> Number | None:
    """Return what an older server does not tell, where each point is a run."""
    if one.count is not None:
        return None
    return next((value for value in reversed(one.values) if value is not None), None)


def _mean(there: Sequence[tuple[Number, int]], runs: int) -> float | None:
    if not runs:
        return None
    return math.fsum(value * (count / runs) for value, count in there)


def panels(told: Series) -> list[Panel]:
    """Put fields of one unit on one axis, in the order they came."""
    kinds = list(dict.fromkeys((one.kind, one.unit) for one in told.series))
    found = []
    for kind, unit in kinds:
        same = [one for one in told.series if (one.kind, one.unit) == (kind, unit)]
        lines = tuple(Line(one.field, points(told, one)) for one in same)
        found.append(Panel(same[0].field if len(same) == 1 else "", unit, lines))
    return found


def points(told: Series, one: FieldSeries) -> list[Point]:
    """Return a field's points in seconds; of runs drawn as one both extremes."""
    if one.min is None or one.max is None:
        return [(ms / 1000, value) for ms, value in zip(told.ended_ms, one.values, strict=True)]
    found: list[Point] = []
    for began, ended, least, most in zip(
        told.began_ms, told.ended_ms, one.min, one.max, strict=True
    ):
        found.append((began / 1000, least))
        if least != most:
            found.append((began / 1000 if began == ended else ended / 1000, most))
    return found


def heading(name: str, told: Series, zone: ZoneInfo) -> str:
    """Say what a chart shows: of which runs, from when to when, on whose clock."""
    runs = f"latest {counted(told.runs, 'run')}" if told.runs > 1 else "one run"
    of = "" if told.project is None else f" of {told.project or 'no project'}"
    if not told.ended_ms:
        return f"{name}: no runs{of}"
    first, last = local(told.began_ms[0], zone), local(told.ended_ms[-1], zone)
    when = first if first == last else f"{first} to {last}"
    return f"{name}: {runs}{of}, {when} ({zone.key})"


def local(ms: int, zone: ZoneInfo) -> str:
    """Write a moment on a zone's clock, to the minute."""
    return f"{datetime.fromtimestamp(ms / 1000, zone):%Y-%m-%d %H:%M}"


def figures_table(found: Sequence[Figures], of: str = "Field", *, ascii_only: bool) -> Table:
    """Return fields' figures as a table for people; the unit is in each figure."""

    def read(value: Number | None, unit: str) -> str:
        return reading(value, unit, ascii_only=ascii_only)

    columns = (
        Column("field", of),
        Column("runs", "Runs", whole, is_figure=True, spare=2),
        Column("gaps", "Gaps", whole, is_figure=True, spare=1),
        Column("last", "Last", is_figure=True),
        Column("min", "Min", is_figure=True, grudged=2),
        Column("max", "Max", is_figure=True, grudged=1),
        Column("mean", "Mean", is_figure=True, grudged=3),
    )
    rows = [
        (
            *(one.field, one.runs, one.gaps),
            *(read(value, one.unit) for value in (one.last, one.min, one.max, one.mean)),
        )
        for one in found
    ]
    return Table(columns, rows)


def reading(value: Number | None, unit: str, *, ascii_only: bool = False) -> str:
    """Write one figure: times and bytes in a unit of their size, others plainly and in full."""
    if value is None:
        return "-"
    measure = measure_of(unit, abs(value) if is_scaled(unit) else 1.0, ascii_only=ascii_only)
    scaled = value / measure.divisor
    return measure.write(scaled, _decimals(scaled, is_money=unit == "USD"))


def _decimals(scaled: float, *, is_money: bool) -> int | None:
    """Return how many decimals make four digits; None where it takes powers of ten."""
    size = abs(scaled)
    if not _LEAST <= size < _MOST:
        return None
    if is_money:
        return 2 if size >= 1 else 4
    most = max(0, 3 - math.floor(math.log10(size)))
    return next(few for few in range(most + 1) if round(size, few) == round(size, most))


def series_table(told: Series) -> Table:
    """Return what is drawn as a table for programs: a row for each point."""
    columns = [
        Column("began_at", "Began"),
        Column("ended_at", "Ended"),
    ]
    cells: list[list[Any]] = [list(map(to_iso, told.began_ms)), list(map(to_iso, told.ended_ms))]
    for one in told.series:
        columns.append(Column(one.field, one.field))
        cells.append(list(one.values))
        if told.down_sampled:
            for name, values in (("min", one.min), ("max", one.max), ("count", one.count)):
                columns.append(Column(f"{one.field}:{name}", name))
                cells.append(list(values or []))
    return Table(tuple(columns), list(zip(*cells, strict=True)))


def older(left: Archive | None) -> str:
    """Say what is left of runs that are kept no more; "" where there are none."""
    if left is None or not left.runs or left.first_at is None or left.last_at is None:
        return ""
    when = f"{left.first_at[:10]} to {left.last_at[:10]}"
    return f"Older: {counted(left.runs, 'run')}, {when}, of which only counts are kept."


def document(told: Series, left: Archive | None = None) -> dict[str, Any]:
    """Return what is drawn for programs, with the figures of all the runs, and what is older."""
    names = ("runs", "failed", "first_at", "last_at")
    kept = None if left is None else {name: getattr(left, name) for name in names}
    return {
        **asdict(told),
        "figures": [asdict(one) for one in figures(told)],
        "archive": kept,
    }


def fields_table(found: TrackerFields) -> Table:
    """Return a tracker's numeric fields as a table."""
    columns = (
        Column("field", "Field"),
        Column("kind", "Measures", spare=2),
        Column("last", "Last", is_figure=True),
        Column("last_at", "In the run of", moment, copied=True, spare=1),
        Column("runs", "Runs", whole, is_figure=True),
        Column("charted", "Charted"),
    )
    rows = [
        (
            *(one.field, one.kind.value, reading(one.last, one.unit), one.last_at),
            *(one.runs, charted(one)),
        )
        for one in found.fields
    ]
    notes = (f"Of the latest {counted(found.runs, 'run')}.",)
    return Table(columns, rows, notes=notes, empty=NO_FIELDS)


def fields_for_programs(found: TrackerFields) -> Table:
    """Return the same for programs: every figure as it was sent."""
    names = ("field", "kind", "unit", "last", "last_at", "runs", "charted", "choice")
    rows = [
        (
            *(one.field, one.kind.value, one.unit, one.last, one.last_at, one.runs, charted(one)),
            None if one.choice is None else one.choice.value,
        )
        for one in found.fields
    ]
    return Table(tuple(Column(name, name) for name in names), rows)


def charted(one: NumericField) -> str:
    """Say whether a field is charted, and why."""
    if one.choice is not None:
        return one.choice.value
    return "yes" if one.charted else "no"
