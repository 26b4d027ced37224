"""`telemhq usage`: what was used, by whom, for what, at what cost."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, at_most_one
from telemhq_cli.commands.own_usage import DEFAULT_GROUPS, Filters, show, show_own
from telemhq_cli.render import usage as shown
from telemhq_cli.render.output import Form, form_of, show_text

if TYPE_CHECKING:
    from telemhq_agents.contract.usage_report import UsageReport


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


DEFAULT_TEAM_GROUPS = (Group.MEMBER.value, *DEFAULT_GROUPS)


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
Reprice = Annotated[
    bool, typer.Option("--reprice", help="What today's prices would make of it; changes nothing.")
]
WithBackground = Annotated[
    bool,
    typer.Option(
        "--with-background",
        help="Beside it: what sessions used in the background (compaction, titles).",
    ),
]
Explain = Annotated[
    str | None,
    typer.Option(
        "--explain", metavar="SESSION", help="What was counted of a session, line by line, and why."
    ),
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
    reprice: Reprice = False,
    with_background: WithBackground = False,
    explain: Explain = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Report runs, tokens, cost and failures."""
    at_most_one(local=local, mine=mine, team=team_wide)
    at_most_one(json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    groups = _groups(by)
    if explain is not None:
        narrowed = (by, source, since, until, timezone)
        if mine or team_wide or reprice or with_background or any(narrowed):
            raise UsageError("--explain goes with --json and --csv alone.")
        from telemhq_cli.commands import explain as explaining  # noqa: PLC0415 - for this alone

        explaining.show(explain, form)
        return
    if not (mine or team_wide):
        if account or profile:
            raise UsageError("--account and --profile need --mine or --team.")
        at_most_one(reprice=reprice, with_background=with_background)
        filters = Filters(source, since, until, timezone)
        show_own(groups, form, filters, reprice=reprice, with_background=with_background)
        return
    for option, asked in (("--reprice", reprice), ("--with-background", with_background)):
        if asked:
            raise UsageError(
                f"{option} is about this machine's ledger; it goes with --local alone."
            )
    from telemhq_cli.commands import session  # noqa: PLC0415 - credentials, for servers alone

    with session.opened(profile, account) as here:
        filters = Filters(source, since, until, timezone)
        query = {**filters.as_query(), "scope": "team" if team_wide else "mine"}

        def report(group_by: tuple[str, ...]) -> UsageReport:
            return here.usage(group_by, query)

        default = DEFAULT_TEAM_GROUPS if team_wide else DEFAULT_GROUPS
        if groups or form is not Form.TEXT:
            show(report, groups or default, form, shown.sent_without_cost)
        elif team_wide:
            _show_team(report, here.account.name)
        else:
            show(report, default, form, shown.sent_without_cost)


def _groups(by: list[Group] | None) -> tuple[str, ...]:
    groups = tuple(group.value for group in by or ())
    repeated = [name for name in groups if groups.count(name) > 1]
    if repeated:
        raise UsageError(f"--by {repeated[0]} is given twice.")
    return groups


def _show_team(report: shown.Report, team: str) -> None:
    tables = [
        shown.with_notes(
            report, report((group,)), shown.sent_without_cost, title=f"{team}, by {group}"
        )
        for group in (Group.MEMBER.value, Group.PROJECT.value, Group.MODEL.value)
    ]
    show_text(*tables)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("usage")(usage)
