"""The server's settings: read once from the environment, every wrong one named at start.

Each setting is a variable `NAME`, or `NAME_FILE` naming a file that holds the value (the way
container secrets arrive). docs/reference/settings.md is the user's page.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from server_stub.domain.naming import clean_email, clean_name
from server_stub.domain.plan import UNLIMITED, parse_plan
from telemhq_agents.contract.ping import MAX_BODY_BYTES, SMALLEST_PAYLOAD_LIMIT
from telemhq_agents.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

DATABASE_URL = "TELEMHQ_DATABASE_URL"
HOST = "TELEMHQ_HOST"
PORT = "TELEMHQ_PORT"
PUBLIC_URL = "TELEMHQ_PUBLIC_URL"
MAX_BODY = "TELEMHQ_MAX_BODY_BYTES"
HOME = "TELEMHQ_HOME"
SMTP_HOST = "TELEMHQ_SMTP_HOST"
SMTP_PORT = "TELEMHQ_SMTP_PORT"
SMTP_SECURITY = "TELEMHQ_SMTP_SECURITY"
SMTP_USER = "TELEMHQ_SMTP_USER"
SMTP_PASSWORD = "TELEMHQ_SMTP_PASSWORD"  # noqa: S105 - the name of the variable
MAIL_FROM = "TELEMHQ_MAIL_FROM"
WEBHOOK_ALLOW_PRIVATE = "TELEMHQ_WEBHOOK_ALLOW_PRIVATE"
DEFAULT_PLAN = "TELEMHQ_DEFAULT_PLAN"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
LARGEST_BODY_BYTES = 1024 * 1024
SQLITE_SUFFIXES = (".sqlite3", ".sqlite", ".db")
POSTGRES_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


NEVER_SHOWN = frozenset({DATABASE_URL, SMTP_PASSWORD})


class Security(StrEnum):
    """How the way to the SMTP server is secured: by STARTTLS, by TLS from the start, or not."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


SMTP_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Who takes mail from this server; with an empty `user` nobody signs in there."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server needs to know to run.

    `database_url` is an SQLAlchemy URL of SQLite or PostgreSQL (psycopg). `port` 0 asks the system
    for a free one. `public_url` is how clients reach the server, without a trailing slash; "" means
    as the request came in. `max_body_bytes` bounds the body of one ping.
    Without `mail` nothing is mailed: it waits where people can see it. `allow_private_webhooks`
    lets webhooks reach addresses that are not of the public internet. `default_plan` is the plan,
    by its name, of accounts that are made from now on.
    """

    database_url: str
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    public_url: str = ""
    max_body_bytes: int = MAX_BODY_BYTES
    mail: MailServer | None = None
    allow_private_webhooks: bool = False
    default_plan: str = UNLIMITED


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


def parse_security(text: str) -> Security:
    """Return how to secure the way to the SMTP server. Raises ValueError."""
    try:
        return Security(text.lower())
    except ValueError as error:
        raise ValueError(f"name one of {', '.join(Security)}") from error


def parse_sender(text: str) -> str:
    """Return an address, or `Name <address>`, that mail comes from. Raises ValueError."""
    name, bracket, rest = text.rpartition("<")
    try:
        if not bracket:
            return clean_email(text)
        address = clean_email(rest.removesuffix(">"))
        return f"{clean_name(name)} <{address}>" if name.strip() else address
    except UsageError as error:
        raise ValueError("name an address such as telemhq@example.com") from error


def parse_switch(text: str) -> bool:
    """Return whether something is switched on. Raises ValueError."""
    switches = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in switches:
        raise ValueError("name true or false")
    return switches[text.lower()]


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
            shown = "(not shown)" if name in NEVER_SHOWN else repr(text)
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


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read_mail(reader: Reader) -> MailServer | None:
    """Read how mail goes out; None where no SMTP server is named."""
    host = reader.read(SMTP_HOST, parse_host, "")
    security = reader.read(SMTP_SECURITY, parse_security, Security.STARTTLS)
    port = reader.read(SMTP_PORT, lambda text: _whole_number(text, 1, 65535), SMTP_PORTS[security])
    user, password = reader.read(SMTP_USER, str, ""), reader.read(SMTP_PASSWORD, str, "")
    sender = reader.read(MAIL_FROM, parse_sender, "")
    if not host:
        if user or password or sender:
            reader.wrong.append(f"{SMTP_HOST} is not set, but others of its kind are")
        return None
    if not sender:
        reader.wrong.append(f"{MAIL_FROM} is not set: {SMTP_HOST} needs an address to send from")
    if bool(user) != bool(password):
        reader.wrong.append(f"{SMTP_USER} and {SMTP_PASSWORD} go together: set both or neither")
    if password and security is Security.NONE and not _is_loopback(host):
        reader.wrong.append(
            f"{SMTP_SECURITY} is 'none': the password would travel in the clear;"
            " name starttls or tls"
        )
    return MailServer(host, port, security, sender, user, password)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read every setting once.

    Raises SettingsError that names all wrong ones: which, its value (never a password, nor the
    database URL, which may hold one) and what to put there.
    """
    reader = Reader(environ)
    settings = Settings(
        database_url=reader.read(DATABASE_URL, parse_database_url, default_database(environ)),
        host=reader.read(HOST, parse_host, DEFAULT_HOST),
        port=reader.read(PORT, parse_port, DEFAULT_PORT),
        public_url=reader.read(PUBLIC_URL, parse_public_url, ""),
        max_body_bytes=reader.read(MAX_BODY, parse_max_body, MAX_BODY_BYTES),
        mail=_read_mail(reader),
        allow_private_webhooks=reader.read(WEBHOOK_ALLOW_PRIVATE, parse_switch, default=False),
        default_plan=reader.read(DEFAULT_PLAN, parse_plan, UNLIMITED),
    )
    if reader.wrong:
        raise SettingsError(
            "the server's settings are wrong: " + "; ".join(reader.wrong),
            "correct them in the environment and start again (docs/reference/settings.md)",
        )
    return settings
