"""No command loads what it does not use: what each may load stands here."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from telemhq_cli.commands.tree import ROOMS, command_of
from tests.telemhq_cli import loading
from tests.telemhq_cli.conftest import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

LEDGER = {"sqlite3"}
WEB = {"httpx"}
DATABASE = {"server_stub", "sqlalchemy", "alembic", "asyncio", "sqlite3"}

MAY_LOAD: dict[str, set[str]] = {
    "usage": LEDGER,
    "usage --since 7d --by day": LEDGER,
    "usage sessions": LEDGER,
    "usage trend": LEDGER,
    "usage heatmap": LEDGER,
    "usage export": LEDGER,
    "usage --team": WEB,
    "ping nightly": WEB,
    "statusline --shell": LEDGER,
    "whoami": WEB,
    "logout": set(),
    "plan": WEB,
    "tracker list": WEB,
    "tracker show nightly": WEB,
    "tracker chart nightly": WEB,
    "tracker schedule explain '@daily'": WEB,
    "assertion list nightly": WEB,
    "webhook list nightly": WEB,
    "mail list": WEB,
    "status-page list": WEB,
    "metrics-key list": WEB,
    "team usage": WEB,
    "team members": WEB,
    "key list": WEB,
    "agent status": LEDGER,
    "agent outbox": LEDGER,
    "agent logs": set(),
    "agent once": LEDGER | WEB,
    "codex scan": LEDGER,
    "claude scan": LEDGER,
    "claude install --dry-run": set(),
    "claude status": LEDGER,
    "server init --email ada@example.com": DATABASE,
    "server plan list": DATABASE,
    "prices list": set(),
    "prices set my-model --input 1 --output 2": {"tomli_w"},
    "ledger export all.jsonl": LEDGER,
    "ledger backup": LEDGER,
    "ledger verify": LEDGER,
    "privacy preview": LEDGER,
    "privacy prompts": set(),
    "config list": set(),
    "config get timezone": set(),
    "config set timezone UTC": {"tomli_w"},
    "config path": set(),
    "doctor": LEDGER | WEB | {"keyring"},
    "completion show bash": set(),
}
"""What running a command may load, where nobody answers and nothing is known. Its help: nothing."""


def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, one in getattr(command, "commands", {}).items():
        yield from below(one, (*words, name))


def of_room(word: str) -> list[tuple[str, ...]]:
    return list(below(command_of(word).commands[word], (word,)))


IN_ROOMS = {word: of_room(word) for words in ROOMS.values() for word in words}
EVERY_COMMAND = [words for several in IN_ROOMS.values() for words in several]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What was loaded when the help of every command was shown, and when the table's were run."""
    home = tmp_path_factory.mktemp("home")
    nobody = {"TELEMHQ_URL": "http://127.0.0.1:9", "TELEMHQ_API_KEY": "thq_made_up"}
    helps = [[[*words, "--help"] for words in several] for several in IN_ROOMS.values()]
    asked = [[["--help"]], *helps, *([shlex.split(line)] for line in MAY_LOAD)]
    answers = ask(asked, Machine(home, nobody), home)
    return {
        shlex.join(line): set(modules)
        for lines, told in zip(asked, answers, strict=True)
        for line, modules in zip(lines, told, strict=True)
    }


def ask(asked: list[list[list[str]]], machine: Machine, place: Path) -> list[list[list[str]]]:
    done = subprocess.run(
        [sys.executable, loading.__file__],
        input=json.dumps(asked),
        env=machine.environ,
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[list[list[str]]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("words", [(), *EVERY_COMMAND], ids=" ".join)
def test_help_loads_nothing_heavy(loaded: dict[str, set[str]], words: tuple[str, ...]) -> None:
    assert loaded[shlex.join([*words, "--help"])] == set()


@pytest.mark.parametrize("line", MAY_LOAD)
def test_a_command_loads_no_more_than_it_uses(loaded: dict[str, set[str]], line: str) -> None:
    assert loaded[shlex.join(shlex.split(line))] <= MAY_LOAD[line]


def test_every_room_of_commands_has_one_that_is_run() -> None:
    run = {shlex.split(line)[0] for line in MAY_LOAD}

    assert set(IN_ROOMS) - run == {"setup", "top", "login"}  # which ask, or go on


def test_what_is_heavy_would_be_seen(tmp_path: Path) -> None:
    told = ask([[["server", "plan", "list"]], [["usage"]]], Machine(tmp_path), tmp_path)

    assert "sqlalchemy" in told[0][0]
    assert told[1][0] == ["sqlite3"]
