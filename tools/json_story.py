"""Two people, a server and every command that speaks JSON: what the reference of it is made of.

All in one process, on loopback, below a directory of its own. Each answer is noted by its command.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import shutil
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from queue import Queue
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from typer.main import get_command

from server_stub.run import make_server
from server_stub.settings import Settings
from server_stub.setup import initialise
from telemhq_agents import clock
from telemhq_cli import main as entry
from telemhq_cli.commands.tree import tree, words_of
from telemhq_cli.journal import Journal
from tools.demo import environ_of
from tools.make_demo_logs import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS = 12
NOT_ANSWERS = frozenset({"ping", "tracker export", "agent run", "server run", "statusline"})
"""What prints a file, a line for somebody else, or runs until it is stopped."""
FINDINGS = {0, 1, 8}
PATIENCE_S = 15.0
A_MOMENT_S = 0.01
NEW_SESSION = "5c2a7f4e-0000-4000-8000-000000000001"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *is-active*) test -e "$HOME/started";;
  *enable*) touch "$HOME/started";;
  *disable*) rm -f "$HOME/started";;
esac
"""
PRICES = [
    {
        "id": name,
        "name": name,
        "models": [
            {
                "id": model,
                "match": {"equals": model},
                "prices": {"input_mtok": 1, "output_mtok": 4},
            }
        ],
    }
    for name, model in (("anthropic", "opus"), ("openai", "gpt"), ("aws", "nova"))
]
TRACKERS = '[[trackers]]\nname = "from a file"\n'


class StoryError(Exception):
    """A command of the story did not do what it should."""


class Book:
    """What every command answered, by its words: samples of its document, columns of its table."""

    def __init__(self) -> None:
        self.schemas: dict[str, list[str]] = {}
        self.samples: dict[str, dict[str, list[Any]]] = {}
        self.columns: dict[str, list[str]] = {}

    def note(self, words: str, envelope: dict[str, Any]) -> None:
        """Keep one more answer."""
        schema = envelope["schema"]
        self.samples.setdefault(words, {}).setdefault(schema, []).append(envelope["data"])

    def head(self, words: str, table: str) -> None:
        """Keep a table's columns."""
        if table:
            self.columns[words] = table.splitlines()[0].split(",")


