"""`telemhq config …`: the settings file."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_agents import locations, settings
from telemhq_agents.errors import UsageError
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, say, show_json, show_table
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import warn

app = typer.Typer(no_args_is_help=True, help="Settings; none of them is a secret.")
Key = Annotated[str, typer.Argument(metavar="KEY", help=f"One of {', '.join(settings.KEYS)}.")]
Shown = str | list[str]


def _one_line(value: Shown) -> str:
    return value if isinstance(value, str) else " ".join(value)


COLUMNS = (
    Column("key", "Setting"),
    Column("value", "Value", _one_line),
    Column("origin", "From"),
)


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
        say(*([value] if isinstance(value, str) else value))


@app.command("set")
def set_(
    key: Key,
    values: Annotated[
        list[str], typer.Argument(metavar="VALUE...", help="Its new value; a list takes several.")
    ],
) -> None:
    """Write one setting into the file."""
    ours = locations.ours()
    settings.write(ours.settings, key, *values)
    _heed(key)


@app.command()
def unset(key: Key) -> None:
    """Take one setting out of the file, so that its default holds."""
    settings.unset(locations.ours().settings, key)
    _heed(key)


def _heed(key: str) -> None:
    """Begin or end the log of prompts at this very moment, not when an agent next looks."""
    if key == "privacy":
        from telemhq_cli.prompts import log_prompts  # noqa: PLC0415 - few set it

        for problem in log_prompts(locations.ours(), ()):
            warn(problem)


@app.command()
def path(as_json: AsJson = False) -> None:
    """Print where the settings file is, or would be."""
    place = locations.ours().settings
    if as_json:
        show_json({"path": str(place)})
    else:
        say(str(place))


def _in_force() -> list[tuple[str, Shown, str]]:
    held = settings.load(locations.ours().settings)
    found = [(key, getattr(held, key)) for key in settings.KEYS]
    return [(key, _shown(key, value.value), value.origin) for key, value in found]


def _shown(key: str, value: object) -> Shown:
    if key == "coalesce":
        return f"{value}m" if value else "off"
    return list(value) if isinstance(value, tuple) else str(value)
