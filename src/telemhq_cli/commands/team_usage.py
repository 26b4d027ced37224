"""`telemhq team usage` and `team project`: a team as its managers see it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from telemhq_agents import clock
from telemhq_agents.errors import UsageError
from telemhq_cli.commands.options import (
    Ascii,
    AsCsv,
    AsJson,
    ProfileName,
    TeamName,
    Width,
    at_most_one,
)
from telemhq_cli.commands.usage_options import Since, Until, Zone  # noqa: TC001 - read by Typer
from telemhq_cli.render.output import Form, form_of, show_json, show_table

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.team_usage import TeamUsage
    from telemhq_cli.commands.session import Session

ProjectName = Annotated[str, typer.Argument(metavar="NAME", help="A project of the team.")]


class Period(NamedTuple):
    """Which time a report is about, as it was asked for."""

    since: str | None
    until: str | None
    timezone: str | None


def usage(  # noqa: PLR0917 - one for each option
    since: Since = None,
    until: Until = None,
    timezone: Zone = None,
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Report what every member used and keeps running.

    For managers and owners. Of this month, unless --since or --until say otherwise; revoked members
    count too.
    """
    del width, ascii_only  # they have told the screen
    at_most_one(json=as_json, csv=as_csv)
    from telemhq_cli.commands import session  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.render import team as shown  # noqa: PLC0415 - same

    with session.opened(profile, team) as here:
        zone, found = _asked(here, Period(since, until, timezone))
    form = form_of(as_json=as_json, as_csv=as_csv)
    match form:
        case Form.JSON:
            show_json(asdict(found))
        case Form.CSV:
            show_table(shown.usage_for_programs(found), form)
        case Form.TEXT:
            show_table(shown.usage_table(found, zone, clock.now_ms()), form)


def project(  # noqa: PLR0917 - one for each option
    name: ProjectName,
    since: Since = None,
    until: Until = None,
    timezone: Zone = None,
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Show who did how much for a project.

    For managers and owners. Of this month, unless --since or --until say otherwise; revoked members
    count too.
    """
    del width, ascii_only  # they have told the screen
    at_most_one(json=as_json, csv=as_csv)
    from telemhq_cli.commands import session  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.render import team as shown  # noqa: PLC0415 - same

    with session.opened(profile, team) as here:
        zone, found = _asked(here, Period(since, until, timezone), project=name)
        if not found.total.runs and not found.total.total_tokens:
            _refuse_unknown(here, name)
    form = form_of(as_json=as_json, as_csv=as_csv)
    match form:
        case Form.JSON:
            show_json(shown.project_document(found, name))
        case Form.CSV:
            show_table(shown.project_for_programs(found), form)
        case Form.TEXT:
            show_table(shown.project_table(found, name, zone), form)


def _asked(here: Session, period: Period, **filters: str) -> tuple[ZoneInfo, TeamUsage]:
    """Ask the server; days are those of `--timezone`, else the team's own."""
    from telemhq_agents.delivery.team_usage import team_usage  # noqa: PLC0415 - httpx: 90 ms
    from telemhq_agents.ledger.report import zone_of  # noqa: PLC0415 - not needed for --help

    zone = zone_of(period.timezone or here.account.timezone)
    query = window(period, zone, clock.now_ms()) | filters | {"timezone": zone.key}
    return zone, team_usage(here.api, here.account.id, query)


def window(asked: Period, zone: ZoneInfo, now_ms: int) -> dict[str, str]:
    """Return the ends of a report as a server reads them; this month where none was asked for."""
    from telemhq_cli.commands import period  # noqa: PLC0415 - not needed for --help

    if asked.since is None and asked.until is None:
        first = period.day_of(now_ms, zone).replace(day=1)
        return {"since": clock.to_iso(period.midnight(first, zone))}
    since = period.since_ms(asked.since, zone, now_ms)
    until = period.until_ms(asked.until, zone, now_ms)
    if since is not None and until is not None and since >= until:
        raise UsageError(
            f"No time lies between {asked.since} and {asked.until}.", "Put --since before --until."
        )
    ends = {"since": since, "until": until}
    return {name: clock.to_iso(ms) for name, ms in ends.items() if ms is not None}


def _refuse_unknown(here: Session, name: str) -> None:
    """Raise UsageError for a project that nobody ever worked for: it is a slip of the pen."""
    from telemhq_cli.commands.nearest import missed  # noqa: PLC0415 - for slips alone

    known = [row.keys[0] for row in here.usage(("project",), {"scope": "team"}).rows]
    if name not in known:
        raise UsageError(
            missed(f"There is no project {name!r} in {here.account.name}", name, known),
            "telemhq usage --team --by project",
        )
