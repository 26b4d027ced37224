"""`telemhq login`, `logout`, `whoami`: which server, and who is asking."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from telemhq_agents import credentials, locations, settings
from telemhq_agents.credentials import Login, Profile
from telemhq_agents.errors import NotLoggedInError, UsageError
from telemhq_cli.commands import devices, session
from telemhq_cli.commands.options import AsJson, ProfileName  # noqa: TC001 - read by Typer
from telemhq_cli.render.output import note, say, show_json, show_pairs

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="The server; without it the hosted one [env: TELEMHQ_URL]."
    ),
]


def login(  # noqa: PLR0917 - one for each option
    url: Url = None,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the API key from stdin, not from a prompt.")
    ] = False,
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Keep the key in the keyring, not in a file.")
    ] = False,
    team: Annotated[
        str | None,
        typer.Option("--team", metavar="NAME|ID", help="Act in this team of yours."),
    ] = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Log in to a server, with an API key.

    What this machine collects goes to trackers of its own there from now on. The key is asked for, or read from stdin or TELEMHQ_API_KEY; it is never an argument.
    """
    ours = locations.ours()
    chosen = settings.load(ours.settings, session.environ_for(profile))
    server = _server(url, chosen)
    name = chosen.profile.value
    key = _key(from_stdin=key_stdin, server=server)
    with session.connected(Login(server, key, "", name), team) as here:
        me, account = here.me, here.account
        kept = Profile(name, server, account=account.id)
        credentials.keep_api_key(ours.credentials, kept, key, keyring=keyring)
        sent_to = devices.point_at(here)
        here.trackers()
    if as_json:
        show_json({"profile": name, "url": server, "email": me.email, "account": account})
        return
    say(f"Logged in to {server} as {me.email}, in {account.name} ({account.role}).")
    for destination in sent_to:
        say(f"  {destination.label}")
    say("", "Next: telemhq agent run   (reports what your coding agents use from now on)")


def logout(profile: ProfileName = None, as_json: AsJson = False) -> None:
    """Forget a login; what is queued for it stays and still goes out."""
    ours = locations.ours()
    name = settings.load(ours.settings, session.environ_for(profile)).profile.value
    known = credentials.load(ours.credentials).profiles.get(name)
    if known is not None:
        devices.send_nowhere(name)
        credentials.forget_profile(ours.credentials, name)
    if as_json:
        show_json({"profile": name, "was_logged_in": known is not None})
    elif known is None:
        say(f"There is no login {name!r} on this machine.")
    else:
        say(f"Logged out of {known.url}. The API key itself is still good there.")
        say("", "Revoke it where you are logged in: telemhq key revoke ID")


def whoami(profile: ProfileName = None, as_json: AsJson = False) -> None:
    """Show who the login is, where, and in which account."""
    with session.opened(profile) as here:
        me, account = here.me, here.account
        server = here.url
    if as_json:
        show_json({"profile": here.profile, "url": server, "me": me, "account": account})
        return
    show_pairs(
        [
            ("Server", server),
            ("Profile", here.profile),
            ("E-mail", me.email),
            ("Name", me.name),
            ("Account", f"{account.name} ({account.kind}, {account.role})"),
            ("Time zone", account.timezone),
        ]
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (login, logout, whoami):
        app.command()(command)


def _server(url: str | None, chosen: settings.Settings) -> str:
    if url is None:
        return chosen.url.value
    try:
        server = settings.server_url(url)
    except ValueError as error:
        raise UsageError(f"--url {error}, not {url!r}.") from error
    parts = urlsplit(server)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        note(f"telemhq: {server} is not encrypted: the API key can be read on its way.")
    return server


def _key(*, from_stdin: bool, server: str) -> str:
    if from_stdin:
        key = sys.stdin.readline().strip()
    elif os.environ.get(credentials.API_KEY_VARIABLE):
        key = os.environ[credentials.API_KEY_VARIABLE].strip()
    elif sys.stdin.isatty():
        key = getpass.getpass(f"API key for {server}: ").strip()
    else:
        raise NotLoggedInError(
            "Nobody is here to type the API key.",
            f"telemhq login --url {server} --key-stdin < FILE",
        )
    if not key.isascii() or not key.isprintable() or not key:
        raise UsageError("This is no API key.", "It is one line of letters and digits.")
    return key
