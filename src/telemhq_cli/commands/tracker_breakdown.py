"""`telemhq tracker breakdown`: which project a tracker's runs, tokens, spend and fields are of."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import clock
from telemhq_agents.contract.series import MOST_CHARTED
from telemhq_agents.errors import UsageError
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
from telemhq_cli.commands.tracker_chart import (
    check_window,
    distinct,
    refuse_unnumbered,
)
from telemhq_cli.render.output import Form, form_of, say, show_csv, show_json, show_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.breakdown import Breakdown
    from telemhq_agents.contract.resources import Tracker
    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_cli.commands.session import Session


class By(StrEnum):
    """What a tracker's runs are told apart by."""

    PROJECT = "project"
    MODEL = "model"
    SOURCE = "source"


def breakdown(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    by: Annotated[By, typer.Option("--by", help="What to tell apart.")] = By.PROJECT,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            "-f",
            metavar="PATH",
            help="Add up this numeric field by project; repeatable.",
        ),
    ] = None,
    window: Annotated[
        int,
        typer.Option("--window", metavar="RUNS", help="How many of the latest runs fields are of."),
    ] = MOST_CHARTED,
    since: usage_options.Since = None,
    until: usage_options.Until = None,
    timezone: usage_options.Zone = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Show a tracker's runs, tokens, spend and fields by project.

    Usage is of all time unless told otherwise; fields are of the latest runs.
    """
    del width, ascii_only
    at_most_one(json=as_json, csv=as_csv)
    check_window(window)
    wanted = distinct(field)
    if wanted and by is not By.PROJECT:
        raise UsageError(f"Fields are added up by project: leave out --by {by} or --field.")
    zone = period.zone_in_use(timezone)
    about = _window(since, until, zone)
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        report = _usage(here, found, by, about)
        told = _fields(here, found, wanted, window) if wanted else None
    about = {"tracker": found.id, "name": found.name, "by": by.value, **about}
    form = form_of(as_json=as_json, as_csv=as_csv)
    _show(found, report, told, about, form)


def _window(since: str | None, until: str | None, zone: ZoneInfo) -> dict[str, Any]:
    now = clock.now_ms()
    ends = {
        "since": period.since_ms(since, zone, now),
        "until": period.until_ms(until, zone, now),
    }
    return {
        **{name: None if ms is None else clock.to_iso(ms) for name, ms in ends.items()},
        "timezone": zone.key,
    }


def _usage(here: Session, tracker: Tracker, by: By, about: dict[str, Any]) -> UsageReport:
    """Ask for the tracker's sums: as your own, else as whoever may see the team's."""
    is_mine = tracker.owner == here.me.email
    given = {name: text for name, text in about.items() if text is not None}
    query = {**given, "scope": "mine" if is_mine else "team", "tracker": tracker.id}
    return here.usage((by.value,), query)


def _fields(here: Session, tracker: Tracker, wanted: list[str], window: int) -> Breakdown:
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    told = charting.breakdown(here.api, tracker.id, fields=wanted, limit=window)
    there = {sums.field for one in told.projects for sums in one.fields if sums.runs}
    missing = [field for field in wanted if field not in there]
    if told.runs:
        refuse_unnumbered(here, tracker, missing)
    return told


def _show(
    tracker: Tracker,
    report: UsageReport,
    told: Breakdown | None,
    about: dict[str, Any],
    form: Form,
) -> None:
    from telemhq_cli.render import breakdown as shown  # noqa: PLC0415 - not needed for --help

    match form:
        case Form.JSON:
            show_json(shown.document(report, told, about))
        case Form.CSV:
            show_csv(shown.flat_table(report, told))
        case Form.TEXT:
            title = f"{tracker.name} by {about['by']}, {_when(about)}"
            tables = [] if told is None else shown.field_tables(told)
            show_text(shown.usage_table(report, title), *tables)
            if told is None:
                name = shlex.quote(tracker.name)
                say("", f"Any numeric field too: telemhq tracker breakdown {name} -f FIELD")


def _when(about: dict[str, Any]) -> str:
    from telemhq_cli.render.words import moment  # noqa: PLC0415 - not needed for --help

    since, until = moment(about["since"]), moment(about["until"])
    if not since and not until:
        return "all time"
    return " ".join([*(["from", since] if since else []), *(["until", until] if until else [])])


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("breakdown")(breakdown)
