"""`telemhq tracker chart --by project`: one field, a line for each project."""

from __future__ import annotations

import shlex
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents.contract.series import MOST_CHARTED
from telemhq_agents.errors import UsageError
from telemhq_cli.render import screen
from telemhq_cli.render.output import Form, say, show_csv, show_json, show_text
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import warn
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.resources import Tracker
    from telemhq_agents.contract.series import Series
    from telemhq_cli.commands.session import Session

MOST_LINES = 6
"""Projects of one chart: more lines cannot be told apart."""

NAMELESS = "(none)"


class Drawn(NamedTuple):
    """The series of the busiest projects that have a field, and the names of the other ones.

    `runs` were looked at, whether they have the field or not.
    """

    lines: list[tuple[str, Series]]
    others: list[str]
    runs: int


def one_field(wanted: Sequence[str], project: str | None) -> str:
    """Return the field to draw. Raises UsageError for none, several, or one project alone."""
    if project is not None:
        raise UsageError("--by and --project exclude each other; give one of them.")
    if len(wanted) != 1:
        raise UsageError("--by project draws one field.", "Name it: --field cost_usd")
    return wanted[0]


def asked(here: Session, tracker: Tracker, field: str, window: int, points: int | None) -> Drawn:
    """Ask for the series of the busiest projects that have the field."""
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    told = charting.breakdown(here.api, tracker.id, fields=[field], limit=window)
    there = [one.project for one in told.projects if one.fields[0].runs]
    found = [
        (
            name,
            charting.series(
                here.api, tracker.id, fields=[field], limit=window, project=name, width=points
            ),
        )
        for name in there[:MOST_LINES]
    ]
    return Drawn(found, there[MOST_LINES:], told.runs)


def show(tracker: Tracker, field: str, found: Drawn, zone: ZoneInfo, form: Form) -> None:
    """Show one field by project in one of its forms."""
    if found.others:
        warn(f"{len(found.others)} more projects are not drawn; --project NAME draws one.")
    match form:
        case Form.JSON:
            show_json(_document(tracker, field, found))
        case Form.CSV:
            show_csv(_table(found))
        case Form.TEXT if found.lines:
            _draw(tracker, field, found.lines, zone)
        case Form.TEXT:
            say(*_nothing(tracker, field, found.runs))


def _nothing(tracker: Tracker, field: str, runs: int) -> list[str]:
    """Say why there is nothing to draw, and what to do about that."""
    name = shlex.quote(tracker.name)
    if not runs:
        return [f"{tracker.name}: no runs", "", f"Next: telemhq ping {name} -- COMMAND"]
    chart = f"telemhq tracker chart {name} -f {shlex.quote(field)} --by project"
    return [
        f"{tracker.name}: none of the latest {counted(runs, 'run')} has {field}",
        "",
        f"Next: {chart} --window {MOST_CHARTED}",
    ]


def _draw(
    tracker: Tracker, field: str, found: Sequence[tuple[str, Series]], zone: ZoneInfo
) -> None:
    from telemhq_cli.commands.tracker_chart import draw_panel, panel_height  # noqa: PLC0415 - round
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.render.chart import Line  # noqa: PLC0415 - same

    window = max(told.window for _, told in found)
    heading = f"{tracker.name}: {field} by project, up to {window:,} runs of each ({zone.key})"
    say(*wrap(heading, screen.width()), "")
    lines = tuple(
        Line(name or NAMELESS, shown.points(told, told.series[0])) for name, told in found
    )
    title = "" if len(lines) > 1 else lines[0].name
    draw_panel(shown.Panel(title, found[0][1].series[0].unit, lines), zone, panel_height(1))
    figures = [replace(shown.figures(told)[0], field=name or NAMELESS) for name, told in found]
    say("")
    show_text(shown.figures_table(figures, "Project", ascii_only=screen.is_ascii()))


def _document(tracker: Tracker, field: str, found: Drawn) -> dict[str, Any]:
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help

    return {
        "schema": "telemhq.series-by-project/1",
        "tracker": tracker.id,
        "field": field,
        "projects": [shown.document(told) for _, told in found.lines],
    }


def _table(found: Drawn) -> Table:
    """Return every project's points as one table for programs."""
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help

    names = ("began_at", "ended_at", "value", "min", "max", "count")
    rows: list[tuple[Any, ...]] = []
    for project, told in found.lines:
        for row in shown.series_table(told).rows:
            cells = [*row, *([None] * (len(names) - len(row)))]
            rows.append((project, *cells))
    return Table((Column("project", ""), *(Column(name, "") for name in names)), rows)
