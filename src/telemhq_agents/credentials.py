"""What must not be seen by others: tracking tokens, API keys, the device's salt.

One JSON file, mode 0600, written whole and put in place by rename. The wrapper reads it on its hot
path, so this imports nothing heavy; an API key is in the keyring only where the user asked for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from telemhq_agents import whole_file
from telemhq_agents.destined import Destined, History, backfilled, pointed
from telemhq_agents.errors import NotLoggedInError, SettingsError, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from telemhq_agents.settings import Settings

VERSION = 1
API_KEY_VARIABLE = "TELEMHQ_API_KEY"
KEYRING_SERVICE = "telemhq"
QUARTER_MS = 15 * 60 * 1000
MINUTE_MS = 60_000

Coalescing = tuple[tuple[int, int], ...]
"""(from when in milliseconds, window in milliseconds or 0), oldest first."""


@dataclass(frozen=True, slots=True)
class Device:
    """This machine: a random id, and the salt under which its paths are hashed."""

    id: str
    salt: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A login. `api_key` is "" where the keyring holds it (`keyring`)."""

    name: str
    url: str
    account: str = ""
    api_key: str = ""
    keyring: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """A tracker that a source of this machine is sent to, since `born_ms`.

    `name_key` is what the account's members hash project names under, "" where nobody told it.
    """

    id: str
    ping_url: str
    source: str
    profile: str = ""
    label: str = ""
    born_ms: int = 0
    name_key: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A server and the key to it. `account` is "" for the default one."""

    url: str
    api_key: str
    account: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything in the file.

    `trackers` are ping URLs by the name `telemhq ping` knows them by; `sends_to` is by source where
    what it adds was and is sent (`destinations`, by id).
    """

    device: Device | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    trackers: Mapping[str, str] = field(default_factory=dict)
    coalescing: Mapping[str, Coalescing] = field(default_factory=dict)
    sends_to: Mapping[str, History] = field(default_factory=dict)

    def ping_url(self, destination: str) -> str:
        """Return where an outbox row goes: a ping URL is itself; "" for what is not known."""
        if destination.startswith(("http://", "https://")):
            return destination
        known = self.destinations.get(destination)
        return known.ping_url if known is not None else ""

    def tracker(self, name: str) -> str:
        """Return the ping URL of a tracker by name, "" when it is not known here."""
        return self.trackers.get(name, "")

    def with_profile(self, profile: Profile) -> Self:
        """Return these credentials with one profile set."""
        return replace(self, profiles={**self.profiles, profile.name: profile})

    def without_profile(self, name: str) -> Self:
        """Return these credentials without a profile; its destinations stay, for what is queued."""
        return replace(self, profiles=_without(self.profiles, name))

    def with_destination(self, destination: Destination) -> Self:
        """Return these credentials with one destination set."""
        return replace(self, destinations={**self.destinations, destination.id: destination})

    def destination_of(self, source: str) -> str:
        """Return the id of where a source is sent now, "" for nowhere."""
        history = self.sends_to.get(source, ())
        return history[-1].destination if history else ""

    def with_source_sent(self, source: str, destination: str, since_ms: int) -> Self:
        """Return these credentials with a source sent to `destination` from `since_ms` on."""
        history = self.sends_to.get(source, ())
        return self.with_history(source, pointed(history, destination, since_ms))

    def with_history(self, source: str, history: History) -> Self:
        """Return these credentials with all that is known of where a source was sent."""
        return replace(self, sends_to={**self.sends_to, source: history})

    def with_backfill(self, source: str, since_ms: int) -> Self:
        """Return these credentials with what nobody was told sent where the source is sent now."""
        history = self.sends_to.get(source, ())
        return self.with_history(source, backfilled(history, self.destination_of(source), since_ms))

    def with_turns_told(self, sources: Iterable[str]) -> Self:
        """Return these credentials with sources that had no window noted as told turn by turn."""
        noted = {source: ((0, 0),) for source in sources if source not in self.coalescing}
        return replace(self, coalescing={**self.coalescing, **noted})

    def with_tracker(self, name: str, ping_url: str) -> Self:
        """Return these credentials with the ping URL of a tracker by name."""
        return replace(self, trackers={**self.trackers, name: ping_url})

    def without_tracker(self, name: str) -> Self:
        """Return these credentials without a tracker's ping URL."""
        return replace(self, trackers=_without(self.trackers, name))


