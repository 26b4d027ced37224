"""`telemhq tracker chart`: numeric fields of a tracker's latest runs as lines."""

from __future__ import annotations

import shlex
import shutil
from enum import StrEnum
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.series import DEFAULT_CHARTED, MOST_CHARTED, MOST_FIELDS
from telemhq_agents.errors import NoSuchRouteError, UsageError
from telemhq_cli.commands import period, session, usage_options
from telemhq_cli.commands.options import (
    Ascii,
    AsCsv,
    AsJson,
    ProfileName,
    TrackerName,
    Width,
    at_most_one,
)
from telemhq_cli.render import screen
from telemhq_cli.render.output import (
    Form,
    form_of,
    say,
    show_csv,
    show_document,
    show_json,
    show_text,
)
from telemhq_cli.render.voice import warn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.resources import Tracker
    from telemhq_agents.contract.series import Archive, Series
    from telemhq_cli.commands.session import Session
    from telemhq_cli.render.series import Panel

LOOKED_AT = 1000
"""Runs whose fields are told where one that was asked for is not there; the most a server takes."""

USUAL_LINES = 24
FRAME_COLUMNS = 8
DOTS_PER_COLUMN = 2
LEAST_PANEL, TALLEST_PANEL = 9, 18
BESIDE_PANELS = 7
"""Lines of a screen: the heading, the table of figures, the prompt."""

Field = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        "-f",
        metavar="PATH",
        help="A numeric field, such as usage.cost_usd; repeatable. Else those that are charted.",
    ),
]
Window = Annotated[
    int,
    typer.Option("--window", metavar="RUNS", help="How many of the latest runs, up to 100000."),
]
OneProject = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="Only runs of this project.")
]


class Apart(StrEnum):
    """What the lines of one field may be told apart by."""

    PROJECT = "project"


