"""`telemhq mail …`: who gets alerts by mail, and what was mailed or waits."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.deliveries import DeliveryState, Medium
from telemhq_agents.contract.rules import ChannelKind
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import missed
from telemhq_cli.commands import session
from telemhq_cli.commands.options import (
    AsCsv,
    AsJson,
    ProfileName,
    TeamName,
    TrackerName,
    at_most_one,
)
from telemhq_cli.commands.webhook import InState, Limit, tried
from telemhq_cli.render import alerts as shown
from telemhq_cli.render.output import (
    form_of,
    say,
    show_json,
    show_pairs,
    show_table,
    show_text,
)

if TYPE_CHECKING:
    from telemhq_agents.contract.deliveries import TrackerChannel

app = typer.Typer(no_args_is_help=True, help="Mail: alerts, summaries and invitations.")
Address = Annotated[str, typer.Argument(metavar="EMAIL", help="Who gets the alerts.")]


@app.command()
def add(
    tracker: TrackerName, email: Address, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Mail a tracker's alerts to an address.

    As long as no address is named, the tracker's owner is mailed.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        made = alerts.add_channel(here.api, found.id, ChannelKind.EMAIL, email)
    if as_json:
        show_json(made.channel)
    else:
        say(shown.mailed(found.name, made.channel))


@app.command()
def remove(
    tracker: TrackerName, email: Address, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Mail a tracker's alerts no longer to an address."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        channel = _mailbox(alerts.channels(here.api, found.id), email, tracker)
        alerts.remove_channel(here.api, found.id, channel.id)
    if as_json:
        show_json({"removed": True, "id": channel.id, "target": channel.target})
    else:
        say(f"Removed {channel.target}.")


@app.command()
def subscribe(tracker: TrackerName, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Get a tracker's mail again, after you unsubscribed.

    Concerns your own address alone: alerts and summaries.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        told = alerts.subscribe(here.api, found.id)
    if as_json:
        show_json(told)
    else:
        say(*shown.subscribed(found.name, told))


@app.command("test")
def try_out(team: TeamName = None, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Mail a test to your own address and tell where it went.

    Exits with 1 where it could not be sent.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile, team) as here:
        detail = tried(here, alerts.try_mail(here.api).id)
    if as_json:
        show_json(detail)
    else:
        say(shown.tried_mail(detail.delivery))
    if detail.delivery.state not in {DeliveryState.SENT, DeliveryState.HELD}:
        raise typer.Exit(1)


@app.command("list")
def list_(  # noqa: PLR0917 - one for each option
    limit: Limit = 20,
    state: InState = None,
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List what was mailed or waits, newest first."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        found = alerts.deliveries(here.api, Medium.MAIL, limit=limit, state=state)
    table = shown.deliveries(found, "No mail yet.")
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), found)


@app.command()
def show(
    delivery_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `telemhq mail list` shows it.")
    ],
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Show a mail and what became of it."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        detail = alerts.delivery(here.api, delivery_id)
    if as_json:
        show_json(detail)
        return
    show_pairs(shown.outcome(detail.delivery))
    if detail.log:
        say("")
        show_text(shown.attempts(detail.log))
    say("", *shown.saying(detail))


def _mailbox(channels: list[TrackerChannel], email: str, tracker: str) -> TrackerChannel:
    wanted = email.strip().lower()
    for one in channels:
        if one.kind is ChannelKind.EMAIL and wanted in {one.target, one.id}:
            return one
    known = [one.target for one in channels if one.kind is ChannelKind.EMAIL]
    shows = f"telemhq tracker show {shlex.quote(tracker)}"
    raise UsageError(
        missed(f"Alerts of {tracker} don't go to {email}", wanted, known),
        f"They are mailed to: {', '.join(known)}" if known else shows,
    )
