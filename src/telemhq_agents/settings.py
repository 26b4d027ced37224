"""The user's settings: defaults, the file, the profile's part of it, the environment, options.

The later of them holds; each value knows its origin. No secret is in here. What is wrong is named:
the file, the key, the line, what it should be.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from telemhq_agents.errors import SettingsError
from telemhq_agents.nearest import missed
from telemhq_agents.settings_text import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

DEFAULT_URL = "https://telemhq.com"
URL_VARIABLE = "TELEMHQ_URL"
PROFILE_VARIABLE = "TELEMHQ_PROFILE"
COALESCE_MINUTES = (0, 1, 3, 5, 15)
LARGEST_FILE = 1 << 20

T = TypeVar("T")


class Privacy(StrEnum):
    """What of a project leaves this machine, and what is kept on it for its owner's eyes.

    METADATA: names, counts, times. HASHED: the project's name as a digest. CONTENT_REDACTED: as
    METADATA, and a log of prompts, their secrets masked, which never leaves.
    """

    METADATA = "metadata"
    HASHED = "hashed"
    CONTENT_REDACTED = "content-redacted"


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """A setting and where it comes from.

    That is "default", the file, the file with `[profiles.NAME]`, a variable's name, or an option's.
    `line` is where in the file, 0 outside of it.
    """

    value: T
    origin: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose. `timezone` "" is the machine's own; `coalesce` is minutes, 0 for off.

    `private` are patterns of directories whose work stays on this machine.
    """

    url: Value[str]
    profile: Value[str]
    timezone: Value[str]
    coalesce: Value[int]
    privacy: Value[Privacy] = Value(Privacy.METADATA, "default")
    private: Value[tuple[str, ...]] = Value((), "default")


def server_url(text: str) -> str:
    """Check the address of a server and return it without a slash at its end.

    Raises ValueError for anything but http(s)://host[:port][/path] without credentials.
    """
    url = text.strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", url):
        raise ValueError("must be an address such as https://telemhq.example.com")
    return url


def profile_name(text: str) -> str:
    """Check the name of a profile. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("must be up to 64 letters, digits, dots, dashes and underscores")
    return text


def zone_name(text: str) -> str:
    """Check an IANA time zone; "" is the machine's own. Raises ValueError."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - few set one

    if text:
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from error
    return text


def coalesce_minutes(text: str) -> int:
    """Read "off", or "5m". Raises ValueError for windows that do not divide a quarter-hour."""
    minutes = {"off": 0, "0": 0} | {f"{one}m": one for one in COALESCE_MINUTES}
    if text not in minutes:
        raise ValueError("must be off, 1m, 3m, 5m or 15m")
    return minutes[text]


def privacy_level(text: str) -> Privacy:
    """Read a privacy level. Raises ValueError."""
    try:
        return Privacy(text)
    except ValueError as error:
        raise ValueError(f"must be one of {', '.join(Privacy)}") from error


def directory_pattern(text: str) -> str:
    """Check a pattern of directories and return it without a slash at its end.

    Raises ValueError for one that does not begin at the root or at a home, or with `**` elsewhere
    than at its end: it would seem to cover what it does not.
    """
    pattern = text.strip().rstrip("/") or text.strip()[:1]
    if not re.match(r"/|~[^/]*(/|$)", pattern):
        raise ValueError('must be directories such as "~/clients/*" or "/srv/secret"')
    if "**" in pattern.removesuffix("/**"):
        raise ValueError("may hold ** at the end of a directory alone")
    if os.path.expanduser(pattern)[:1] != "/":  # noqa: PTH111 - pathlib's raises RuntimeError
        raise ValueError("must be in a home that there is")
    return pattern


_READERS: Mapping[str, Callable[[str], Any]] = {
    "url": server_url,
    "profile": profile_name,
    "timezone": zone_name,
    "coalesce": coalesce_minutes,
    "privacy": privacy_level,
    "private": directory_pattern,
}
LISTS = frozenset({"private"})
"""Settings that hold any number of values."""

OF_PROFILES = ("url", "timezone")
"""Settings that may stand in `[profiles.NAME]` too: what is asked, and how it is shown. The others
are about what this machine collects, whoever asks."""

PROFILES = "profiles"
VARIABLES = {
    "url": URL_VARIABLE,
    "profile": PROFILE_VARIABLE,
    "timezone": "TELEMHQ_TIMEZONE",
    "coalesce": "TELEMHQ_COALESCE",
    "privacy": "TELEMHQ_PRIVACY",
    "private": "TELEMHQ_PRIVATE",
}
"""The environment's name of each setting; a list's values are separated as in PATH."""

