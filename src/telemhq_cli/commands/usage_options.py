"""Options of every command that reports usage: whose, of what time, of which agent and model."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_agents.contract.usage_report import GROUPS
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands.reporting import Filters

Local = Annotated[
    bool, typer.Option("--local", help="This machine's logs; needs no server (the default).")
]
Mine = Annotated[bool, typer.Option("--mine", help="Yours, as the server has it.")]
TeamWide = Annotated[
    bool, typer.Option("--team", help="The whole team's; for managers and owners.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="From here on: 7d, 24h, monday, a date or a time."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="Up to here; a day counts whole."),
]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="Whose days: an IANA name."),
]
OnlySource = Annotated[Source | None, typer.Option("--source", help="Only what this agent used.")]
OnlyMember = Annotated[
    list[str] | None,
    typer.Option("--member", metavar="EMAIL", help="Only this member's; repeatable."),
]
OnlyProject = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="NAME", help="Only this project; repeatable."),
]
OnlyModel = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="Only this model; repeatable."),
]
OnlyTracker = Annotated[
    list[str] | None,
    typer.Option("--tracker", metavar="NAME|ID", help="Only this tracker; repeatable."),
]
OtherAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME|ID", help="Another team than the one in use."),
]

GROUP = "GROUP"
"""What `--by` takes, in a help text; completion knows it by this."""


def groups_of(by: list[str] | None) -> tuple[str, ...]:
    """Return what `--by` names, given more than once or with commas.

    Raises UsageError for what is no group, and for one that is given twice.
    """
    groups = tuple(name.strip() for given in by or () for name in given.split(","))
    for name in groups:
        if name not in GROUPS:
            from telemhq_agents.nearest import did_you_mean  # noqa: PLC0415 - for a slip alone

            hint = did_you_mean(name, GROUPS)
            raise UsageError(f"Unknown group {name!r}: one of {', '.join(GROUPS)}{hint}")
        if groups.count(name) > 1:
            raise UsageError(f"--by {name} is given twice.")
    return groups


def filters_of(  # noqa: PLR0917 - one for each option
    source: Source | None = None,
    since: str | None = None,
    until: str | None = None,
    timezone: str | None = None,
    member: list[str] | None = None,
    project: list[str] | None = None,
    model: list[str] | None = None,
    tracker: list[str] | None = None,
) -> Filters:
    """Return what the options say a report is about; members by their e-mail in lower case."""
    members = [one.strip().lower() for one in member or ()]
    named = (tuple(given or ()) for given in (members, project, model, tracker))
    return Filters(source, since, until, timezone, *named)
