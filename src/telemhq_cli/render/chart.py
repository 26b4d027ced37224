"""Line charts, through plotext: as wide as asked for, in colour or not, in ASCII where need be."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from telemhq_cli.render import screen
from telemhq_cli.render.axis import says_unit, time_axis, value_axis
from telemhq_cli.render.cells import columns, cut, still

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from telemhq_cli.render.axis import Axis

Point = tuple[float, float | None]
NOTHING = "No values to draw."
LEAST_HEIGHT, LEAST_WIDTH = 5, 20
BRAILLE, DOT = "braille", "•"
_COLOURS = (6, 3, 5, 2, 4, 1)
"""Of the terminal's own sixteen, so that they suit its background."""

_LINES = (BRAILLE, DOT, "+", "o", "x", "#", "*", "=")
_ASCII_LINES = ("*", "+", "o", "x", "#", "=", "@", "%")
_AREAS = ("█", "▓", "▒", "░", "=", "+", "-", ".")
_ASCII_AREAS = ("#", "=", "+", "o", "-", "x", ":", ".")
_FRAME = str.maketrans("│┤├┼─┬┴└┘┌┐", "|+++-++++++")
_PAINT = re.compile(r"\x1b\[[0-9;]*m")
_PER_TICK = 14
"""Columns that a time needs on its axis."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points of seconds since 1970 UTC and a value; None is a gap, never zero."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class _Brush:
    """What a line is drawn with; no colour is None."""

    marker: str
    colour: int | None

    def shown(self) -> str:
        """Return it as a legend shows it."""
        mark = "⠤⠤" if self.marker == BRAILLE else self.marker * 2
        return mark if self.colour is None else f"\x1b[38;5;{self.colour}m{mark}\x1b[0m"


def drawn(
    lines: Sequence[Line],
    *,
    zone: ZoneInfo,
    unit: str = "",
    stacked: bool = False,
    width: int,
    height: int,
) -> list[str]:
    """Draw lines in one chart: `height` lines at most `width` columns wide, a legend included.

    Times are those of `zone`, values in `unit` ("USD", "ms", "tokens" …). `stacked` puts each line
    on those before it, as areas. Gaps stay gaps; what is no finite number is one.
    """
    width, height = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
    clean = [Line(line.name, _clean(line.points)) for line in lines]
    if not any(y is not None for line in clean for _, y in line.points):
        return [NOTHING]
    brushes = _brushes(len(clean), stacked=stacked)
    heading = _legend(clean, brushes, unit, width)
    room = max(height - len(heading), LEAST_HEIGHT)
    shown = _stacked(clean) if stacked else clean
    down, across = _axes(shown, unit, zone, width, room, stacked=stacked)
    order = list(zip(shown, brushes, strict=True))
    canvas = _rasterised(order[::-1] if stacked else order, down, across, (width, room), stacked)
    return [*heading, *canvas]


def _clean(points: Sequence[Point]) -> list[Point]:
    found = [(float(x), _finite(y)) for x, y in points if math.isfinite(x)]
    return sorted(found, key=lambda point: point[0])


def _finite(value: float | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number that no chart can hold
        return None
    return number if math.isfinite(number) else None


def _brushes(count: int, *, stacked: bool) -> list[_Brush]:
    in_ascii, in_colour = screen.is_ascii(), screen.has_colour()
    if stacked:
        markers = _ASCII_AREAS if in_ascii else _AREAS
    else:
        markers = _ASCII_LINES if in_ascii else _LINES
    if not in_colour:
        return [_Brush(markers[at % len(markers)], None) for at in range(count)]
    turns = len(_COLOURS)
    return [
        _Brush(markers[at // turns % len(markers)], _COLOURS[at % turns]) for at in range(count)
    ]


def _stacked(lines: Sequence[Line]) -> list[Line]:
    """Put each line on those before it; a gap adds nothing, and where all are gaps one stays.

    Where a line adds nothing for a while, and another does, it is a gap too: drawn on the axis, it
    would stand for what it isn't.
    """
    moments = sorted({x for line in lines for x, _ in line.points})
    known = [dict(line.points) for line in lines]
    there = {x for values in known for x, y in values.items() if y is not None}
    sums = dict.fromkeys(moments, 0.0)
    is_flat = not any(y for values in known for y in values.values())
    result = []
    for line, values in zip(lines, known, strict=True):
        added = [values.get(x) or 0.0 for x in moments]
        points = []
        for at, x in enumerate(moments):
            sums[x] += added[at]
            is_seen = x in there and (is_flat or any(added[max(at - 1, 0) : at + 2]))
            points.append((x, _finite(sums[x]) if is_seen else None))
        result.append(replace(line, points=points))
    return result


def _axes(
    lines: Sequence[Line], unit: str, zone: ZoneInfo, width: int, height: int, *, stacked: bool
) -> tuple[Axis, Axis]:
    values = [y for line in lines for _, y in line.points if y is not None]
    moments = [x for line in lines for x, _ in line.points]
    ticks = max(2, min(6, (height - 2) // 2))
    down = value_axis(values, unit, ticks=ticks, zero=stacked, ascii_only=screen.is_ascii())
    return down, time_axis(moments, zone, ticks=max(2, width // _PER_TICK))


def _rasterised(
    order: Sequence[tuple[Line, _Brush]],
    down: Axis,
    across: Axis,
    size: tuple[int, int],
    filled: bool,
) -> list[str]:
    with _figure(*size) as figure:
        figure.xticks(*_split(across))
        figure.yticks(*_split(down))
        for line, brush in order:
            for run in _runs(line.points):
                near = _thinned([(across.place(x), down.place(y)) for x, y in run], 2 * size[0])
                alone = len(near) == 1 and brush.marker == BRAILLE
                figure.plot(
                    [x for x, _ in near],
                    [y for _, y in near],
                    marker=DOT if alone else brush.marker,
                    color=brush.colour,
                    fillx=down.place(0.0) if filled else None,
                )
        text = figure.build()
    return [_line(row) for row in text.rstrip("\n").split("\n")]


@contextmanager
def _figure(width: int, height: int) -> Iterator[Any]:
    """Open plotext's one figure, empty, and leave it so."""
    import plotext  # type: ignore[import-untyped]  # noqa: PLC0415 - 80 ms

    plotext.clear_figure()
    try:
        plotext.limit_size(False, False)  # noqa: FBT003 - plotext's own
        plotext.plot_size(width, height)
        for paint in (plotext.canvas_color, plotext.axes_color, plotext.ticks_color):
            paint("default")
        plotext.xaxes(True, False)  # noqa: FBT003 - lower, upper
        plotext.yaxes(True, False)  # noqa: FBT003 - left, right
        plotext.xlim(0, 1)
        plotext.ylim(0, 1)
        yield plotext
    finally:
        plotext.clear_figure()


