"""`telemhq config …`: the settings file."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_agents import locations, settings
from telemhq_agents.errors import UsageError
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, say, show_json, show_table
from telemhq_cli.render.table import Column, Table

app = typer.Typer(no_args_is_help=True, help="Settings; none of them is a secret.")
Key = Annotated[str, typer.Argument(metavar="KEY", help=f"One of {', '.join(settings.KEYS)}.")]
COLUMNS = (Column("key", "Setting"), Column("value", "Value"), Column("origin", "From"))


@app.command("list")
def list_(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show every setting in force and where it comes from."""
    at_most_one(json=as_json, csv=as_csv)
    show_table(Table(COLUMNS, _in_force()), form_of(as_json=as_json, as_csv=as_csv))


@app.command()
def get(key: Key, as_json: AsJson = False) -> None:
    """Print one setting's value."""
    found = {name: (value, origin) for name, value, origin in _in_force()}
    if key not in found:
        raise UsageError(f"There is no setting {key!r}.", f"Settings are: {', '.join(found)}.")
    value, origin = found[key]
    if as_json:
        show_json({"key": key, "value": value, "origin": origin})
    else:
        say(value)


@app.command("set")
def set_(
    key: Key, value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value.")]
) -> None:
    """Write one setting into the file."""
    settings.write(locations.ours().settings, key, value)


@app.command()
def unset(key: Key) -> None:
    """Take one setting out of the file, so that its default holds."""
    settings.unset(locations.ours().settings, key)


@app.command()
def path(as_json: AsJson = False) -> None:
    """Print where the settings file is, or would be."""
    place = locations.ours().settings
    if as_json:
        show_json({"path": str(place)})
    else:
        say(str(place))


def _in_force() -> list[tuple[str, str, str]]:
    held = settings.load(locations.ours().settings)
    rows = []
    for key in settings.KEYS:
        value = getattr(held, key)
        rows.append((key, _text(key, value.value), value.origin))
    return rows


def _text(key: str, value: object) -> str:
    if key == "coalesce":
        return f"{value}m" if value else "off"
    return str(value)
