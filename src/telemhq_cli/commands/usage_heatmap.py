"""`telemhq usage heatmap`: which hours of the week were busy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_cli.commands import usage_options as asked
from telemhq_cli.commands.options import Ascii, AsCsv, AsJson, ProfileName, Width, at_most_one
from telemhq_cli.commands.reporting import Scope, opened, scope_of
from telemhq_cli.render.measure import Measure
from telemhq_cli.render.output import Form, form_of, show_csv, show_json

if TYPE_CHECKING:
    from telemhq_cli.commands.reporting import Reporting

Of = Annotated[Measure, typer.Option("--of", help="What to show.")]


def heatmap(  # noqa: PLR0917 - one for each option
    of: Of = Measure.TOKENS,
    local: asked.Local = False,
    mine: asked.Mine = False,
    team_wide: asked.TeamWide = False,
    source: asked.OnlySource = None,
    member: asked.OnlyMember = None,
    project: asked.OnlyProject = None,
    model: asked.OnlyModel = None,
    tracker: asked.OnlyTracker = None,
    since: asked.Since = None,
    until: asked.Until = None,
    timezone: asked.Zone = None,
    account: asked.OtherAccount = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Show usage by weekday and hour."""
    del width, ascii_only
    at_most_one(json=as_json, csv=as_csv)
    filters = asked.filters_of(source, since, until, timezone, member, project, model, tracker)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    with opened(scope, filters, account=account, profile=profile) as found:
        _show(found, of, form_of(as_json=as_json, as_csv=as_csv))


def _show(found: Reporting, of: Measure, form: Form) -> None:
    from telemhq_cli.render import heatmap as shown  # noqa: PLC0415 - not needed for --help

    report = found.report(("hour",))
    heat = shown.heat_of(report, of, about=about(found), zone=found.zone.key)
    match form:
        case Form.JSON:
            show_json(shown.document(heat))
        case Form.CSV:
            show_csv(shown.table(heat))
        case Form.TEXT:
            shown.show(heat, unpriced_note(found, of))


def about(found: Reporting) -> str:
    """Say in a title's words whose usage it is, of what time, in which zone."""
    asked = found.filters
    ends = [
        f"{name} {text}" for name, text in (("since", asked.since), ("until", asked.until)) if text
    ]
    return ", ".join([found.whose, *ends, found.zone.key])


def unpriced_note(found: Reporting, of: Measure) -> tuple[str, ...]:
    """Return the footnote of a picture of costs that leaves out what has no price."""
    if of is not Measure.COST:
        return ()
    from telemhq_cli.render import usage as shown  # noqa: PLC0415 - same

    told = shown.without_price if found.scope is Scope.LOCAL else shown.sent_without_cost
    note = told(found.report(("model",)))
    return (note,) if note else ()