def _split(axis: Axis) -> tuple[list[float], list[str]]:
    return [place for place, _ in axis.ticks], [label for _, label in axis.ticks]


def _runs(points: Sequence[Point]) -> Iterator[list[tuple[float, float]]]:
    """Yield the points between gaps."""
    for is_there, run in groupby(points, key=lambda point: point[1] is not None):
        if is_there:
            yield [(x, y) for x, y in run if y is not None]


def _thinned(points: list[tuple[float, float]], columns: int) -> list[tuple[float, float]]:
    """Keep of each column the first and last point and the extremes: the picture is the same."""
    if len(points) <= 4 * columns:
        return points
    kept = []
    for _, group in groupby(points, key=lambda point: int(point[0] * (columns - 1) + 0.5)):
        column = list(group)
        heights = [y for _, y in column]
        places = {0, len(column) - 1, heights.index(min(heights)), heights.index(max(heights))}
        kept += [column[place] for place in sorted(places)]
    return kept


def _line(row: str) -> str:
    """Return plotext's row in no colour, and with a frame in ASCII, where that is wanted."""
    row = row if screen.has_colour() else _PAINT.sub("", row).rstrip()
    return row.translate(_FRAME) if screen.is_ascii() else row


def _legend(lines: Sequence[Line], brushes: Sequence[_Brush], unit: str, width: int) -> list[str]:
    """Name the unit, where the figures don't, and the lines, where there are several."""
    entries = [] if says_unit(unit) else [(unit, unit)]
    if len(lines) > 1:
        for line, brush in zip(lines, brushes, strict=True):
            name = cut(_plain(still(line.name)), width - 3)
            entries.append((f"{brush.shown()} {name}", f"xx {name}"))
    rows: list[str] = []
    left = 0
    for text, bare in entries:
        needed = columns(bare)
        if rows and needed + 3 <= left:
            rows[-1] += f"   {text}"
            left -= needed + 3
        else:
            rows.append(text)
            left = width - needed
    return rows


def _plain(name: str) -> str:
    return name.encode("ascii", "replace").decode() if screen.is_ascii() else name
