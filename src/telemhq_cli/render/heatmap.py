"""Usage by weekday and hour: seven rows of twenty-four shades."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from telemhq_cli.render import screen
from telemhq_cli.render.measure import Measure, figure, key, raw, short
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.usage_report import UsageReport

SCHEMA = "telemhq.heatmap/1"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS = range(24)
BLOCKS, ASCII = "░▒▓█", ".:-=+*#"
COLOURS = (22, 28, 34, 40, 82)
"""Of the 256 that terminals share: greens, from dark to bright."""

_MARKED = 3
"""Hours from one mark above the picture to the next."""

_LABEL, _SUM = 5, 10
_WIDE = 100
"""From so many columns on an hour takes three of them, else two, where there is room for those."""

Cell = tuple[int, int]
"""Weekday (Monday is 0) and hour, as local clocks show them."""


@dataclass(frozen=True, slots=True)
class Heat:
    """The sums of each weekday's hours over a time; all 168 are there, and `total` is their sum.

    `about` says whose they are, of what time, in which zone.
    """

    of: Measure
    cells: Mapping[Cell, int]
    total: int
    about: str
    zone: str

    def busiest(self) -> Cell | None:
        """Return the cell with the most, the earliest of equals; None where nothing was used."""
        most = max(self.cells, key=lambda cell: (self.cells[cell], -cell[0], -cell[1]))
        return most if self.cells[most] > 0 else None


def heat_of(report: UsageReport, of: Measure, *, about: str, zone: str) -> Heat:
    """Gather a report by hour: both hours that a clock shows twice in autumn lie in one cell."""
    at = report.group_by.index("hour")
    cells = {(weekday, hour): 0 for weekday in range(len(WEEKDAYS)) for hour in HOURS}
    for row in report.rows:
        day, _, clock = row.keys[at].partition("T")
        cells[date.fromisoformat(day).weekday(), int(clock[:2])] += figure(row.amounts, of)
    return Heat(of, cells, figure(report.total, of), about, zone)


def document(heat: Heat) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.heatmap/1`."""
    found = table(heat).records()
    most = heat.busiest()
    return {
        "schema": SCHEMA,
        "of": key(heat.of),
        "timezone": heat.zone,
        "cells": found,
        "total": raw(heat.total, heat.of),
        "busiest": None if most is None else found[most[0] * len(HOURS) + most[1]],
    }


def table(heat: Heat) -> Table:
    """Return the 168 cells as rows, Monday's first hour first."""
    columns = (Column("weekday", "Weekday"), Column("hour", "Hour"), Column(key(heat.of), "Sum"))
    rows = [
        (WEEKDAYS[weekday].lower(), hour, raw(value, heat.of))
        for (weekday, hour), value in heat.cells.items()
    ]
    return Table(columns, rows)


def show(heat: Heat, notes: Sequence[str] = ()) -> None:
    """Print the picture: shades in colour, blocks without, punctuation in ASCII."""
    sys.stdout.write("".join(f"{line}\n" for line in drawn(heat, notes)))


def drawn(heat: Heat, notes: Sequence[str] = ()) -> list[str]:
    """Return the picture's lines, at most as wide as the screen."""
    width = screen.width()
    wide = _wide(width)
    paints = _paints()
    bounds = _bounds(max(heat.cells.values()), len(paints))
    gap = " " * _LABEL
    title = wrap(_title(heat), width)
    lines = [*title, "", f"{gap}{_marks(wide)}  {heat.of.value.capitalize():>8}"]
    for weekday, name in enumerate(WEEKDAYS):
        values = [heat.cells[weekday, hour] for hour in HOURS]
        shades = "".join(_cell(value, bounds, paints, wide) for value in values)
        lines.append(f"{name[:3]:<{_LABEL}}{shades}  {short(sum(values), heat.of):>8}")
    lines.append(f"{gap}{' ' * wide * len(HOURS)}  {short(heat.total, heat.of):>8}")
    told = [line for note in notes for line in wrap(visible(note), width, break_on_hyphens=False)]
    return [*lines, "", *_legend(heat, bounds, paints, width), *told]


def _wide(width: int) -> int:
    if width >= _WIDE:
        return 3
    return 2 if width >= _LABEL + 2 * len(HOURS) + _SUM else 1


def _title(heat: Heat) -> str:
    named = f"{heat.of.value.capitalize()} by weekday and hour: {heat.about}"
    return visible(named)


def _paints() -> list[str]:
    """Return what cells are filled with, from the least to the most: a letter, or a colour."""
    if screen.is_ascii():
        return list(ASCII)
    if screen.has_colour():
        return [f"\x1b[48;5;{colour}m" for colour in COLOURS]
    return list(BLOCKS)


def _bounds(most: int, count: int) -> list[int]:
    """Return up to what each shade goes: in squares, so that quiet hours differ too."""
    return [max(most, 0) * step * step // (count * count) for step in range(1, count + 1)]


def _cell(value: int, bounds: Sequence[int], paints: Sequence[str], wide: int) -> str:
    if value <= 0:
        return f"{' ' * (wide - 1)}{' ' if screen.is_ascii() else '·'}"
    shade = next(at for at, bound in enumerate(bounds) if value <= bound)
    return _filled(paints[shade], wide)


def _filled(paint: str, wide: int) -> str:
    return paint * wide if len(paint) == 1 else f"{paint}{' ' * wide}\x1b[0m"


def _marks(wide: int) -> str:
    return "".join(f"{hour:02d}".ljust(wide * _MARKED) for hour in HOURS[::_MARKED])


def _legend(heat: Heat, bounds: Sequence[int], paints: Sequence[str], width: int) -> list[str]:
    most = heat.busiest()
    if most is None:
        return [f"No {heat.of.value} in this period."]
    shades: dict[int, str] = {}
    for bound, paint in zip(bounds, paints, strict=True):
        if bound > 0:  # the first of equals is the one that cells get
            shades.setdefault(bound, paint)
    weekday, hour = most
    busiest = f"Busiest: {WEEKDAYS[weekday]}, {hour:02d}:00 to {hour + 1:02d}:00"
    said = wrap(f"{busiest}: {short(heat.cells[most], heat.of)}.", width)
    return [
        *_up_to({short(bound, heat.of): paint for bound, paint in shades.items()}, width),
        *said,
    ]


def _up_to(shades: Mapping[str, str], width: int) -> list[str]:
    """Name the shades, in as many lines as they take: colours are no columns."""
    lines, taken = ["Up to: "], len("Up to: ")
    for at, (bound, paint) in enumerate(shades.items()):
        long = len(f"## {bound}  ")
        if at and taken + long - 2 > width:
            lines.append("")
            taken = 0
        lines[-1] += f"{_filled(paint, 2)} {bound}  "
        taken += long
    return [line.rstrip() for line in lines]
