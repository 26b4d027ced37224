"""`telemhq tracker fields` and `tracker field pin|hide|reset`: what there is to chart."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from telemhq_agents.contract.series import Choice
from telemhq_cli.commands import session
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, TrackerName, at_most_one
from telemhq_cli.render.output import form_of, say, show_csv, show_json, show_table
from telemhq_cli.render.voice import warn

LOOKED_AT = 100
MOST_LOOKED_AT = 1000

field_app = typer.Typer(no_args_is_help=True, help="Choose what is charted, for yourself.")
FieldName = Annotated[
    str, typer.Argument(metavar="FIELD", help="Its dot path, such as usage.cost_usd.")
]


def fields(
    tracker: TrackerName,
    runs: Annotated[
        int,
        typer.Option(
            "--runs", min=1, max=MOST_LOOKED_AT, help="How many of the latest to look at."
        ),
    ] = LOOKED_AT,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List a tracker's numeric fields, and which are charted."""
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms
    from telemhq_cli.render import series as shown  # noqa: PLC0415 - not needed for --help

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        found = charting.fields(here.api, here.tracker(tracker).id, runs=runs)
    if as_csv:
        show_csv(shown.fields_for_programs(found))
        return
    show_table(shown.fields_table(found), form_of(as_json=as_json, as_csv=as_csv), found)


@field_app.command()
def pin(
    tracker: TrackerName, field: FieldName, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Chart a field always, recommended or not."""
    _choose(tracker, field, Choice.PINNED, as_json=as_json, profile=profile)


@field_app.command()
def hide(
    tracker: TrackerName, field: FieldName, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Leave a field out of charts that don't name it."""
    _choose(tracker, field, Choice.HIDDEN, as_json=as_json, profile=profile)


@field_app.command()
def reset(
    tracker: TrackerName, field: FieldName, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Chart a field as it is recommended again."""
    _choose(tracker, field, None, as_json=as_json, profile=profile)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("fields")(fields)
    app.add_typer(field_app, name="field")


def _choose(
    tracker: str, field: str, choice: Choice | None, *, as_json: bool, profile: str | None
) -> None:
    from telemhq_agents.delivery import charting  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        charting.choose(here.api, found.id, field, choice)
        known = charting.fields(here.api, found.id, runs=MOST_LOOKED_AT)
    if choice is not None and known.runs:
        _warn_of_unknown(field, [one.field for one in known.fields if one.runs])
    if as_json:
        chosen = None if choice is None else choice.value
        show_json({"tracker": found.id, "field": field, "choice": chosen})
        return
    done = "is charted as recommended" if choice is None else f"is {choice.value} for you"
    say(f"{field} {done}. Next: telemhq tracker chart {shlex.quote(found.name)}")


def _warn_of_unknown(field: str, known: list[str]) -> None:
    if field not in known:
        from telemhq_cli.commands.nearest import missed  # noqa: PLC0415 - only where it is wrong

        warn(missed(f"no run has a number in {field!r} yet", field, known))
