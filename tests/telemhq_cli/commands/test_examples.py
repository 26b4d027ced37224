"""Every command's help ends with examples; each is parsed here, and run where that does no harm."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from telemhq_agents import clock
from telemhq_cli.commands import examples, grouping
from telemhq_cli.commands.tree import ROOMS, command_of
from telemhq_cli.wrap import command_line
from tests.telemhq_agents.test_published_prices import document
from tests.telemhq_cli.commands.conftest import Done
from tests.telemhq_cli.logs import CodexSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

EVERY_EXAMPLE = [(words, one) for words, several in examples.EXAMPLES.items() for one in several]
LOGIN = "login --url http://127.0.0.1:8000 --key-stdin --team Engines"
HOOK = "https://hooks.example.com/alerts"
GOES_ON = "it goes on until it is stopped"
ELSEWHERE = "it asks another machine, or changes what keeps this one running"
PARSED_ALONE = {
    "telemhq setup": "it asks",
    "telemhq setup --local --yes": ELSEWHERE,
    "telemhq top": GOES_ON,
    "telemhq top --interval 10": GOES_ON,
    "telemhq tracker runs nightly --follow": GOES_ON,
    "telemhq agent run --coalesce 5m": GOES_ON,
    "telemhq codex watch": GOES_ON,
    "telemhq server run": GOES_ON,
    "telemhq server run --host 0.0.0.0 --port 8000": GOES_ON,
    "telemhq agent install": ELSEWHERE,
    "telemhq agent uninstall": ELSEWHERE,
    "telemhq webhook test nightly": ELSEWHERE,
    "telemhq webhook show DELIVERY": ELSEWHERE,
    "telemhq webhook redeliver DELIVERY": ELSEWHERE,
    "telemhq mail test": ELSEWHERE,
    "telemhq mail show MAIL": ELSEWHERE,
}
"""Why an example is not run."""

FOUND = {"telemhq doctor", "telemhq doctor --json", "telemhq agent status"}
"""What ends with a code of its own, which tells what was found."""

AWAY = "tracker update nightly --name put-away"
BACK = "tracker update put-away --name nightly"
BEFORE: dict[str, tuple[str, ...]] = {
    "telemhq tracker create nightly": (AWAY,),
    "telemhq tracker delete nightly --yes": (AWAY, "tracker create nightly"),
    "telemhq tracker summary nightly": ("tracker set nightly --summary daily",),
    "telemhq assertion add nightly cost_usd '<' 2": ("assertion remove nightly cost_usd",),
    "telemhq assertion remove nightly cost_usd": (
        "assertion remove nightly cost_usd",
        "assertion add nightly cost_usd < 7",
    ),
    f"telemhq webhook add nightly {HOOK}": (f"webhook remove nightly {HOOK} --yes",),
    f"telemhq webhook rotate nightly {HOOK}": (f"webhook add nightly {HOOK}",),
    "telemhq mail add nightly oncall@example.com": ("mail remove nightly oncall@example.com",),
    "telemhq status-page create 'Our jobs' nightly": ("status-page remove 'Our jobs' --yes",),
    "telemhq status-page remove 'Our jobs' --yes": (
        "status-page remove 'Our jobs' --yes",
        "status-page create 'Our jobs' nightly",
    ),
    "telemhq server migrate-database sqlite:///old.sqlite3 sqlite:///new.sqlite3": (
        "server init --email ada@example.com --database old.sqlite3",
    ),
}
"""What is typed first, whether it was needed or not."""

AFTER: dict[str, tuple[str, ...]] = {
    "telemhq logout": (LOGIN,),
    "telemhq login --url http://127.0.0.1:8000 --key-stdin": (LOGIN,),
    "telemhq team create Acme": (LOGIN,),
    "telemhq tracker create nightly": ("tracker delete nightly --yes", BACK),
    "telemhq tracker update nightly --name 'nightly backup'": (
        "tracker update 'nightly backup' --name nightly",
    ),
    "telemhq tracker delete nightly --yes": (BACK,),
}
"""What is typed so that the next ones find things as they were."""


def commands(command: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{words} {name}".strip())


EVERY_COMMAND = dict(commands(command_of()))


def test_every_command_has_one_example_or_two_and_nothing_else_has() -> None:
    assert set(examples.EXAMPLES) == set(EVERY_COMMAND)
    assert {len(several) for several in examples.EXAMPLES.values()} <= {1, 2}


def test_what_these_tests_know_of_examples_is_of_some_that_there_are() -> None:
    known = {one for _, one in EVERY_EXAMPLE}
    assert known >= set(PARSED_ALONE) | FOUND | set(BEFORE) | set(AFTER)


@pytest.mark.parametrize(("words", "example"), EVERY_EXAMPLE, ids=[one for _, one in EVERY_EXAMPLE])
def test_an_example_is_of_its_command_and_can_be_parsed(words: str, example: str) -> None:
    program, *given = arguments_of(example)
    command, path = command_of(given[0]), []
    while given and given[0] in getattr(command, "commands", {}):
        path.append(given.pop(0))
        command = command.commands[path[-1]]

    assert program == "telemhq"
    assert " ".join(path).startswith(words)
    if path == ["ping"]:
        assert command_line.parse(given).mistake == ""
    else:
        assert command.make_context(path[-1], given)


@pytest.mark.parametrize("words", EVERY_COMMAND)
def test_a_help_text_begins_with_a_sentence_and_ends_with_the_examples(
    telemhq: CommandLine, words: str
) -> None:
    told = telemhq(*words.split(), "--help").out
    said = (EVERY_COMMAND[words].help or "").split("\n\n")[0]

    assert said[:1].isupper()
    assert said.endswith(".")
    ended = [line.strip() for line in told.rstrip().splitlines()]
    assert tuple(ended[-len(examples.EXAMPLES[words]) :]) == examples.EXAMPLES[words]


def test_every_command_stands_on_one_shelf() -> None:
    shelved = [word for words in grouping.SHELVES.values() for word in words]

    assert sorted(shelved) == sorted(word for words in ROOMS.values() for word in words)


def arguments_of(example: str) -> list[str]:
    """Return the words of an example, without where its output goes."""
    words = shlex.split(example)
    return words[: words.index(">")] if ">" in words else words


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    """Ada with a team, a tracker that has runs, and a session in Codex's logs."""
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("team", "create", "Engines")
    url = telemhq.asks("tracker", "create", "nightly")["ping_url"]
    run = {"project": "website", "cost_usd": 0.42, "duration_ms": 1000}
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            client.post(url, json=run).raise_for_status()
    return telemhq


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples are typed: a job, and prices that somebody saved."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "backup.sh").write_text("#!/bin/sh\nexit 0\n")
    (place / "backup.sh").chmod(0o755)
    (place / "prices.json").write_text(json.dumps(document()))
    monkeypatch.chdir(place)
    return place