def chart(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    field: Field = None,
    window: Window = DEFAULT_CHARTED,
    project: OneProject = None,
    by: Annotated[
        Apart | None, typer.Option("--by", help="One field, a line for each project.")
    ] = None,
    timezone: usage_options.Zone = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Draw numeric fields of a tracker's latest runs.

    A run without the field is a gap. Last, least, greatest and mean value are of all the runs.
    """
    del ascii_only
    at_most_one(json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    check_window(window)
    wanted = distinct(field)
    zone = period.zone_in_use(timezone)
    if by is not None:
        _by_project(tracker, wanted, window, project, zone, form, width, profile)
        return
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        told = _asked(here, found, wanted, window, project, _points(form, width))
        refuse_unknown_fields(here, found, wanted, told)
        if project is not None and not told.runs:
            refuse_unknown_project(here, found, project)
        left = None if project is not None else _older(here, found)
    _show(found, told, left, zone, form, window)


def _by_project(  # noqa: PLR0917 - as it was asked
    tracker: str,
    wanted: list[str],
    window: int,
    project: str | None,
    zone: ZoneInfo,
    form: Form,
    width: int | None,
    profile: str | None,
) -> None:
    from telemhq_cli.commands import tracker_chart_projects as projects  # noqa: PLC0415 - seldom

    field = projects.one_field(wanted, project)
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        drawn = projects.asked(here, found, field, window, _points(form, width))
        if not drawn.lines and drawn.runs:
            refuse_unnumbered(here, found, [field])
    projects.show(found, field, drawn, zone, form)


def check_window(window: int) -> None:
    """Raise UsageError for a number of runs that no chart can be of."""
    if not 1 <= window <= MOST_CHARTED:
        raise UsageError(f"--window must be 1 to {MOST_CHARTED}: {window} is not.")


def distinct(field: Sequence[str] | None) -> list[str]:
    """Return the fields that were named, each once. Raises UsageError for too many."""
    wanted = list(dict.fromkeys(field or ()))
    if len(wanted) > MOST_FIELDS:
        raise UsageError(f"{len(wanted)} fields are too many: give {MOST_FIELDS} at most.")
    return wanted


def refuse_unknown_fields(
    here: Session, tracker: Tracker, wanted: Sequence[str], told: Series
) -> None:
    """Raise UsageError for a field that no run of the window has, nor any other latest run."""
    empty = [one.field for one in told.series if not any(map(_is_there, one.values))]
    if told.runs:
        refuse_unnumbered(here, tracker, [field for field in wanted if field in empty])


def refuse_unnumbered(here: Session, tracker: Tracker, missing: Sequence[str]) -> None:
    """Raise UsageError for the first of these fields that none of the latest runs has."""
    if not missing:
        return
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    known = {one.field for one in charting.fields(here.api, tracker.id, runs=LOOKED_AT).fields}
    for field in missing:
        if field in known:
            continue
        from telemhq_cli.commands.nearest import missed  # noqa: PLC0415 - only where it is wrong

        raise UsageError(
            missed(f"No run of {tracker.name!r} has a number in {field!r}", field, known),
            f"telemhq tracker fields {shlex.quote(tracker.name)}",
        )


def refuse_unknown_project(here: Session, tracker: Tracker, project: str) -> None:
    """Raise UsageError for a project that no run names. An older server cannot tell."""
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms
    from telemhq_cli.commands.nearest import missed  # noqa: PLC0415 - only where it is wrong

    try:
        found = charting.breakdown(here.api, tracker.id, fields=(), limit=MOST_CHARTED)
    except NoSuchRouteError:
        return
    known = [one.project for one in found.projects]
    if project in known:
        return
    raise UsageError(
        missed(f"No run of {tracker.name!r} is of the project {project!r}", project, known),
        f"telemhq tracker breakdown {shlex.quote(tracker.name)}",
    )


def _is_there(value: object) -> bool:
    return value is not None


def _points(form: Form, width: int | None) -> int | None:
    """Return how many points to ask for; programs get every run unless they say how many."""
    if form is not Form.TEXT:
        return width
    return max(screen.width() - FRAME_COLUMNS, 1) * DOTS_PER_COLUMN


def _asked(  # noqa: PLR0917 - what the server is asked
    here: Session,
    tracker: Tracker,
    fields: Sequence[str],
    window: int,
    project: str | None,
    points: int | None,
) -> Series:
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    return charting.series(
        here.api, tracker.id, fields=fields, limit=window, project=project, width=points
    )


def _older(here: Session, tracker: Tracker) -> Archive | None:
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    return charting.archive(here.api, tracker.id)


def _show(  # noqa: PLR0917 - what is shown of what
    tracker: Tracker,
    told: Series,
    left: Archive | None,
    zone: ZoneInfo,
    form: Form,
    window: int,
) -> None:
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help

    if told.window < window:
        warn(f"the plan charts the latest {told.window:,} runs of a tracker.")
    match form:
        case Form.JSON:
            show_json(shown.document(told, left))
        case Form.CSV:
            show_csv(shown.series_table(told))
        case Form.TEXT:
            _draw(tracker, told, zone)
            say(*filter(None, [shown.older(left)]))


def _draw(tracker: Tracker, told: Series, zone: ZoneInfo) -> None:
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help

    say(*wrap(shown.heading(tracker.name, told, zone), screen.width()))
    if not told.runs:
        say("", f"Next: telemhq ping {shlex.quote(tracker.name)} -- COMMAND")
        return
    if not told.series:
        say("", f"No field is charted. Next: telemhq tracker fields {shlex.quote(tracker.name)}")
        return
    panels = shown.panels(told)
    height = panel_height(len(panels))
    for panel in panels:
        say("", *([panel.title] if panel.title else []))
        draw_panel(panel, zone, height)
    say("")
    show_text(shown.figures_table(shown.figures(told), ascii_only=screen.is_ascii()))
    if len(panels) > 1:
        say(*wrap(shown.APART, screen.width()))


def draw_panel(panel: Panel, zone: ZoneInfo, height: int) -> None:
    """Draw lines of one axis; a field that stands above them names what a plain figure is."""
    from telemhq_cli.render.axis import says_unit  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.render.chart import drawn  # noqa: PLC0415 - same

    unit = panel.unit if not panel.title or says_unit(panel.unit) else ""
    lines = drawn(panel.lines, zone=zone, unit=unit, width=screen.width(), height=height)
    show_document("".join(f"{line}\n" for line in lines))


def panel_height(panels: int) -> int:
    """Return how high each of some charts is, so that one or two fit a screen."""
    lines = USUAL_LINES
    if screen.is_terminal():
        lines = shutil.get_terminal_size((screen.USUAL_WIDTH, USUAL_LINES)).lines
    share = (lines - BESIDE_PANELS) // max(panels, 1) - 1
    return min(max(share, LEAST_PANEL), TALLEST_PANEL)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chart")(chart)
