"""`telemhq tracker badge|summary`: a tracker in a picture, and in a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.rules import Every
from telemhq_cli.commands import session
from telemhq_cli.commands.confirm import agree
from telemhq_cli.commands.options import AsJson, Confirmed, ProfileName, TrackerName, at_most_one
from telemhq_cli.render.output import say, show_json, show_pairs

if TYPE_CHECKING:
    from telemhq_agents.contract.resources import Tracker
    from telemhq_cli.commands.session import Session


def badge(
    tracker: TrackerName,
    off: Annotated[bool, typer.Option("--off", help="Take it away, for ever.")] = False,
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Show where a tracker's badge is; make it where there is none.

    Whoever knows the address sees the tracker's name and state.
    """
    from telemhq_agents.delivery import showing  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        if off:
            _take_badge(here, found, yes=yes, as_json=as_json)
            return
        given = showing.give_badge(here.api, found.id)
    if as_json:
        show_json(given)
    else:
        show_pairs([("Badge", given.url), ("Markdown", given.markdown)])


def summary(
    tracker: TrackerName,
    daily: Annotated[bool, typer.Option("--daily", help="The latest whole day.")] = False,
    weekly: Annotated[bool, typer.Option("--weekly", help="The latest whole week.")] = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Print a tracker's latest summary, as it is mailed.

    A day or a week as the tracker's rules say, else a day; mailed or not.
    """
    from telemhq_agents.delivery import showing  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(daily=daily, weekly=weekly)
    every = Every.DAY if daily else Every.WEEK if weekly else None
    with session.opened(profile) as here:
        told = showing.summary(here.api, here.tracker(tracker).id, every)
    if as_json:
        show_json(told)
    else:
        say(*told.text.split("\n"))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("badge")(badge)
    app.command("summary")(summary)


def _take_badge(here: Session, tracker: Tracker, *, yes: bool, as_json: bool) -> None:
    from telemhq_agents.delivery import showing  # noqa: PLC0415 - httpx: 90 ms

    agree(f"Wherever the badge of {tracker.name} is shown, it breaks. Go on?", already=yes)
    showing.take_badge(here.api, tracker.id)
    if as_json:
        show_json({"removed": True, "tracker": tracker.id})
    else:
        say(f"{tracker.name} has no badge any more.")
