"""The server's settings: read once from the environment, every wrong one named at start.

Each setting is a variable `NAME`, or `NAME_FILE` naming a file that holds the value (the way
container secrets arrive). docs/reference/settings.md is the user's page.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from telemhq_agents.contract.ping import MAX_BODY_BYTES, SMALLEST_PAYLOAD_LIMIT
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

DATABASE_URL = "TELEMHQ_DATABASE_URL"
HOST = "TELEMHQ_HOST"
PORT = "TELEMHQ_PORT"
PUBLIC_URL = "TELEMHQ_PUBLIC_URL"
MAX_BODY = "TELEMHQ_MAX_BODY_BYTES"
HOME = "TELEMHQ_HOME"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
LARGEST_BODY_BYTES = 1024 * 1024
SQLITE_SUFFIXES = (".sqlite3", ".sqlite", ".db")
POSTGRES_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server needs to know to run.

    `database_url` is an SQLAlchemy URL of SQLite or PostgreSQL (psycopg). `port` 0 asks the system
    for a free one. `public_url` is how clients reach the server, without a trailing slash; "" means
    as the request came in. `max_body_bytes` bounds the body of one ping.
    """

    database_url: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    public_url: str = ""
    max_body_bytes: int = MAX_BODY_BYTES


def default_database(environ: Mapping[str, str]) -> str:
    """Return the URL of the embedded database: SQLite in the user's data directory."""
    home = environ.get(HOME)
    if home:
        root = Path(home).absolute()
    else:
        from platformdirs import PlatformDirs  # noqa: PLC0415 - not needed where a home is named

        root = Path(PlatformDirs("telemhq", appauthor=False).user_data_dir)
    return f"sqlite:///{root / 'server' / 'telemhq.sqlite3'}"


def parse_database_url(text: str) -> str:
    """Return an SQLAlchemy URL; a path is an SQLite file. Raises ValueError.

    A bare word is none of these: it would be a file in whatever directory one happens to be in.
    """
    for scheme in POSTGRES_SCHEMES:
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
    elif "://" in text or not ("/" in text or text.endswith(SQLITE_SUFFIXES)):
        raise ValueError("name a postgresql:// or sqlite:/// URL, or the path of an SQLite file")
    else:
        path = text
    if path in {"", ":memory:"}:
        raise ValueError("the SQLite database needs a file; name its path")
    return f"sqlite:///{Path(path).expanduser().absolute()}"


def parse_host(text: str) -> str:
    """Return an address or name to listen on. Raises ValueError."""
    bare = text.removeprefix("[").removesuffix("]")
    names_a_port = bare.count(":") == 1
    if names_a_port or any(character.isspace() or character in "/@" for character in bare):
        raise ValueError("name an address or a host name, such as 127.0.0.1 or 0.0.0.0")
    return bare


def parse_port(text: str) -> int:
    """Return a port, 0 for any free one. Raises ValueError."""
    return _whole_number(text, 0, 65535)


def parse_public_url(text: str) -> str:
    """Return the URL that clients use, without a trailing slash. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("name a whole http(s) URL, such as https://telemhq.example.com")
    return text.rstrip("/")


def parse_max_body(text: str) -> int:
    """Return a bound in bytes. Raises ValueError."""
    return _whole_number(text, SMALLEST_PAYLOAD_LIMIT, LARGEST_BODY_BYTES)


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ValueError(f"name a whole number from {least} to {most}")
    return int(text)


class Reader:
    """Reads named values from an environment and remembers everything that was wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.wrong: list[str] = []

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed value of `name` (or of the file in `name_FILE`), else the default."""
        text, told_by = self._text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            shown = "(not shown)" if name == DATABASE_URL else repr(text)
            self.wrong.append(f"{told_by} is {shown}: {error}")
            return default

    def _text(self, name: str) -> tuple[str | None, str]:
        """Return the value of a setting and who told it; blank means not set."""
        in_file = f"{name}_FILE"
        value, path = self._environ.get(name, "").strip(), self._environ.get(in_file, "").strip()
        if value and path:
            self.wrong.append(f"{name} and {in_file} are both set: keep one of them")
            return None, name
        if not path:
            return value or None, name
        try:
            held = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.wrong.append(f"{in_file} names {path!r}, which cannot be read: {error}")
            return None, in_file
        if not held:
            self.wrong.append(f"{in_file} names {path!r}, which is empty")
        return held or None, in_file


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read every setting once.

    Raises SettingsError that names all wrong ones: which, its value (never of the database URL,
    which may hold a password) and what to put there.
    """
    reader = Reader(environ)
    settings = Settings(
        database_url=reader.read(DATABASE_URL, parse_database_url, default_database(environ)),
        host=reader.read(HOST, parse_host, DEFAULT_HOST),
        port=reader.read(PORT, parse_port, DEFAULT_PORT),
        public_url=reader.read(PUBLIC_URL, parse_public_url, ""),
        max_body_bytes=reader.read(MAX_BODY, parse_max_body, MAX_BODY_BYTES),
    )
    if reader.wrong:
        raise SettingsError(
            "the server's settings are wrong: " + "; ".join(reader.wrong),
            "correct them in the environment and start again (docs/reference/settings.md)",
        )
    return settings