class Teller:
    """Somebody with a home, whose commands are noted."""

    def __init__(self, book: Book, home: Path) -> None:
        self.book = book
        self.home = home
        self.commands = get_command(tree())
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "systemctl").write_text(SYSTEMCTL, encoding="utf-8")
        (home / "bin" / "systemctl").chmod(0o755)

    def does(self, *arguments: str, given: str = "", codes: set[int] | None = None) -> str:
        """Run a command in this process and return what it prints."""
        out, err = io.StringIO(), io.StringIO()
        environ = environ_of(self.home) | {
            "PATH": f"{self.home / 'bin'}:/usr/bin:/bin",
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_RUNTIME_DIR": str(self.home),
        }
        with (
            patch.dict(os.environ, environ, clear=True),
            patch.object(sys, "argv", ["telemhq", *arguments]),
            patch.object(sys, "stdin", io.StringIO(given)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = entry.main()
        gc.unfreeze()
        gc.enable()
        if code not in (codes or FINDINGS):
            said = f"{out.getvalue()}{err.getvalue()}"
            raise StoryError(f"telemhq {' '.join(arguments)} ended with {code}:\n{said}")
        return out.getvalue()

    def tells(self, *arguments: str, given: str = "", csv: bool = True) -> Any:  # noqa: ANN401 - JSON
        """Run a command that speaks JSON, note what it says, and return its data."""
        words = " ".join(words_of(self.commands, arguments))
        envelope = json.loads(self.does(*arguments, "--json", given=given))
        self.book.note(words, envelope)
        if csv and "--csv" in options_of(self.commands, words):
            self.book.head(words, self.does(*arguments, "--csv", given=given))
        return envelope["data"]

    def waits(self, *arguments: str) -> list[Any]:
        """Return what a list holds once nothing in it waits to be tried for the first time."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found: list[Any] = json.loads(self.does(*arguments, "--json"))["data"]
            if found and all(one["state"] != "waiting" or one["attempts"] for one in found):
                return found
            time.sleep(0.05)
        raise StoryError(f"telemhq {' '.join(arguments)}: something waits: {found}")


def options_of(command: Any, words: str) -> list[str]:  # noqa: ANN401 - Typer's own
    """Return the options of the command of these words."""
    for word in words.split():
        command = command.commands[word]
    return [name for one in command.params for name in one.opts]


def speaking(command: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - Typer's own
    """Yield the words of every command that has --json."""
    if any("--json" in one.opts for one in command.params):
        yield path.strip()
    for name, below in getattr(command, "commands", {}).items():
        yield from speaking(below, f"{path} {name}")


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, str]]:
    """Run a server in a thread; yield its address and its owner's API key."""
    settings = Settings(f"sqlite:///{root}/story.sqlite3", port=0, allow_private_webhooks=True)
    made = initialise(settings, "ada@example.com", "Ada")
    listening: Queue[str] = Queue()
    server, bound = make_server(settings, listening.put)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield listening.get(timeout=20), made.api_key
    finally:
        server.should_exit = True
        thread.join(20)


def told(root: Path) -> Book:
    """Play the story below `root` and return what was answered."""
    book = Book()
    ada, grace = (Teller(book, root / name) for name in ("ada", "grace"))
    for person, logs in ((ada, "owner"), (grace, "member")):
        shutil.copytree(HERE / logs, person.home, dirs_exist_ok=True)
    _server_commands(ada, root)
    with serving(root) as (url, api_key):
        _people(ada, grace, url, api_key)
        _reports(ada)
        _trackers(ada)
        _judging(ada)
        _alerts(ada)
        _shown(ada)
        _here(ada, root)
    return book


def _works_now(home: Path) -> None:
    """Let Claude Code have worked a moment ago: an old session's log, of another id and of now."""
    old = min((home / "claude").rglob("*.jsonl"))
    text = old.read_text(encoding="utf-8").replace(old.stem, NEW_SESSION)
    text = re.sub(r'"timestamp":\s?"[^"]*"', f'"timestamp":"{clock.to_iso(clock.now_ms())}"', text)
    text = re.sub(r'"(msg_|req_)', r'"\1of_now_', text)
    old.with_stem(NEW_SESSION).write_text(text, encoding="utf-8")


def _server_commands(ada: Teller, root: Path) -> None:
    first = f"sqlite:///{root}/first.sqlite3"
    ada.tells("server", "init", "--email", "ada@example.com", "--database", first)
    accounts = ada.tells("server", "plan", "list", "--database", first)
    ada.tells("server", "plan", "set", accounts[0]["id"], "pro", "--database", first)
    for name in ("second", "third"):
        target = f"sqlite:///{root}/{name}.sqlite3"
        if name == "second":
            ada.tells("server", "migrate-database", first, target, csv=False)
        else:
            table = ada.does("server", "migrate-database", first, target, "--csv")
            ada.book.head("server migrate-database", table)


def _people(ada: Teller, grace: Teller, url: str, api_key: str) -> None:
    ada.tells("login", "--url", url, "--key-stdin", given=f"{api_key}\n")
    ada.tells("whoami")
    ada.tells("plan")
    ada.tells("team", "create", "Engines")
    link = ada.tells("team", "invite", "grace@example.com")["link"]
    grace.tells("team", "accept", link)
    ada.tells("team", "invite", "charles@example.com")
    for words in (("members",), ("list",), ("invitations",)):
        ada.tells("team", *words)
    for person in (ada, grace):
        person.does("agent", "once", "--backfill")
    ada.tells("agent", "once")
    key = ada.tells("key", "create", "ci")
    ada.tells("key", "list")
    ada.tells("key", "revoke", key["id"], "--yes")
    ada.tells("logout", "--profile", "nobody")


def _reports(ada: Teller) -> None:
    ada.tells("usage")
    ada.tells("usage", "--team", "--by", "member", csv=False)
    ada.tells("usage", "--reprice", csv=False)
    ada.tells("usage", "--with-background", csv=False)
    ada.tells("privacy", "preview")
    sessions = json.loads(ada.does("usage", "--by", "session", "--json"))["data"]["rows"]
    ada.tells("usage", "--explain", sessions[0]["session"], csv=False)
    for words in (("heatmap",), ("sessions",), ("session", sessions[0]["session"]), ("trend",)):
        ada.tells("usage", *words)
    _works_now(ada.home)
    ada.does("agent", "once")
    ada.tells("top", "--once")
    ada.tells("team", "usage")
    project = json.loads(ada.does("usage", "--team", "--by", "project", "--json"))["data"]
    ada.tells("team", "project", project["rows"][0]["project"])


def _trackers(ada: Teller) -> None:
    ada.tells("tracker", "create", "nightly")
    ada.tells("tracker", "list")
    ada.tells("tracker", "schedule", "set", "nightly", "0 6 * * *", "--timezone", "UTC")
    ada.tells("assertion", "add", "nightly", "rows", ">", "1")
    for number in range(RUNS):
        ping = ("nightly", "-f", f"rows={number}", "-f", "input_tokens=10", "--project", "books")
        ada.does("ping", *ping, "--status", "error" if number == 1 else "success")
    for words in (("show",), ("runs",), ("transitions",), ("fields",), ("summary",), ("badge",)):
        ada.tells("tracker", *words, "nightly")
    ada.tells("tracker", "chart", "nightly", "-f", "rows")
    ada.tells("tracker", "breakdown", "nightly", "-f", "rows")
    for verb in ("pin", "hide", "reset"):
        ada.tells("tracker", "field", verb, "nightly", "rows")
    ada.tells("tracker", "schedule", "explain", "nightly")
    ada.tells("tracker", "schedule", "next", "nightly")
    ada.tells("tracker", "schedule", "clear", "nightly")
    ada.tells("tracker", "set", "nightly", "--fail-after", "2")
    ada.tells("tracker", "create", "weekly")
    ada.tells("tracker", "update", "weekly", "--name", "monthly")
    for verb in ("pause", "resume"):
        ada.tells("tracker", verb, "monthly")
    ada.tells("tracker", "rotate", "monthly", "--yes")
    ada.tells("tracker", "delete", "monthly", "--yes")


def _judging(ada: Teller) -> None:
    ada.tells("assertion", "suggest", "nightly")
    [one] = ada.tells("assertion", "list", "nightly")
    ada.tells("assertion", "test", "nightly")
    ada.tells("assertion", "update", "nightly", one["id"], "--value", "1")
    ada.tells("assertion", "remove", "nightly", one["id"])
    ada.tells("tracker", "apply", "-", "--dry-run", given=TRACKERS)


def _alerts(ada: Teller) -> None:
    ada.tells("webhook", "add", "nightly", "http://127.0.0.1:9/in")
    ada.tells("webhook", "list", "nightly")
    tried = ada.tells("webhook", "test", "nightly")["delivery"]["id"]
    ada.tells("webhook", "deliveries", "nightly")
    ada.tells("webhook", "show", tried)
    ada.tells("webhook", "redeliver", tried)
    ada.tells("webhook", "rotate", "nightly")
    ada.tells("webhook", "remove", "nightly", "--yes")
    ada.tells("mail", "add", "nightly", "ops@example.com")
    ada.tells("mail", "subscribe", "nightly")
    ada.tells("mail", "test")
    mailed = ada.waits("mail", "list")
    ada.tells("mail", "list")
    ada.tells("mail", "show", mailed[0]["id"])
    ada.tells("mail", "remove", "nightly", "ops@example.com")


def _shown(ada: Teller) -> None:
    page = ada.tells("status-page", "create", "All is well", "nightly")
    ada.tells("status-page", "list")
    ada.tells("status-page", "remove", page["id"], "--yes")
    key = ada.tells("metrics-key", "create", "prometheus")
    ada.tells("metrics-key", "list")
    ada.tells("metrics-key", "revoke", key["id"], "--yes")


def _here(ada: Teller, root: Path) -> None:
    ada.does("ping", "http://127.0.0.1:9/ping/tt_gone", "--status", "success")
    ada.tells("agent", "once")
    ada.tells("agent", "outbox")
    Journal(ada.home / "telemhq" / "agent.log").write("started")
    for words in (("install",), ("status",), ("logs",), ("uninstall",)):
        ada.tells("agent", *words)
    ada.tells("claude", "install", "--claude-version", "2.1.328")
    for words in (("status",), ("scan",), ("uninstall",)):
        ada.tells("claude", *words)
    ada.tells("codex", "scan")
    (root / "prices.json").write_text(json.dumps(PRICES), encoding="utf-8")
    ada.tells("prices", "list")
    ada.tells("prices", "update", "--from", str(root / "prices.json"))
    ada.tells("prices", "set", "our-own", "--input", "1", "--output", "2")
    ada.tells("prices", "unset", "our-own")
    ada.tells("ledger", "export", str(root / "ledger.jsonl"))
    ada.tells("ledger", "import", str(root / "ledger.jsonl"))
    ada.tells("ledger", "backup", str(root / "backup.sqlite3"))
    ada.tells("ledger", "verify")
    ada.does("config", "set", "privacy", "content-redacted")
    ada.does("agent", "once")
    time.sleep(A_MOMENT_S)
    _works_now(ada.home)
    ada.does("agent", "once")
    ada.tells("privacy", "prompts")
    ada.tells("privacy", "forget", "--yes")
    ada.tells("config", "get", "timezone")
    ada.tells("config", "set", "timezone", "UTC")
    ada.tells("config", "unset", "timezone")
    for word in ("list", "path", "profiles"):
        ada.tells("config", word)
    ada.tells("doctor")
    ada.tells("completion", "install", "fish")
    ada.tells("setup", "--local", "--yes", "--no-service", "--no-claude")
