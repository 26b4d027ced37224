"""The user's settings: defaults, then config.toml, then the environment; each knows its origin.

No secret is in here. What is wrong is named: the file, the key, the line, what it should be.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import tomli_w

from telemhq_agents import whole_file
from telemhq_agents.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

DEFAULT_URL = "https://telemhq.com"
URL_VARIABLE = "TELEMHQ_URL"
PROFILE_VARIABLE = "TELEMHQ_PROFILE"
COALESCE_MINUTES = (0, 1, 3, 5, 15)

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
    """A setting and where it comes from: "default", the file, or a variable's name."""

    value: T
    origin: str


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

_VARIABLES = {"url": URL_VARIABLE, "profile": PROFILE_VARIABLE}
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


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings in force. Raises SettingsError that names what is wrong and where."""
    text, written = _read(path)
    values = {key: Value(default, "default") for key, default in _DEFAULTS.items()}
    for key, value in written.items():
        values[key] = Value(_from_file(path, text, key, value), str(path))
    for key, variable in _VARIABLES.items():
        if environ.get(variable):
            values[key] = Value(_from_environment(variable, key, environ[variable]), variable)
    return Settings(**values)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        return "", {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error}.", f"Correct {path}."
        ) from error


def _from_file(path: Path, text: str, key: str, value: object) -> object:
    where = f"{path}, line {_line(text, key)}"
    if key not in _READERS:
        raise SettingsError(
            f"{where}: there is no setting {key!r}.", f"Settings are: {', '.join(KEYS)}."
        )
    found = value if key in LISTS and isinstance(value, list) else [value]
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) < len(found):
        shape = "a list of texts" if key in LISTS else "a text"
        raise SettingsError(f"{where}: {key} must be {shape} in quotes.", f"Correct {path}.")
    try:
        return _value_of(key, texts)
    except ValueError as error:
        raise SettingsError(
            f"{where}: {key} {error}, not {value!r}.", f"Correct {path}."
        ) from error


def _value_of(key: str, texts: Sequence[str]) -> object:
    """Read the texts of a setting. Raises ValueError."""
    if key in LISTS:
        return tuple(_READERS[key](text) for text in texts)
    return _READERS[key](*texts)


def _line(text: str, key: str) -> int:
    named = re.compile(rf"""^\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    lines = (number for number, line in enumerate(text.splitlines(), 1) if named.match(line))
    return next(lines, 1)


def _from_environment(variable: str, key: str, text: str) -> object:
    try:
        return _READERS[key](text)
    except ValueError as error:
        raise SettingsError(f"{variable} {error}, not {text!r}.", f"Correct {variable}.") from error


def write(path: Path, key: str, *texts: str) -> None:
    """Set one setting in the file. Raises UsageError for a wrong key or value."""
    if key not in _READERS:
        raise UsageError(f"There is no setting {key!r}.", f"Settings are: {', '.join(KEYS)}.")
    if key not in LISTS and len(texts) != 1:
        raise UsageError(f"{key} takes one value, not {len(texts)}.")
    try:
        _value_of(key, texts)
    except ValueError as error:
        raise UsageError(f"{key} {error}, not {' '.join(texts)!r}.", "") from error
    _save(path, _read(path)[1] | {key: list(texts) if key in LISTS else texts[0]})


def unset(path: Path, key: str) -> None:
    """Take one setting out of the file, so that its default holds. Twice is no error."""
    if key not in _READERS:
        raise UsageError(f"There is no setting {key!r}.", f"Settings are: {', '.join(KEYS)}.")
    written = _read(path)[1]
    if key in written:
        _save(path, {name: value for name, value in written.items() if name != key})


def _save(path: Path, written: Mapping[str, Any]) -> None:
    try:
        whole_file.put(path, tomli_w.dumps(written).encode())
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be written: {error.strerror or error}.",
            "Check the permissions of the directory and the space left on its disk.",
        ) from error
