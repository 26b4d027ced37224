"""`telemhq usage`: what was used, by whom, for what, at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.usage_report import GROUPS
from telemhq_agents.errors import UsageError
from telemhq_cli.commands import own_usage, watching
from telemhq_cli.commands import usage_options as asked
from telemhq_cli.commands import usage_parts as parts
from telemhq_cli.commands.options import Ascii, AsCsv, AsJson, ProfileName, Width, at_most_one
from telemhq_cli.commands.reporting import Scope, opened, scope_of
from telemhq_cli.render.output import form_of

if TYPE_CHECKING:
    from telemhq_cli.render.output import Form


By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar=asked.GROUP,
        help=f"Break down by {', '.join(GROUPS[:-1])} or {GROUPS[-1]}; repeatable, or with commas.",
    ),
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


Order = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="FIGURE|GROUP",
        help="By cost, tokens, runs and so on, largest first; -cost: smallest first.",
    ),
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="N", min=1, help="The first N rows; all others in one."),
]
Compare = Annotated[
    bool,
    typer.Option("--compare", help="Beside the time before, with the change (default: 7d)."),
]
COMPARED = "7d"
"""What is compared where nobody says it."""


def usage(  # noqa: PLR0917 - one for each option
    context: typer.Context,
    local: asked.Local = False,
    mine: asked.Mine = False,
    team_wide: asked.TeamWide = False,
    by: By = None,
    source: asked.OnlySource = None,
    member: asked.OnlyMember = None,
    project: asked.OnlyProject = None,
    model: asked.OnlyModel = None,
    tracker: asked.OnlyTracker = None,
    since: asked.Since = None,
    until: asked.Until = None,
    timezone: asked.Zone = None,
    compare: Compare = False,
    sort: Order = None,
    top: Top = None,
    account: asked.OtherAccount = None,
    reprice: Reprice = False,
    with_background: WithBackground = False,
    explain: Explain = None,
    watch: watching.Watch = False,
    interval: watching.Interval = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Report runs, tokens, cost and failures."""
    once = {**locals(), "watch": False, "interval": None}
    given = _given(context)
    if context.invoked_subcommand is not None:
        _refuse(given, f"Give it after {context.invoked_subcommand}.")
        return
    at_most_one(json=as_json, csv=as_csv, watch=watch)
    if watch or interval is not None:
        watching.again(lambda: usage(**once), interval, at_server=mine or team_wide)
        return
    form = form_of(as_json=as_json, as_csv=as_csv)
    if explain is not None:
        _explain(explain, form, given)
        return
    groups = asked.groups_of(by)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    if compare and since is None:
        since = _compared_since(until)
    filters = asked.filters_of(source, since, until, timezone, member, project, model, tracker)
    if reprice or with_background:
        _check_own(scope, given)
        with opened(scope, filters, account=account, profile=profile) as found:
            show = own_usage.show_repriced if reprice else own_usage.show_with_background
            show(found, groups, form)
        return
    from telemhq_cli.commands import usage_showing  # noqa: PLC0415 - not needed for --help

    wanted = usage_showing.Wanted(groups, form, sort, top, is_compared=compare)
    with opened(scope, filters, account=account, profile=profile) as found:
        usage_showing.show(found, wanted)


def _given(context: typer.Context) -> dict[str, str]:
    """Return the options on the command line, by their parameters' names, as they are written."""
    return {
        str(one.name): one.opts[0]
        for one in context.command.params
        if getattr(context.get_parameter_source(str(one.name)), "name", "") == "COMMANDLINE"
    }


def _refuse(options: dict[str, str], why: str) -> None:
    if options:
        first = next(iter(options.values()))
        raise UsageError(f"{first} does not belong here.", why)


def _explain(session_id: str, form: Form, given: dict[str, str]) -> None:
    others = given.keys() - {"explain", "as_json", "as_csv", "local", "width", "ascii_only"}
    if others:
        raise UsageError("--explain goes with --json and --csv alone.")
    if not session_id:
        raise UsageError(
            "Explain which session? An empty id begins every one.", "telemhq usage sessions"
        )
    from telemhq_cli.commands import explain  # noqa: PLC0415 - for this alone

    explain.show(session_id, form)


def _check_own(scope: Scope, given: dict[str, str]) -> None:
    """Raise UsageError for what does not go with the reports that this machine alone can make."""
    own = [given[name] for name in ("reprice", "with_background") if name in given]
    if len(own) > 1:
        raise UsageError(f"{' and '.join(own)} exclude each other; give one of them.")
    if scope is not Scope.LOCAL:
        raise UsageError(f"{own[0]} is about this machine's ledger; it goes with --local alone.")
    for name in ("compare", "sort", "top"):
        if name in given:
            raise UsageError(f"{given[name]} does not go with {own[0]}.")


def _compared_since(until: str | None) -> str:
    if until is not None:
        raise UsageError(
            "--compare needs to know where the time begins.", "Give --since with --until."
        )
    return COMPARED


app = typer.Typer(invoke_without_command=True, callback=usage)
for _name, _command in parts.COMMANDS.items():
    app.command(_name)(_command)
