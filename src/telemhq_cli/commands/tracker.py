"""`telemhq tracker …`: each tracker has a ping URL of its own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_cli.commands import (
    session,
    tracker_breakdown,
    tracker_chart,
    tracker_fields,
    tracker_file,
    tracker_page,
    tracker_rules,
    tracker_runs,
    tracker_schedule,
    tracker_showing,
)
from telemhq_cli.commands.confirm import agree
from telemhq_cli.commands.options import (
    AsCsv,
    AsJson,
    Confirmed,
    ProfileName,
    TeamName,
    TrackerName,
    at_most_one,
)
from telemhq_cli.render import nouns
from telemhq_cli.render.output import (
    form_of,
    say,
    show_json,
    show_pairs,
    show_table,
)

if TYPE_CHECKING:
    from telemhq_agents.contract.resources import Tracker

app = typer.Typer(no_args_is_help=True, help="Trackers; each has a ping URL of its own.")
SHOWN_CHANGES = 5
NewName = Annotated[
    str, typer.Argument(metavar="NAME", help="What it is called, 1 to 100 letters.")
]


@app.command()
def create(
    name: NewName, team: TeamName = None, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Create a tracker and show its ping URL."""
    with session.opened(profile, team) as here:
        tracker = here.create_tracker(name)
    _show(tracker, as_json=as_json, next_step=f"telemhq ping {_quoted(tracker.name)} -- COMMAND")


@app.command("list")
def list_(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List trackers: your own, everybody's for managers and owners."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        trackers = here.trackers()
    show_table(nouns.trackers(trackers), form_of(as_json=as_json, as_csv=as_csv), trackers)


@app.command()
def update(
    tracker: TrackerName,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its new name.")],
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Rename a tracker."""
    _change(tracker, name=name, as_json=as_json, profile=profile)


@app.command()
def pause(tracker: TrackerName, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Pause a tracker.

    Its runs are still recorded; its state no longer follows them.
    """
    _change(tracker, state="paused", as_json=as_json, profile=profile)


@app.command()
def resume(tracker: TrackerName, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """End a pause."""
    _change(tracker, state="active", as_json=as_json, profile=profile)


@app.command()
def delete(
    tracker: TrackerName,
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Delete a tracker.

    Its ping URL is refused at once; its sums stay in reports.
    """
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        agree(f"Delete {found.name} with {found.runs} runs?", already=yes)
        here.delete_tracker(found)
    if as_json:
        show_json({"deleted": True, "id": found.id, "name": found.name})
    else:
        say(f"Deleted {found.name}.")


@app.command()
def rotate(
    tracker: TrackerName,
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Give a tracker another ping URL.

    The one it has is refused at once.
    """
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        agree(f"Whatever pings {found.name} by its URL stops working. Go on?", already=yes)
        rotated = here.rotate_tracker(found)
    _show(rotated, as_json=as_json)


def _change(
    tracker: str,
    *,
    name: str | None = None,
    state: str | None = None,
    as_json: bool,
    profile: str | None,
) -> None:
    with session.opened(profile) as here:
        changed = here.change_tracker(here.tracker(tracker), name=name, state=state)
    _show(changed, as_json=as_json)


def _show(tracker: Tracker, *, as_json: bool, next_step: str = "") -> None:
    if as_json:
        show_json(tracker)
        return
    show_pairs(nouns.tracker(tracker))
    if next_step:
        say("", f"Next: {next_step}")


def _quoted(name: str) -> str:
    return shlex.quote(name)


tracker_page.add_to(app)
app.command("runs")(tracker_runs.runs)
app.add_typer(tracker_schedule.app, name="schedule")
tracker_rules.add_to(app)
tracker_file.add_to(app)
tracker_showing.add_to(app)
tracker_chart.add_to(app)
tracker_breakdown.add_to(app)
tracker_fields.add_to(app)
