"""`telemhq tracker …`: each tracker has a ping URL of its own."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import NoSuchRouteError
from telemhq_cli.commands import (
    session,
    tracker_file,
    tracker_rules,
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
from telemhq_cli.render import judging as rendered
from telemhq_cli.render import nouns
from telemhq_cli.render.output import (
    form_of,
    note,
    say,
    show_json,
    show_pairs,
    show_table,
    show_text,
)

if TYPE_CHECKING:
    from telemhq_agents.contract.judging import Transition
    from telemhq_agents.contract.resources import Tracker
    from telemhq_agents.contract.rules import Rules
    from telemhq_cli.commands.session import Session

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
def show(tracker: TrackerName, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Show a tracker, its rules and its latest changes of state."""
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        try:
            judged_by, latest = _judged(here, found)
        except NoSuchRouteError as error:  # a tracker can be shown without
            note(f"telemhq: {error.message}")
            _show(found, as_json=as_json)
            return
    if as_json:
        show_json({**asdict(found), "rules": judged_by, "transitions": latest})
        return
    show_pairs([*nouns.tracker(found), *rendered.rules(judged_by, found.schedule)])
    if judged_by.assertions:
        say("", "Assertions:")
        show_text(rendered.assertions(judged_by.assertions))
    if latest:
        say("", "Latest changes of its state:")
        show_text(rendered.transitions(latest))


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


@app.command()
def runs(
    tracker: TrackerName,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")
    ] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List what a tracker received, newest first."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        found = here.runs(here.tracker(tracker), limit)
    show_table(nouns.runs(found), form_of(as_json=as_json, as_csv=as_csv), found)


def _judged(here: Session, tracker: Tracker) -> tuple[Rules, list[Transition]]:
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    latest = judging.transitions(here.api, tracker.id, limit=SHOWN_CHANGES)
    return judging.rules(here.api, tracker.id).rules, latest.transitions


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


app.add_typer(tracker_schedule.app, name="schedule")
tracker_rules.add_to(app)
tracker_file.add_to(app)
tracker_showing.add_to(app)
