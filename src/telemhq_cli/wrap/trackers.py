"""Where a tracker's pings go: its URL as given, as kept on this machine, or as the server says."""

from __future__ import annotations

import os

from telemhq_agents import locations
from telemhq_agents.errors import NotLoggedInError, UnreachableError, UsageError

PORTS = 65_536


def is_url(target: str) -> bool:
    """Tell whether this is a ping URL rather than a tracker's name or id."""
    return target.startswith(("http://", "https://"))


def wrong_with(url: str) -> str:
    """Return what is wrong with a ping URL, "" for one that can be used."""
    if not url.isprintable() or " " in url:
        return "there is a space in it"
    place = url.partition("://")[2].partition("#")[0].partition("?")[0].partition("/")[0]
    host = place.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    if not name or ("[" in host) != ("]" in host):
        return "it names no host"
    if port and not (port.isascii() and port.isdecimal() and int(port[:6]) < PORTS):
        return f"{port} is no port"
    return ""


def profile_in_use(target: str, named: str | None) -> str:
    """Return the profile that a name is looked up in: the option, the variable, the setting.

    "" for a URL, which needs none. Raises SettingsError for settings that cannot be read.
    """
    if is_url(target):
        return ""
    told = named or os.environ.get("TELEMHQ_PROFILE")
    if told:
        return told
    path = locations.ours().settings
    if not path.exists():
        return "default"
    from telemhq_agents import settings  # noqa: PLC0415 - TOML: 12 ms

    return settings.load(path).profile.value


def ping_url(target: str, profile: str) -> str:
    """Return the ping URL of a URL, tracker name or id; "" where only the server could tell.

    Raises UsageError for a URL that is none and where the server knows no such tracker (or several
    of that name), NotLoggedInError where there is no server to ask. A `profile` of "" is the one in
    use, where whoever left the ping could not read the settings.
    """
    profile = profile or profile_in_use(target, None)
    return known_url(target, profile) or _ask(target, profile)


def asked_again(target: str, profile: str, refused_url: str) -> str:
    """Forget the ping URL of a tracker by name, and return what the server names now.

    "" where it does not answer. Raises as `ping_url` does; where nobody can be asked, nothing is
    forgotten.
    """
    from telemhq_agents import credentials  # noqa: PLC0415 - 5 ms that a URL does not need

    profile = profile or profile_in_use(target, None)
    if not _can_ask(profile):
        raise NotLoggedInError(
            f"Nobody can be asked from here where the tracker {target!r} is now.",
            "telemhq tracker list   (or give its present ping URL)",
        )
    name = f"{profile}/{target}"
    credentials.change(
        locations.ours().credentials,
        lambda held: held.without_tracker(name) if held.tracker(name) == refused_url else held,
    )
    return _ask(target, profile)


def known_url(target: str, profile: str) -> str:
    """Return the ping URL of a URL, or of a tracker known here; "" for others. Asks nobody.

    Raises UsageError for a URL that is none.
    """
    if is_url(target):
        wrong = wrong_with(target)
        if wrong:
            raise UsageError(
                f"This is no ping URL: {wrong}.", "It looks like https://HOST/ping/TOKEN."
            )
        return target
    from telemhq_agents import credentials  # noqa: PLC0415 - 5 ms that a URL does not need

    return credentials.load(locations.ours().credentials).tracker(f"{profile}/{target}") or ""


def _can_ask(profile: str) -> bool:
    from telemhq_agents import credentials  # noqa: PLC0415 - loaded by now

    if os.environ.get(credentials.API_KEY_VARIABLE):
        return True
    login = credentials.load(locations.ours().credentials).profiles.get(profile)
    return login is not None and not login.keyring


def _known(profile: str) -> list[str]:
    """Return the names of the trackers that this machine knows of a profile."""
    from telemhq_agents import credentials  # noqa: PLC0415 - loaded by now

    begin = f"{profile}/"
    kept = credentials.load(locations.ours().credentials).trackers
    return [name.removeprefix(begin) for name in kept if name.startswith(begin)]


def _ask(target: str, profile: str) -> str:
    from telemhq_cli.commands import session  # noqa: PLC0415 - httpx, for names not seen before

    if not _can_ask(profile):
        from telemhq_agents.nearest import missed  # noqa: PLC0415 - only where something is wrong

        raise NotLoggedInError(
            missed(f"This machine does not know the tracker {target!r}", target, _known(profile)),
            "telemhq tracker list   (or give its ping URL)",
        )
    try:
        with session.opened(profile) as here:
            return here.tracker(target).ping_url
    except UnreachableError:
        return ""
    except UsageError as error:
        raise UsageError(f"{error.message} The ping is not recorded.", error.next_step) from error
