"""Names that a person may mean: of this machine, and as servers named them last. Asks nobody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from telemhq_agents import locations
from telemhq_cli.completion import heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.naming import Named
    from telemhq_cli.completion.heard import Names
    from telemhq_cli.completion.place import Wanted
    from telemhq_cli.completion.spelling import Offer

MINE = "me"


def offers(wanted: Wanted, word: str) -> Iterator[Offer]:
    """Yield what values of the wanted kind there are; `word` is what is typed of one."""
    if not isinstance(wanted.kind, str):
        yield from ((one, "") for one in wanted.kind)
        return
    look = _KINDS.get(wanted.kind)
    if look is not None:
        yield from look(wanted, word)


def _trackers(wanted: Wanted, _: str) -> Iterator[Offer]:
    names = [name for known in _heard(wanted) for name in known.get("trackers", ())]
    yield from _plain([*names, *_pinged(_profile(wanted))])


def _pinged(profile: str) -> Iterator[str]:
    """Yield the trackers that `telemhq ping` knows by name; each is kept by its id too."""
    begin = f"{profile}/"
    kept = _credentials().trackers
    known = {name.removeprefix(begin): url for name, url in kept.items() if name.startswith(begin)}
    urls = list(known.values())
    for name, url in known.items():
        if not (name.isdecimal() and urls.count(url) > 1):
            yield name


def _members(wanted: Wanted, _: str) -> Iterator[Offer]:
    yield from _plain([*_all(wanted, "members"), MINE])


def _teams(wanted: Wanted, _: str) -> Iterator[Offer]:
    profiles = heard.load(locations.ours().names)
    known = heard.of_account(profiles, _profile(wanted), None)
    yield from _plain(name for one in known for name in one.get("teams", ()))


def _projects(wanted: Wanted, _: str) -> Iterator[Offer]:
    yield from _plain([*_ledger().projects, *_all(wanted, "projects")])


def _models(wanted: Wanted, _: str) -> Iterator[Offer]:
    yield from _plain([*_ledger().models, *_all(wanted, "models")])


def _fields(wanted: Wanted, _: str) -> Iterator[Offer]:
    tracker = wanted.arguments[0] if wanted.arguments else ""
    for known in _heard(wanted):
        number = known.get("trackers", {}).get(tracker, tracker)
        yield from _plain(known.get("fields", {}).get(number, ()))


def _sessions(_: Wanted, word: str) -> Iterator[Offer]:
    from datetime import UTC, datetime  # noqa: PLC0415 - for sessions alone

    for one in _ledger(word).sessions:
        day = datetime.fromtimestamp(one.last_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d")
        yield one.id, " ".join(filter(None, (day, one.project, one.model)))


def _profiles(_: Wanted, __: str) -> Iterator[Offer]:
    from telemhq_agents import settings  # noqa: PLC0415 - for profiles alone

    logins = _credentials().profiles
    yield from ((name, one.url) for name, one in logins.items())
    known = settings.profiles(locations.ours().settings)
    yield from _plain(name for name in known if name not in logins)


def _zones(_: Wanted, __: str) -> Iterator[Offer]:
    from importlib.resources import files  # noqa: PLC0415 - for time zones alone

    yield from _plain(files("tzdata").joinpath("zones").read_text("utf-8").split())


_KINDS: Mapping[str, Callable[[Wanted, str], Iterator[Offer]]] = {
    "trackers": _trackers,
    "members": _members,
    "teams": _teams,
    "projects": _projects,
    "models": _models,
    "fields": _fields,
    "sessions": _sessions,
    "profiles": _profiles,
    "zones": _zones,
}
KINDS = frozenset({"files", *_KINDS})
"""Every kind that the list of commands may name."""


def _plain(names: Iterable[str]) -> Iterator[Offer]:
    for name in dict.fromkeys(names):
        yield name, ""


def _all(wanted: Wanted, kind: str) -> list[str]:
    return [name for known in _heard(wanted) for name in known.get(kind, ())]


def _ledger(session: str = "") -> Named:
    from telemhq_agents.ledger import naming  # noqa: PLC0415 - sqlite3: 8 ms

    return naming.names(str(locations.ours().ledger), session)


def _heard(wanted: Wanted) -> Sequence[Names]:
    """Return what the account in use named; all accounts of the login where another is named."""
    profile = _profile(wanted)
    is_other = bool({"--team", "--account"} & {name for name, text in wanted.given.items() if text})
    account = None if is_other else _account(profile)
    return heard.of_account(heard.load(locations.ours().names), profile, account)


def _account(profile: str) -> str:
    from telemhq_agents import credentials  # noqa: PLC0415 - 6 ms

    if os.environ.get(credentials.API_KEY_VARIABLE):
        return ""
    login = _credentials().profiles.get(profile)
    return login.account if login is not None else ""


def _credentials() -> Credentials:
    """Return what the credentials tell; nothing where they cannot be read."""
    from telemhq_agents import credentials  # noqa: PLC0415 - 6 ms
    from telemhq_agents.errors import SettingsError  # noqa: PLC0415 - same

    try:
        return credentials.load(locations.ours().credentials)
    except SettingsError:
        return credentials.Credentials()


def _profile(wanted: Wanted) -> str:
    """Return the profile that the line names, else the one in use."""
    from telemhq_agents.errors import SettingsError  # noqa: PLC0415 - with the next

    if wanted.given.get("--profile"):
        return wanted.given["--profile"]
    from telemhq_cli.wrap.trackers import profile_in_use  # noqa: PLC0415 - settings: 12 ms

    try:
        return profile_in_use("", None)
    except (SettingsError, OSError):
        return "default"
