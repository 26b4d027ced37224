"""`telemhq usage`: what was used, by whom, for what, at what cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.usage_report import UsageReport, as_json
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import period, scanning, session
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, at_most_one
from telemhq_cli.render import usage as shown
from telemhq_cli.render.output import Form, form_of, show_json, show_table, show_text

if TYPE_CHECKING:
    from telemhq_cli.render.table import Table


class Group(StrEnum):
    """What a report can be broken down by."""

    DAY = "day"
    HOUR = "hour"
    MODEL = "model"
    PROJECT = "project"
    MEMBER = "member"
    SESSION = "session"
    THREAD = "thread"
    SOURCE = "source"
    TRACKER = "tracker"


DEFAULT_GROUPS = (Group.PROJECT, Group.MODEL)
Report = Callable[[tuple[str, ...]], UsageReport]
Footnote = Callable[[UsageReport], str]
"""Says, from a report by model, what its total leaves out."""
DEFAULT_TEAM_GROUPS = (Group.MEMBER, Group.PROJECT, Group.MODEL)


Local = Annotated[
    bool, typer.Option("--local", help="This machine's logs; needs no server (the default).")
]
Mine = Annotated[bool, typer.Option("--mine", help="Yours, as the server has it.")]
TeamWide = Annotated[
    bool, typer.Option("--team", help="The whole team's; for managers and owners.")
]
By = Annotated[list[Group] | None, typer.Option("--by", help="Break down by this; repeatable.")]
OnlySource = Annotated[Source | None, typer.Option("--source", help="Only what this agent used.")]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE|TIME", help="From here on.")]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE|TIME", help="Up to here; a date counts whole."),
]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="Whose days: an IANA name."),
]
OtherAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME|ID", help="Another team than the one in use."),
]


def usage(  # noqa: PLR0917 - one for each option
    local: Local = False,
    mine: Mine = False,
    team_wide: TeamWide = False,
    by: By = None,
    source: OnlySource = None,
    since: Since = None,
    until: Until = None,
    timezone: Zone = None,
    account: OtherAccount = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Report runs, tokens, cost and failures."""
    at_most_one(local=local, mine=mine, team=team_wide)
    at_most_one(json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    groups = tuple(group.value for group in by or ())
    repeated = [name for name in groups if groups.count(name) > 1]
    if repeated:
        raise UsageError(f"--by {repeated[0]} is given twice.")
    if not (mine or team_wide):
        if account or profile:
            raise UsageError("--account and --profile need --mine or --team.")
        _show_local(groups, form, Filters(source, since, until, timezone))
        return
    with session.opened(profile, account) as here:
        filters = Filters(source, since, until, timezone)
        query = {**filters.as_query(), "scope": "team" if team_wide else "mine"}

        def report(group_by: tuple[str, ...]) -> UsageReport:
            return here.usage(group_by, query)

        default = DEFAULT_TEAM_GROUPS if team_wide else DEFAULT_GROUPS
        if groups or form is not Form.TEXT:
            _show(report, groups or default, form, shown.sent_without_cost)
        elif team_wide:
            _show_team(report, here.account.name)
        else:
            _show(report, default, form, shown.sent_without_cost)


@dataclass(frozen=True, slots=True)
class Filters:
    """What of all usage a report is about."""

    source: Source | None
    since: str | None
    until: str | None
    timezone: str | None

    def as_query(self) -> dict[str, str]:
        """Return the filters as the server's query parameters."""
        given = {
            "source": self.source.value if self.source else None,
            "since": self.since,
            "until": self.until,
            "timezone": self.timezone,
        }
        return {name: value for name, value in given.items() if value is not None}


def _show_local(groups: tuple[str, ...], form: Form, filters: Filters) -> None:
    zone = period.zone_in_use(filters.timezone)
    since_ms = period.since_ms(filters.since, zone)
    until_ms = period.until_ms(filters.until, zone)
    sources = tuple(Source) if filters.source is None else (filters.source,)
    with scanning.read_logs(sources) as ledger:

        def report(group_by: tuple[str, ...]) -> UsageReport:
            return ledger.usage(
                group_by,
                since_ms=since_ms,
                until_ms=until_ms,
                timezone=zone.key,
                source=filters.source,
            )

        empty = shown.nothing_in(scanning.places(sources))
        _show(report, groups or DEFAULT_GROUPS, form, shown.without_price, empty)


def _show(
    report: Report, groups: tuple[str, ...], form: Form, told: Footnote, empty: str = shown.NO_USAGE
) -> None:
    asked = report(tuple(str(group) for group in groups))
    match form:
        case Form.JSON:
            show_json(as_json(asked))
        case Form.CSV:
            show_table(shown.for_programs(asked), form)
        case Form.TEXT:
            show_text(_table(report, asked, told, empty=empty))


def _show_team(report: Report, team: str) -> None:
    tables = [
        _table(report, report((group,)), shown.sent_without_cost, title=f"{team}, by {group}")
        for group in (Group.MEMBER.value, Group.PROJECT.value, Group.MODEL.value)
    ]
    show_text(*tables)


def _table(
    report: Report,
    asked: UsageReport,
    told: Footnote,
    *,
    title: str = "",
    empty: str = shown.NO_USAGE,
) -> Table:
    notes: tuple[str, ...] = ()
    if asked.total.unpriced_tokens:
        model = Group.MODEL.value
        notes = (told(asked if model in asked.group_by else report((model,))),)
    return shown.for_people(asked, title=title, notes=notes, empty=empty)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("usage")(usage)
