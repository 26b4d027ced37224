"""`telemhq webhook …`: alerts as HTTP requests, and what became of them."""

from __future__ import annotations

import shlex
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.deliveries import DeliveryState, Medium
from telemhq_agents.contract.rules import ChannelKind
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import missed
from telemhq_cli.commands import session
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
from telemhq_cli.render import alerts as shown
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
    from collections.abc import Sequence

    from telemhq_agents.contract.deliveries import (
        DeliveryDetail,
        NewSecret,
        TrackerChannel,
    )
    from telemhq_agents.contract.resources import Tracker
    from telemhq_cli.commands.session import Session

app = typer.Typer(no_args_is_help=True, help="Webhooks: alerts as HTTP requests.")

TEST_SECONDS = 20.0
LOOK_SECONDS = 0.2


class Preset(StrEnum):
    """Shapes that other services take."""

    SLACK = "slack"
    DISCORD = "discord"
    GENERIC = "generic"


Which = Annotated[
    str | None,
    typer.Argument(metavar="[URL|ID]", help="Which webhook, where there are several."),
]
DeliveryId = Annotated[
    str, typer.Argument(metavar="ID", help="As `telemhq webhook deliveries` shows it.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")]
InState = Annotated[DeliveryState | None, typer.Option("--state", help="Only those in this state.")]


@app.command()
def add(
    tracker: TrackerName,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where alerts are posted.")],
    preset: Annotated[
        Preset | None, typer.Option("--preset", help="Post in the shape of this service.")
    ] = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Post a tracker's alerts to a URL.

    Prints the secret that signs them, this once. Mail goes on as before.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    kind = ChannelKind.WEBHOOK if preset is None else ChannelKind(preset.value)
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        made = alerts.add_channel(here.api, found.id, kind, url)
        which = () if len(_of(here, found)) == 1 else (made.channel.id,)
    if as_json:
        show_json(made)
        return
    note(f"Alerts of {found.name} go to {made.channel.target}.")
    _show_secret(made)
    note("", f"Next: {shlex.join(('telemhq', 'webhook', 'test', tracker, *which))}")


@app.command("list")
def list_(
    tracker: TrackerName,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List a tracker's webhooks, without their secrets."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        _, found = _webhooks(here, tracker)
    empty = f"No webhooks. Next: telemhq webhook add {shlex.quote(tracker)} URL"
    show_table(shown.channels(found, empty), form_of(as_json=as_json, as_csv=as_csv), found)


@app.command()
def remove(
    tracker: TrackerName,
    which: Which = None,
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Post no more alerts to a URL; what waits for it is withdrawn."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found, channel = _webhook(here, tracker, which)
        agree(f"Post no more alerts of {found.name} to {channel.target}?", already=yes)
        alerts.remove_channel(here.api, found.id, channel.id)
    if as_json:
        show_json({"removed": True, "id": channel.id, "target": channel.target})
    else:
        say(f"Removed {channel.target}.")


@app.command()
def rotate(
    tracker: TrackerName,
    which: Which = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Give a webhook another secret.

    Prints it, this once. For a day both sign, so that nothing is refused meanwhile.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found, channel = _webhook(here, tracker, which)
        made = alerts.rotate_secret(here.api, found.id, channel.id)
    if as_json:
        show_json(made)
        return
    _show_secret(made)
    note(f"The old secret signs too until {made.channel.old_secret_until}.")


@app.command("test")
def try_out(
    tracker: TrackerName,
    which: Which = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Post a test and tell what the receiver answered.

    Exits with 1 where it failed.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found, channel = _webhook(here, tracker, which)
        delivery_id = alerts.try_channel(here.api, found.id, channel.id).id
        detail = tried(here, delivery_id)
    _show(detail, as_json=as_json)
    if detail.delivery.state is not DeliveryState.SENT:
        raise typer.Exit(1)


@app.command()
def deliveries(  # noqa: PLR0917 - one for each option
    tracker: Annotated[
        str | None, typer.Argument(metavar="[TRACKER]", help="Only of this tracker.")
    ] = None,
    limit: Limit = 20,
    state: InState = None,
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List what was posted or waits, newest first."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        tracker_id = None if tracker is None else here.tracker(tracker).id
        found = alerts.deliveries(
            here.api, Medium.WEBHOOK, limit=limit, tracker_id=tracker_id, state=state
        )
    table = shown.deliveries(found, "Nothing was posted yet.")
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), found)


@app.command()
def show(delivery_id: DeliveryId, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Show what was posted and how each attempt went."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        detail = alerts.delivery(here.api, delivery_id)
    _show(detail, as_json=as_json)


@app.command()
def redeliver(
    delivery_id: DeliveryId, as_json: AsJson = False, profile: ProfileName = None
) -> None:
    """Send a delivery once more, under the same id.

    Works for mail too, as `telemhq mail list` shows it. Exits with 1 where that failed.
    """
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        before = len(alerts.delivery(here.api, delivery_id).log)
        alerts.redeliver(here.api, delivery_id)
        detail = tried(here, delivery_id, before)
    _show(detail, as_json=as_json)
    if detail.delivery.state is DeliveryState.HELD:
        return
    if detail.delivery.state is not DeliveryState.SENT:
        note("", shown.why_not(detail))
        raise typer.Exit(1)


def _webhooks(here: Session, tracker: str) -> tuple[Tracker, list[TrackerChannel]]:
    found = here.tracker(tracker)
    return found, _of(here, found)


def _of(here: Session, tracker: Tracker) -> list[TrackerChannel]:
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    channels = alerts.channels(here.api, tracker.id)
    return [one for one in channels if one.kind is not ChannelKind.EMAIL]


def _webhook(here: Session, tracker: str, which: str | None) -> tuple[Tracker, TrackerChannel]:
    found, webhooks = _webhooks(here, tracker)
    return found, chosen(webhooks, which, tracker)


def chosen(channels: Sequence[TrackerChannel], which: str | None, tracker: str) -> TrackerChannel:
    """Return the channel that is meant. Raises UsageError where none is, or several are."""
    name = shlex.quote(tracker)
    meant = [one for one in channels if which is None or which in {one.id, one.target}]
    if len(meant) == 1:
        return meant[0]
    if not channels:
        raise UsageError(f"{tracker} has no webhook.", f"telemhq webhook add {name} URL")
    if not meant:
        known = [one.target for one in channels]
        raise UsageError(
            missed(f"{tracker} has no webhook {which!r}", which or "", known),
            f"telemhq webhook list {name}",
        )
    raise UsageError(
        f"{tracker} has {len(meant)} webhooks: name one by its id.", f"telemhq webhook list {name}"
    )


def tried(here: Session, delivery_id: str, before: int = 0) -> DeliveryDetail:
    """Return a delivery once it was tried, or is done with, or that takes too long."""
    from telemhq_agents.delivery import alerts  # noqa: PLC0415 - httpx: 90 ms

    end = time.monotonic() + TEST_SECONDS
    while True:
        detail = alerts.delivery(here.api, delivery_id)
        waits = detail.delivery.state is DeliveryState.WAITING and len(detail.log) <= before
        if not waits or time.monotonic() > end:
            return detail
        time.sleep(LOOK_SECONDS)


def _show_secret(made: NewSecret) -> None:
    if made.secret:
        note("The secret that signs them, shown this once:")
        say(made.secret)


def _show(detail: DeliveryDetail, *, as_json: bool) -> None:
    if as_json:
        show_json(detail)
        return
    show_pairs(shown.outcome(detail.delivery))
    say("")
    show_text(shown.attempts(detail.log))
    say("", *shown.saying(detail))
