"""The tables of docs/reference/settings.md, from what client and server read; its prose is by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from server_stub import settings as of_server
from server_stub.domain.plan import PLANS, UNLIMITED
from telemhq_agents import settings as of_client
from telemhq_agents.contract.ping import MAX_BODY_BYTES, SMALLEST_PAYLOAD_LIMIT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

CLIENT: dict[str, tuple[str, str]] = {
    "url": (
        f"`{of_client.DEFAULT_URL}`",
        "the server that `login` goes to: `http(s)://host[:port][/path]`",
    ),
    "profile": ("`default`", "which login is meant where none is named"),
    "timezone": ("this machine's", "an IANA name, for days and hours of reports"),
    "coalesce": (
        "`off`",
        "`1m`, `3m`, `5m` or `15m`: one ping per session and window, in place of one per turn",
    ),
    "privacy": (
        f"`{of_client.Privacy.METADATA}`",
        " or ".join(f"`{level}`" for level in of_client.Privacy)
        + ": [what of a project leaves this machine](../how-to/what-leaves-this-machine.md)",
    ),
    "private": (
        "none",
        "directories whose work stays on this machine, such as `~/clients/*`; a list",
    ),
}
SERVER: dict[str, tuple[str, str]] = {
    of_server.DATABASE_URL: (
        "the file `server/telemhq.sqlite3` in the user's data directory, or below `TELEMHQ_HOME` where that is set",
        "`sqlite:///PATH`, a path (with a `/` in it, or ending in "
        + ", ".join(f"`{suffix}`" for suffix in of_server.SQLITE_SUFFIXES)
        + "), or `postgresql://user:password@host:port/name`",
    ),
    of_server.HOST: (
        f"`{of_server.DEFAULT_HOST}`",
        "the address or name to listen on; `0.0.0.0` listens everywhere",
    ),
    of_server.PORT: (
        f"`{of_server.DEFAULT_PORT}`",
        "0 to 65535; 0 takes any free port and tells which",
    ),
    of_server.PUBLIC_URL: (
        "as the request came in",
        "the URL that clients use, such as `https://telemhq.example.com`; ping URLs and invitation links begin with it",
    ),
    of_server.MAX_BODY: (
        f"`{MAX_BODY_BYTES}`",
        f"the longest body of one ping, {SMALLEST_PAYLOAD_LIMIT} to {of_server.LARGEST_BODY_BYTES}",
    ),
    of_server.DEFAULT_PLAN: (
        f"`{UNLIMITED}`",
        "the [plan](plans.md) of accounts that are made from now on: "
        + ", ".join(f"`{name}`" for name in PLANS),
    ),
    of_server.SMTP_HOST: (
        "none: nothing is mailed",
        "the SMTP server that takes this server's mail",
    ),
    of_server.SMTP_SECURITY: (
        f"`{of_server.Security.STARTTLS}`",
        "`starttls`, `tls` (from the start) or `none`",
    ),
    of_server.SMTP_PORT: (
        ", ".join(f"{port} ({security})" for security, port in of_server.SMTP_PORTS.items()),
        "1 to 65535",
    ),
    of_server.SMTP_USER: (
        "none: nobody signs in",
        f"together with `{of_server.SMTP_PASSWORD}`, or neither",
    ),
    of_server.SMTP_PASSWORD: (
        "none",
        "with the security `none` only where the SMTP server is this machine",
    ),
    of_server.MAIL_FROM: (
        "none",
        "who mail comes from, needed with an SMTP server: `telemhq@example.com` or `TelemHQ <telemhq@example.com>`",
    ),
    of_server.WEBHOOK_ALLOW_PRIVATE: (
        "`false`",
        "`true` lets webhooks reach private, loopback and link-local addresses",
    ),
}


class Noting(Mapping[str, str]):
    """An empty environment that keeps the names it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def read_by_server() -> set[str]:
    """Return every variable that the server reads its settings from, without the `_FILE` ones."""
    environ = Noting()
    of_server.load(environ)
    return {name for name in environ.names if not name.endswith("_FILE")} - {of_server.HOME}


def client_table() -> str:
    """Return the table of the client's settings. Raises LookupError where one has no words here."""
    _complete(set(of_client.KEYS), CLIENT)
    rows = []
    for key in of_client.KEYS:
        default, takes = CLIENT[key]
        of_profile = "yes" if key in of_client.OF_PROFILES else ""
        rows.append(
            f"| `{key}` | `{of_client.VARIABLES[key]}` | {default} | {takes} | {of_profile} |"
        )
    head = "| setting | variable | default | what it takes | of a profile too |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def server_table() -> str:
    """Return the table of the server's settings. Raises LookupError where one has no words here."""
    _complete(read_by_server(), SERVER)
    rows = [f"| `{name}` | {default} | {takes} |" for name, (default, takes) in SERVER.items()]
    return "| variable | default | what it takes |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _complete(known: set[str], told: Mapping[str, object]) -> None:
    if known != told.keys():
        raise LookupError(f"tools/reference/settings_page.py: {sorted(known ^ told.keys())}")


TABLES = {"client": client_table, "server": server_table}


def page() -> str:
    """Return the page as it is, with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    if {match[1] for match in BLOCK.findall(text)} != TABLES.keys():
        raise LookupError(
            f"{PAGE} needs <!-- generated: NAME --> … <!-- end --> of {sorted(TABLES)}"
        )
    return BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)
