"""`telemhq key …`: API keys, shown once."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_cli.commands import session
from telemhq_cli.commands.confirm import agree
from telemhq_cli.commands.options import AsCsv, AsJson, Confirmed, ProfileName, at_most_one
from telemhq_cli.render import nouns
from telemhq_cli.render.output import form_of, note, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="API keys: shown once, revoked at once.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Create an API key and print it, this once."""
    with session.opened(profile) as here:
        key = here.api.create_api_key(name)
    if as_json:
        show_json(key)
        return
    note(f"The API key {key.name}, shown this once:")
    say(key.api_key)


@app.command("list")
def list_(as_json: AsJson = False, as_csv: AsCsv = False, profile: ProfileName = None) -> None:
    """List your API keys, without their secrets."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        keys = here.api.api_keys()
    show_table(nouns.keys(keys), form_of(as_json=as_json, as_csv=as_csv), keys)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `telemhq key list` shows it.")],
    yes: Confirmed = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Revoke an API key, at once."""
    agree(f"Revoke the API key {key_id}?", already=yes)
    with session.opened(profile) as here:
        here.api.revoke_api_key(key_id)
    if as_json:
        show_json({"revoked": True, "id": key_id})
    else:
        say(f"Revoked {key_id}.")