_DEFAULTS: Mapping[str, Any] = {
    "url": DEFAULT_URL,
    "profile": "default",
    "timezone": "",
    "coalesce": 0,
    "privacy": Privacy.METADATA,
    "private": (),
}
KEYS = tuple(_READERS)
"""Every setting there is, in the order in which they are shown."""


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    options: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force. Raises SettingsError that names what is wrong and where."""
    return Settings(**{key: values[-1] for key, values in stacks(path, environ, options).items()})


def stacks(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    options: Mapping[str, str] | None = None,
) -> dict[str, list[Value[Any]]]:
    """Return every value that a setting was given, the default first, the one in force last.

    `options` are settings that the command line named. Raises as `load` does.
    """
    text, written = read(path)
    found: dict[str, list[Value[Any]]] = {
        key: [Value(default, "default")] for key, default in _DEFAULTS.items()
    }
    of_profiles = _of_profiles(path, text, written.pop(PROFILES, {}))
    for key, value in written.items():
        read_value = _from_file(path, text, (key,), value)
        found[key].append(read_value)
    asked = dict(_asked(environ, options or {}))
    profile = asked.get("profile", found["profile"])[-1].value
    for key, one in of_profiles.get(profile, {}).items():
        found[key].append(one)
    for key, values in asked.items():
        found[key] += values
    return found


def profiles(path: Path) -> dict[str, dict[str, Value[Any]]]:
    """Return the settings of each profile that has some. Raises as `load` does."""
    text, written = read(path)
    return _of_profiles(path, text, written.get(PROFILES, {}))


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a settings file's text and what it says; nothing where there is none.

    Raises SettingsError where that is no TOML.
    """
    try:
        text = _text(path)
        return text, tomllib.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        return "", {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise SettingsError(
            f"The settings in {path} cannot be read: {why}.", f"Correct {path}."
        ) from error


def _text(path: Path) -> str:
    """Return a file's text to the letter, without the mark that some editors begin it with."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is no file")  # a pipe would be waited for
    if found.st_size > LARGEST_FILE:
        raise OSError(f"it is larger than {LARGEST_FILE} bytes")
    return path.read_bytes().decode("utf-8-sig")


def value_of(key: str, texts: Sequence[str]) -> Any:  # noqa: ANN401 - as the setting has it
    """Read the texts of a setting. Raises ValueError."""
    if key in LISTS:
        return tuple(_READERS[key](text) for text in texts)
    return _READERS[key](*texts)


def unknown(key: str) -> tuple[str, str]:
    """Say that there is no such setting, what may have been meant, and which there are."""
    return missed(f"there is no setting {key!r}", key, KEYS), known_settings()


def known_settings() -> str:
    """Name every setting."""
    return f"Settings are: {', '.join(KEYS)}."


def _of_profiles(path: Path, text: str, written: object) -> dict[str, dict[str, Value[Any]]]:
    if not isinstance(written, dict):
        message = f"{path}, line {_line(text, (PROFILES,))}: profiles are tables: [profiles.work]."
        raise SettingsError(message, f"Correct {path}.")
    return {name: _of_profile(path, text, name, one) for name, one in written.items()}


def _of_profile(path: Path, text: str, name: str, written: object) -> dict[str, Value[Any]]:
    where = f"{path}, line {_line(text, (PROFILES, name))}"
    try:
        profile_name(name)
    except ValueError as error:
        message = f"{where}: the name of a profile {error}, not {name!r}."
        raise SettingsError(message, f"Correct {path}.") from error
    if not isinstance(written, dict):
        message = f"{where}: a profile is a table: [{PROFILES}.{name}]."
        raise SettingsError(message, f"Correct {path}.")
    return {
        key: _from_file(path, text, (PROFILES, name, key), value) for key, value in written.items()
    }


def _from_file(path: Path, text: str, place: Sequence[str], value: object) -> Value[Any]:
    line, key = _line(text, place), place[-1]
    where = f"{path}, line {line}"
    _must_be_known(where, place)
    found = value if key in LISTS and isinstance(value, list) else [value]
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) < len(found):
        shape = "a list of texts" if key in LISTS else "a text"
        raise SettingsError(f"{where}: {key} must be {shape} in quotes.", f"Correct {path}.")
    try:
        read_value = value_of(key, texts)
    except ValueError as error:
        raise SettingsError(
            f"{where}: {key} {error}, not {value!r}.", f"Correct {path}."
        ) from error
    of_profile = f" [{'.'.join(place[:-1])}]" if len(place) > 1 else ""
    return Value(read_value, f"{path}{of_profile}", line)


def _must_be_known(where: str, place: Sequence[str]) -> None:
    key = place[-1]
    if key not in _READERS:
        message, next_step = unknown(key)
        raise SettingsError(f"{where}: {message}", next_step)
    if len(place) > 1 and key not in OF_PROFILES:
        raise SettingsError(
            f"{where}: {key} holds for the whole machine, it has no place in a profile.",
            f"Settings of a profile are: {', '.join(OF_PROFILES)}.",
        )


def _line(text: str, place: Sequence[str]) -> int:
    return line_of(text, tuple(place))


def _asked(
    environ: Mapping[str, str], options: Mapping[str, str]
) -> Iterator[tuple[str, list[Value[Any]]]]:
    """Yield what the environment and the command line say of each setting, the latter last."""
    for key, variable in VARIABLES.items():
        given = [(variable, environ.get(variable, "")), (f"--{key}", options.get(key, ""))]
        values = [_asked_for(name, key, text) for name, text in given if text]
        if values:
            yield key, values


def _asked_for(name: str, key: str, text: str) -> Value[Any]:
    texts = text.split(os.pathsep) if key in LISTS else [text]
    try:
        return Value(value_of(key, [one for one in texts if one]), name)
    except ValueError as error:
        raise SettingsError(f"{name} {error}, not {text!r}.", f"Correct {name}.") from error
