"""`telemhq config …`: the settings file, what overrides it, and the profiles in it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import locations, settings
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import missed
from telemhq_agents.settings import Value
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, at_most_one
from telemhq_cli.render.output import Form, form_of, say, show_json, show_table
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import note, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.settings_file import Written

app = typer.Typer(no_args_is_help=True, help="Settings; none of them is a secret.")
Key = Annotated[str, typer.Argument(metavar="KEY", help=f"One of {', '.join(settings.KEYS)}.")]
OfProfile = Annotated[
    str,
    typer.Option("--profile", metavar="NAME", help="In the part of the file for this profile."),
]
Shown = str | list[str]
PROJECT = "project"


def _one_line(value: Shown) -> str:
    return _joined(value) or "not set"


def _joined(value: Shown) -> str:
    return value if isinstance(value, str) else " ".join(value)


COLUMNS = (
    Column("key", "Setting"),
    Column("value", "Value", _one_line),
    Column("origin", "From"),
)
WITH_ORIGIN = (
    *COLUMNS,
    Column("line", "Line", is_figure=True),
    Column("in_force", "Holds", lambda holds: "yes" if holds else "overridden"),
)
PROFILE_COLUMNS = (
    Column("name", "Profile"),
    Column("url", "Server", copied=True),
    Column("login", "Login"),
    Column("timezone", "Time zone", spare=1),
    Column("in_use", "In use", lambda used: "yes" if used else ""),
)


@app.command("list")
def list_(
    origin: Annotated[
        bool, typer.Option("--origin", help="Also every value that was overridden, and by what.")
    ] = False,
    profile: ProfileName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show every setting in force here and where it comes from.

    The later overrides the earlier: defaults, the file, its part for the profile in use, this
    directory's .telemhq.toml, the environment, options.
    """
    at_most_one(json=as_json, csv=as_csv)
    stacks, form = _stacks(profile), form_of(as_json=as_json, as_csv=as_csv)
    rows: Sequence[tuple[Any, ...]] = _every_value(stacks) if origin else _in_force(stacks)
    if form is Form.CSV:
        rows = [(key, _joined(value), *others) for key, value, *others in rows]
    show_table(Table(WITH_ORIGIN if origin else COLUMNS, rows), form)


@app.command()
def get(key: Key, profile: ProfileName = None, as_json: AsJson = False) -> None:
    """Print one setting's value."""
    found = {name: (value, origin) for name, value, origin in _in_force(_stacks(profile))}
    if key not in found:
        raise UsageError(
            missed(f"There is no setting {key!r}", key, found), f"Settings are: {', '.join(found)}."
        )
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
    profile: OfProfile = "",
    as_json: AsJson = False,
) -> None:
    """Write one setting into the file.

    Comments stay. Where one has to go, it is said, and the file as it was is kept beside.
    """
    from telemhq_agents import settings_file  # noqa: PLC0415 - few commands write

    _must_be_ours(key)
    path = locations.ours().settings
    _tell(key, settings_file.write(path, key, *values, profile=profile), as_json=as_json)
    _heed(key)


@app.command()
def unset(key: Key, profile: OfProfile = "", as_json: AsJson = False) -> None:
    """Take one setting out of the file, so that its default holds."""
    from telemhq_agents import settings_file  # noqa: PLC0415 - few commands write

    _must_be_ours(key)
    done = settings_file.unset(locations.ours().settings, key, profile=profile)
    _tell(key, done, as_json=as_json)
    _heed(key)


@app.command()
def path(as_json: AsJson = False) -> None:
    """Print where the settings file is, or would be."""
    place = locations.ours().settings
    if as_json:
        show_json({"path": str(place)})
    else:
        say(str(place))


@app.command()
def profiles(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show the profiles: their servers, and which have a login."""
    from telemhq_agents import credentials  # noqa: PLC0415 - not for --help

    at_most_one(json=as_json, csv=as_csv)
    ours = locations.ours()
    used = settings.load(ours.settings).profile.value
    chosen = settings.profiles(ours.settings)
    logins = credentials.load(ours.credentials).profiles
    rows = [
        (name, *_of_profile(name, chosen.get(name, {}), logins.get(name)), name == used)
        for name in sorted({*chosen, *logins, used})
    ]
    show_table(Table(PROFILE_COLUMNS, rows), form_of(as_json=as_json, as_csv=as_csv))


def _of_profile(
    name: str,
    chosen: dict[str, Value[Any]],
    login: Any,  # noqa: ANN401 - credentials.Profile
) -> tuple[str, str, str]:
    in_force = settings.load(locations.ours().settings, {}, {"profile": name})
    url = login.url if login is not None and "url" not in chosen else in_force.url.value
    how = "none" if login is None else "key in the keyring" if login.keyring else "key in a file"
    return url, how, in_force.timezone.value


def _must_be_ours(key: str) -> None:
    if key == PROJECT:
        raise UsageError(
            "The project's name is a matter of its directory, not of this file.",
            'Write it into the directory\'s .telemhq.toml: project = "NAME"',
        )


def _tell(key: str, done: Written, *, as_json: bool) -> None:
    if as_json:
        show_json({"key": key, **asdict(done)})
    if done.lost:
        warn(f"these comments went; the file as it was is {done.backup}")
        note(*(f"  {comment}" for comment in done.lost))


def _heed(key: str) -> None:
    """Begin or end the log of prompts at this very moment, not when an agent next looks."""
    if key == "privacy":
        from telemhq_cli.prompts import log_prompts  # noqa: PLC0415 - few set it

        for problem in log_prompts(locations.ours(), ()):
            warn(problem)


def _stacks(profile: str | None) -> dict[str, list[Value[Any]]]:
    """Return what each setting was given here, and the project of this directory.

    Where nothing else names a server, commands ask that of the login.
    """
    from telemhq_agents import credentials, project_file  # noqa: PLC0415 - not for --help

    ours = locations.ours()
    options = {} if profile is None else {"profile": profile}
    found = settings.stacks(ours.settings, os.environ, options)
    login = credentials.load(ours.credentials).profiles.get(found["profile"][-1].value)
    if login is not None and found["url"][-1].origin == "default":
        found["url"].append(Value(login.url, f"login {login.name!r}"))
    told = project_file.read(here())
    for one in told.private:  # a directory may add to what stays here, and take nothing away
        held = found["private"][-1].value
        found["private"].append(Value((*held, one.value), one.origin, one.line))
    return {**found, PROJECT: [*told.names]}


def here() -> str:
    """Return the directory one is in."""
    try:
        return os.getcwd()  # noqa: PTH109 - a text is all that is needed
    except FileNotFoundError:
        return "/"  # the directory is gone, and with it what it said


def _every_value(stacks: dict[str, list[Value[Any]]]) -> list[tuple[Any, ...]]:
    return [
        (key, shown(key, one.value), one.origin, one.line or None, one is values[-1])
        for key, values in stacks.items()
        for one in reversed(values)
    ]


def _in_force(stacks: dict[str, list[Value[Any]]]) -> Sequence[tuple[str, Shown, str]]:
    return [(key, shown(key, given[-1].value), given[-1].origin) for key, given in stacks.items()]


def shown(key: str, value: object) -> Shown:
    """Return a setting's value as it is written."""
    if key == "coalesce":
        return f"{value}m" if value else "off"
    return list(value) if isinstance(value, tuple) else str(value)
