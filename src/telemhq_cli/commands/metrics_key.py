"""`telemhq metrics-key …`: keys that open the account's metrics to Prometheus."""

from __future__ import annotations

from typing import Annotated

import typer

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

app = typer.Typer(no_args_is_help=True, help="Keys that open /metrics to Prometheus.")


def add_to(app_of_all: typer.Typer) -> None:
    """Add the commands."""
    app_of_all.add_typer(app, name="metrics-key")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    team: TeamName = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Create a metrics key and print it, this once."""
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile, team) as here:
        key = asked.create_metrics_key(here.api, name)
        address = f"{here.url}/metrics"
    if as_json:
        show_json(key)
        return
    note(f"The metrics key {key.name} for {address}, shown this once:")
    say(key.metrics_key)


@app.command("list")
def list_(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List the metrics keys, without their secrets."""
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        keys = asked.metrics_keys(here.api)
    show_table(showing.metrics_keys(keys), form_of(as_json=as_json, as_csv=as_csv), keys)


@app.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `telemhq metrics-key list` shows it.")
    ],
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Revoke a metrics key, at once."""
    from telemhq_agents.delivery import showing as asked  # noqa: PLC0415 - httpx: 90 ms

    agree(f"Revoke the metrics key {key_id}?", already=yes)
    with session.opened(profile) as here:
        asked.revoke_metrics_key(here.api, key_id)
    if as_json:
        show_json({"revoked": True, "id": key_id})
    else:
        say(f"Revoked {key_id}.")
