"""`telemhq status-page …`: chosen trackers, shown to whoever knows the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.contract.public import ShownTracker
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
    at_most_one,
)
from telemhq_cli.render import showing
from telemhq_cli.render.output import form_of, note, say, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.public import StatusPage
    from telemhq_agents.contract.resources import Tracker

app = typer.Typer(no_args_is_help=True, help="Public pages that show how trackers are doing.")


def add_to(app_of_all: typer.Typer) -> None:
    """Add the commands."""
    app_of_all.add_typer(app, name="status-page")


@app.command()
def create(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What the public reads.")],
    trackers: Annotated[
        list[str],
        typer.Argument(metavar="TRACKER...", help="Name or id; NAME=LABEL shows it as LABEL."),
    ],
    team: TeamName = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Show trackers on a public page and print its address.

    Their names, states, when the last run came and how 90 days went; nothing else.
    """
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile, team) as here:
        known = here.trackers()
        shown = [shown_as(known, given) for given in trackers]
        page = asked.create_status_page(here.api, title, shown)
    if as_json:
        show_json(page)
        return
    note(f"{page.title} shows {showing.labels(page)} to whoever knows this address:")
    say(page.url)


@app.command("list")
def list_(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List status pages; managers and owners see all of them."""
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        pages = asked.status_pages(here.api)
    show_table(showing.status_pages(pages), form_of(as_json=as_json, as_csv=as_csv), pages)


@app.command()
def remove(
    page: Annotated[str, typer.Argument(metavar="TITLE|ID", help="Which page.")],
    team: TeamName = None,
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Take a status page down.

    Its address is gone for ever.
    """
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile, team) as here:
        found = chosen_page(asked.status_pages(here.api), page)
        agree(f"Take {found.title} down? Its address is gone for ever.", already=yes)
        asked.remove_status_page(here.api, found.id)
    if as_json:
        show_json({"removed": True, "id": found.id})
    else:
        say(f"Removed {found.title}.")


def shown_as(trackers: Sequence[Tracker], given: str) -> ShownTracker:
    """Read NAME or NAME=LABEL; a tracker whose name holds a = is meant by its whole name first."""
    if any(given in {one.name, one.id} for one in trackers):
        return ShownTracker(session.chosen_tracker(trackers, given).id)
    name, _, label = given.partition("=")
    return ShownTracker(session.chosen_tracker(trackers, name).id, label)


def chosen_page(pages: Sequence[StatusPage], wanted: str) -> StatusPage:
    """Return the page of this id, or the only one of this title. Raises UsageError."""
    found = [one for one in pages if one.id == wanted] or [
        one for one in pages if one.title == wanted
    ]
    if not found:
        titles = [one.title for one in pages]
        raise UsageError(
            missed(f"There is no status page {wanted!r}", wanted, titles),
            "telemhq status-page list shows them.",
        )
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise UsageError(f"{len(found)} status pages are called {wanted!r}.", f"Name one id: {ids}")
    return found[0]
