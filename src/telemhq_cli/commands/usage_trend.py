"""`telemhq usage trend`: how much, day by day."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_cli.commands import usage_options as asked
from telemhq_cli.commands.options import Ascii, AsCsv, AsJson, ProfileName, Width, at_most_one
from telemhq_cli.commands.reporting import opened, scope_of
from telemhq_cli.commands.usage_heatmap import Of, about, unpriced_note
from telemhq_cli.render.measure import Measure
from telemhq_cli.render.output import Form, form_of, say, show_csv, show_json, show_text

if TYPE_CHECKING:
    from telemhq_cli.commands.reporting import Reporting
    from telemhq_cli.render.trend import Trend


LONGEST_MS = 10 * 366 * 24 * 3600 * 1000
"""Who asks for more than ten years asks for all there is; years before that are no zeros to chart."""


class Part(StrEnum):
    """What a trend is broken down by."""

    MODEL = "model"
    PROJECT = "project"
    MEMBER = "member"
    SOURCE = "source"


By = Annotated[Part, typer.Option("--by", help="What the areas are.")]


def trend(  # noqa: PLR0917 - one for each option
    of: Of = Measure.TOKENS,
    by: By = Part.MODEL,
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
    """Chart usage by day, hour or week."""
    del width, ascii_only
    at_most_one(json=as_json, csv=as_csv)
    filters = asked.filters_of(source, since, until, timezone, member, project, model, tracker)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    with opened(scope, filters, account=account, profile=profile) as found:
        _show(found, of, by, form_of(as_json=as_json, as_csv=as_csv))


def _show(found: Reporting, of: Measure, by: Part, form: Form) -> None:
    from telemhq_cli.render import trend as shown  # noqa: PLC0415 - not needed for --help

    gathered = _gathered(found, of, by)
    match form:
        case Form.JSON:
            show_json(shown.document(gathered))
        case Form.CSV:
            show_csv(shown.points_table(gathered))
        case Form.TEXT if not gathered.series:
            say(found.empty)
        case Form.TEXT:
            shown.show_chart(gathered)
            show_text(shown.sums_table(gathered, unpriced_note(found, of)))


def _gathered(found: Reporting, of: Measure, by: Part) -> Trend:
    from telemhq_cli.render import trend as shown  # noqa: PLC0415 - as above

    until_ms = min(found.now_ms, found.until_ms or found.now_ms)
    since_ms = found.since_ms
    if since_ms is None or until_ms - since_ms > LONGEST_MS:
        since_ms = max(_first_ms(found), since_ms or 0)
    since_ms = min(until_ms, since_ms)
    step = shown.step_of(since_ms, until_ms)
    report = found.report((step.value, by.value))
    labels = shown.labels_of(step, since_ms, until_ms, found.zone)
    return shown.trend_of(report, of, labels, found.zone, about(found))


def _first_ms(found: Reporting) -> int:
    """Return when the first day began on which anything was used; now where nothing was."""
    from telemhq_cli.render.trend import Step, start_of  # noqa: PLC0415 - as above

    days = found.report((Step.DAY.value,)).rows
    if not days:
        return found.now_ms
    return round(start_of(Step.DAY, days[0].keys[0], found.zone) * 1000)
