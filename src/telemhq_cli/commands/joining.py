"""Accepting an invitation: with the login there is, or as somebody new."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from telemhq_agents import credentials, locations, settings
from telemhq_agents.credentials import Login, Profile
from telemhq_agents.errors import UsageError
from telemhq_cli.commands import devices, session

if TYPE_CHECKING:
    from telemhq_agents.contract.resources import Joined
    from telemhq_agents.credentials import Credentials

_LINK = re.compile(r"(?P<url>https?://[^/\s?#]+(?:/[^\s?#]*)?)/invitations/(?P<token>[^/\s?#]+)/?")


def read_link(link: str) -> tuple[str, str]:
    """Return the server and the token of an invitation's link. Raises UsageError."""
    found = _LINK.fullmatch(link.strip())
    if found is None:
        raise UsageError(
            "This is no invitation's link.", "It looks like https://HOST/invitations/TOKEN."
        )
    return found["url"], found["token"]


def accept(link: str, *, name: str, profile: str | None) -> Joined:
    """Accept an invitation, keep the login, and send what this machine collects to the team.

    A login for the link's server is used where there is one; an address that is new there gets
    its first API key with the answer. Raises UsageError before anything is accepted where the
    login's name is taken by another server.
    """
    url, token = read_link(link)
    ours = locations.ours()
    held = credentials.load(ours.credentials)
    login = _login(held, url, profile)
    with session.connected(login) as guest:
        joined = guest.api.accept(token, name=name or None)
    key = joined.api_key or login.api_key
    kept = Profile(login.profile, url, account=joined.account.id)
    known = held.profiles.get(login.profile)
    credentials.keep_api_key(
        ours.credentials, kept, key, keyring=known is not None and known.keyring
    )
    with session.connected(Login(url, key, joined.account.id, login.profile)) as here:
        devices.point_at(here)
        here.trackers()
    return joined


def _login(held: Credentials, url: str, wanted: str | None) -> Login:
    """Return the login for a server, with an empty key where there is none yet."""
    environ = session.environ_for(wanted)
    name = settings.load(locations.ours().settings, environ).profile.value
    known = held.profiles.get(name)
    if known is not None and known.url != url:
        raise UsageError(
            f"The login {name!r} belongs to {known.url}, the invitation to {url}.",
            f"telemhq team accept LINK --profile {_suggested(url)}",
        )
    if known is None:
        return Login(url, os.environ.get(credentials.API_KEY_VARIABLE, ""), "", name)
    pinned = {**environ, settings.URL_VARIABLE: url}
    return credentials.login(settings.load(locations.ours().settings, pinned), held, pinned)


def _suggested(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return re.sub(r"[^A-Za-z0-9]+", "-", host).strip("-") or "team"