def test_the_examples_work_as_they_stand(
    ada: CommandLine, people: Callable[[str], CommandLine], server: RunningServer, directory: Path
) -> None:
    ada.machine.extra["SHELL"] = "/bin/bash"
    session = CodexSession(Path(ada.machine.environ["CODEX_HOME"]), clock.now_ms() - 3_600_000)
    session.turn(clock.now_ms() - 3_500_000, 1000, 100)
    meant = Meant(ada, people("bob"), server, {"SESSION": session.thread})

    for words, example in EVERY_EXAMPLE:
        if example in PARSED_ALONE:
            continue
        meant.type_all(BEFORE.get(example, ()))
        done = meant.type(words, example)
        assert done.code == 0 or example in FOUND, (example, done)
        if ">" in shlex.split(example):
            (directory / example.split()[-1]).write_text(done.out)
        meant.type_all(AFTER.get(example, ()))


def test_what_an_example_pings_is_in_the_report(ada: CommandLine) -> None:
    (example,) = (one for one in examples.EXAMPLES["ping"] if "=" in one)
    _, costs = example.rsplit("=", 1)
    before = ada.asks("usage", "--mine")["total"]["cost_usd"]

    ada.machine.run(*arguments_of(example)[1:])

    after = ada.asks("usage", "--mine")["total"]["cost_usd"]
    assert after - before == pytest.approx(float(costs))


class Meant:
    """Who types the examples, and what the words in capitals stand for."""

    def __init__(
        self, ada: CommandLine, bob: CommandLine, server: RunningServer, known: dict[str, str]
    ) -> None:
        self._ada, self._bob, self._key = ada, bob, server.api_key
        self._known = known | {"http://127.0.0.1:8000": server.url}

    def type_all(self, lines: tuple[str, ...]) -> None:
        for line in lines:
            self.type("", f"telemhq {line}")

    def type(self, words: str, example: str) -> Done:
        given = [self._meant(words, one) for one in arguments_of(example)[1:]]
        if given[0] == "ping":  # a process of its own, in whose place the job runs
            done = self._ada.machine.run(*given)
            return Done(done.returncode, done.stdout, done.stderr)
        somebody = self._bob if words == "team accept" else self._ada
        return somebody(*given, given=f"{self._key}\n", code=None)

    def _meant(self, words: str, word: str) -> str:
        match word:
            case "KEY":
                return str(self._ada.asks(words.split(maxsplit=1)[0], "create", "spare")["id"])
            case "LINK":
                return str(self._ada.asks("team", "invite", "bob@example.com")["link"])
            case _:
                return self._known.get(word, word)
