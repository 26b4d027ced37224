"""`telemhq login`, `logout`, `whoami`: which server, and who is asking."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import urlsplit

import typer

from telemhq_agents import credentials, locations, settings
from telemhq_agents.credentials import Login, Profile
from telemhq_agents.errors import NotLoggedInError, UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import devices, session
from telemhq_cli.commands.options import AsJson, ProfileName  # noqa: TC001 - read by Typer
from telemhq_cli.completion import heard
from telemhq_cli.render.output import note, say, show_json, show_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.resources import Account
    from telemhq_agents.credentials import Destination

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
    chosen = settings.load(locations.ours().settings, session.environ_for(profile))
    server = server_named(url, chosen)
    key = key_for(server, from_stdin=key_stdin)
    done = enter(Login(server, key, "", chosen.profile.value), team=team, keyring=keyring)
    account = done.account
    if as_json:
        show_json({"profile": done.profile, "url": server, "email": done.email, "account": account})
        return
    say(f"Logged in to {server} as {done.email}, in {account.name} ({account.role}).")
    for destination in done.sent_to:
        say(f"  {destination.label}")
    say("", "Next: telemhq agent run   (reports what your coding agents use from now on)")


class Entered(NamedTuple):
    """A login that was made: whose it is, and where what this machine collects goes now."""

    profile: str
    email: str
    account: Account
    sent_to: list[Destination]


def enter(
    login: Login,
    *,
    team: str | None = None,
    keyring: bool = False,
    sources: Sequence[Source] = tuple(Source),
) -> Entered:
    """Prove a key, keep it, and send what these sources of this machine use to its account.

    Raises RefusedError and UnreachableError; nothing is kept then.
    """
    ours = locations.ours()
    with session.connected(login, team) as here:
        me, account = here.me, here.account
        kept = Profile(login.profile, login.url, account=account.id)
        credentials.keep_api_key(ours.credentials, kept, login.api_key, keyring=keyring)
        sent_to = devices.point_at(here, sources)
        here.trackers()
    return Entered(login.profile, me.email, account, sent_to)


def logout(profile: ProfileName = None, as_json: AsJson = False) -> None:
    """Forget a login; what is queued for it stays and still goes out."""
    ours = locations.ours()
    name = settings.load(ours.settings, session.environ_for(profile)).profile.value
    known = credentials.load(ours.credentials).profiles.get(name)
    if known is not None:
        devices.send_nowhere(name)
        credentials.forget_profile(ours.credentials, name)
        heard.forget(ours.names, name)
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


def server_named(url: str | None, chosen: settings.Settings, option: str = "--url") -> str:
    """Return the server that an option names, else that of the settings. Raises UsageError."""
    if url is None:
        return chosen.url.value
    try:
        server = settings.server_url(url)
    except ValueError as error:
        raise UsageError(f"{option} {error}, not {url!r}.") from error
    parts = urlsplit(server)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        note(f"telemhq: {server} is not encrypted: the API key can be read on its way.")
    return server


def key_for(server: str, *, from_stdin: bool, command: str = "login --url") -> str:
    """Return the API key: of stdin, of the environment, or asked for. Raises UsageError.

    Raises NotLoggedInError where nobody is here to be asked.
    """
    if from_stdin:
        key = sys.stdin.readline().strip()
    elif os.environ.get(credentials.API_KEY_VARIABLE):
        key = os.environ[credentials.API_KEY_VARIABLE].strip()
    elif sys.stdin.isatty():
        key = getpass.getpass(f"API key for {server}: ").strip()
    else:
        raise NotLoggedInError(
            "Nobody is here to type the API key.",
            f"telemhq {command} {server} --key-stdin < FILE",
        )
    if not key.isascii() or not key.isprintable() or not key:
        raise UsageError("This is no API key.", "It is one line of letters and digits.")
    return key