def _without(names: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {one: value for one, value in names.items() if one != name}


def load(path: Path) -> Credentials:
    """Read the file; one that is not there holds nothing. Raises SettingsError when it is broken."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Credentials()
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from error
    try:
        return _decoded(path, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _broken(path, str(error)) from error


def _decoded(path: Path, written: dict[str, Any]) -> Credentials:
    if written["version"] > VERSION:
        raise SettingsError(
            f"{path} was written by a newer telemhq (version {written['version']}).",
            "Upgrade telemhq, or set TELEMHQ_HOME to another directory.",
        )
    device = written.get("device")
    profiles = {name: Profile(**one) for name, one in written.get("profiles", {}).items()}
    destinations = {
        name: Destination(**one) for name, one in written.get("destinations", {}).items()
    }
    coalescing = {
        source: tuple((since, window) for since, window in steps)
        for source, steps in written.get("coalescing", {}).items()
    }
    return Credentials(
        device=Device(**device) if device else None,
        profiles=profiles,
        destinations=destinations,
        trackers=dict(written.get("trackers", {})),
        coalescing=coalescing,
        sends_to={
            source: tuple(Destined(**step) for step in steps)
            for source, steps in written.get("sends_to", {}).items()
        },
    )


def _broken(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The credentials in {path} cannot be read: {what}.",
        f"Correct the file, or move it away (mv {path} {path}.broken) and log in again.",
    )


def exposed(path: Path) -> bool:
    """Tell whether others than the owner may read or write the file."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def change(path: Path, changed: Callable[[Credentials], Credentials]) -> Credentials:
    """Read, change and write the file as one step; return what it holds now.

    Other processes that change it wait. Raises SettingsError when it cannot be read or written.
    """
    import fcntl  # noqa: PLC0415 - reading needs no lock

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = load(path)
            after = changed(before)
            if after != before:
                text = json.dumps({"version": VERSION, **asdict(after)}, indent=2) + "\n"
                whole_file.put(path, text.encode())
            return after
        finally:
            os.close(lock)
    except OSError as error:
        raise unwritable(SettingsError, f"The credentials in {path}", error) from error


def device(path: Path) -> Device:
    """Return this machine's id and salt, made the first time somebody asks."""
    known = load(path).device
    if known is not None:
        return known
    made = change(path, lambda held: held if held.device else replace(held, device=_new_device()))
    return made.device or _new_device()


def _new_device() -> Device:
    import uuid  # noqa: PLC0415 - once in a machine's life

    return Device(str(uuid.uuid4()), os.urandom(16).hex())


def coalescing(
    path: Path, source: str, minutes: int, now_ms: int, told_ms: int | None
) -> Coalescing:
    """Return the windows that a source is gathered in, with `minutes` from now on.

    `told_ms` is a moment in the last quarter-hour that a destination was told of; None where none
    was ever told anything: then the first choice holds for all there is. Any other change holds
    from the next quarter-hour on, and what was before it stays written down: a ledger that is
    deleted and read again makes the same keys.
    """
    history = load(path).coalescing.get(source, ())
    if (history[-1][1] if history else 0) == minutes * MINUTE_MS:
        return history
    step = (_begin(history, now_ms, told_ms), minutes * MINUTE_MS)

    def added(held: Credentials) -> Credentials:
        kept = tuple(one for one in held.coalescing.get(source, ()) if one[0] < step[0])
        return replace(held, coalescing={**held.coalescing, source: (*kept, step)})

    return change(path, added).coalescing[source]


def _begin(history: Coalescing, now_ms: int, told_ms: int | None) -> int:
    """Return when a new window begins: after whatever was told, even by a clock that was ahead."""
    if not history and told_ms is None:
        return 0
    latest = max(now_ms, told_ms or 0)
    return max(latest - latest % QUARTER_MS + QUARTER_MS, history[-1][0] if history else 0)


def login(
    settings: Settings, credentials: Credentials, environ: Mapping[str, str] = os.environ
) -> Login:
    """Return the server that commands speak to, and the key to it.

    `TELEMHQ_API_KEY`, else the profile's key in the file, else the keyring's where the profile says
    so. A stored key goes to its own server alone. Raises NotLoggedInError when there is none.
    """
    profile = credentials.profiles.get(settings.profile.value)
    from_environment = environ.get(API_KEY_VARIABLE, "")
    url = settings.url.value
    if profile is not None and settings.url.origin == "default":
        url = profile.url
    if from_environment:
        account = profile.account if profile is not None and profile.url == url else ""
        return Login(url, from_environment, account, settings.profile.value)
    if profile is None:
        from telemhq_agents.nearest import missed  # noqa: PLC0415 - only where something is wrong

        raise NotLoggedInError(
            missed(
                f"There is no login {settings.profile.value!r} on this machine",
                settings.profile.value,
                credentials.profiles,
            ),
            f"telemhq login --url {url}",
        )
    if profile.url != url:
        raise NotLoggedInError(
            f"The login {profile.name!r} belongs to {profile.url}, but {settings.url.origin} says "
            f"{url}.",
            f"telemhq login --url {url} --profile NAME, or set {API_KEY_VARIABLE} for it.",
        )
    key = profile.api_key or (_from_keyring(profile) if profile.keyring else "")
    if not key:
        raise NotLoggedInError(
            f"The key of the login {profile.name!r} is gone"
            f"{' from the keyring' if profile.keyring else ''}.",
            f"telemhq login --url {profile.url} --profile {profile.name}",
        )
    return Login(profile.url, key, profile.account, profile.name)


def keep_api_key(path: Path, profile: Profile, key: str, *, keyring: bool) -> Credentials:
    """Remember a login, its key in the file or, if asked for, in the keyring.

    Raises SettingsError when the keyring does not give back what it was given.
    """
    if keyring:
        _into_keyring(profile, key)
        kept = replace(profile, api_key="", keyring=True)
    else:
        kept = replace(profile, api_key=key, keyring=False)
    return change(path, lambda held: held.with_profile(kept))


def forget_profile(path: Path, name: str) -> Credentials:
    """Forget a login and its key, wherever it is. Doing so twice is no error."""
    profile = load(path).profiles.get(name)
    if profile is not None and profile.keyring:
        _out_of_keyring(profile)
    return change(path, lambda held: held.without_profile(name))


def _keyring_name(profile: Profile) -> str:
    return f"{profile.name} {profile.url}"


def _from_keyring(profile: Profile) -> str:
    import keyring  # noqa: PLC0415 - 120 ms, and only where the profile asks for it
    from keyring.errors import KeyringError  # noqa: PLC0415 - same

    try:
        return keyring.get_password(KEYRING_SERVICE, _keyring_name(profile)) or ""
    except KeyringError as error:
        raise _no_keyring(str(error)) from error


def _into_keyring(profile: Profile, key: str) -> None:
    import keyring  # noqa: PLC0415 - 120 ms, and only where the user asks for it
    from keyring.errors import KeyringError  # noqa: PLC0415 - same

    try:
        keyring.set_password(KEYRING_SERVICE, _keyring_name(profile), key)
        kept = keyring.get_password(KEYRING_SERVICE, _keyring_name(profile))
    except KeyringError as error:
        raise _no_keyring(str(error)) from error
    if kept != key:
        raise _no_keyring("it did not give back what it was given")


def _out_of_keyring(profile: Profile) -> None:
    import keyring  # noqa: PLC0415 - 120 ms, and only where the profile asks for it
    from keyring.errors import KeyringError, PasswordDeleteError  # noqa: PLC0415 - same

    try:
        keyring.delete_password(KEYRING_SERVICE, _keyring_name(profile))
    except PasswordDeleteError:
        return  # it was not there
    except KeyringError as error:
        raise _no_keyring(str(error)) from error


def _no_keyring(what: str) -> SettingsError:
    return SettingsError(
        f"The keyring of this machine cannot be used: {what}.",
        "Unlock it, or log in without --keyring: the key is then kept in a file for you alone.",
    )
