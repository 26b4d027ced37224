"""What a shell is told: by a process of its own, as the shell's script starts it."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Place
from telemhq_cli.completion import heard
from telemhq_cli.completion.answering import LONGEST_S
from tests.telemhq_agents.history import BORN, FlatPrices, fact

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.pricing import Prices
    from tests.telemhq_cli.conftest import Machine

FLAT = cast("Prices", FlatPrices())
HEAVY = ("typer", "httpx", "rich", "asyncio", "socket", "telemhq_cli.commands.tree")
MOST_MS = 200


def keep(machine: Machine, profile: str, account: str, **names: Any) -> None:
    heard.keep(machine.ours / "names.json", profile, account, names)


def book(path: Path, *facts: Any) -> None:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        ledger.book(Batch(list(facts)))


def told(machine: Machine, line: str, shell: str = "fish") -> list[str]:
    """Ask what may follow; what a shell is told, without the first line."""
    done = subprocess.run(
        [sys.executable, "-m", "telemhq_cli.main", line],
        env={**machine.environ, "_TELEMHQ_COMPLETE": shell},
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST_S + 10,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()[1:]


def names(machine: Machine, line: str) -> list[str]:
    return [one.partition("\t")[0] for one in told(machine, line)]


def test_commands_and_options_are_told_with_what_they_do(machine: Machine) -> None:
    assert "tracker\tTrackers" in told(machine, "telemhq tra")
    assert told(machine, "telemhq tracker list --cs") == ["--csv\tPrint CSV instead of text"]


def test_trackers_are_those_of_the_account_in_use_and_of_what_pings_know(machine: Machine) -> None:
    keep(machine, "default", "", trackers={"nightly": "1", "weekly": "2"})
    keep(machine, "work", "7", trackers={"other": "3"})
    (machine.ours / "credentials.json").write_text(
        json.dumps(
            {
                "version": 1,
                "trackers": {
                    "default/pinged": "http://127.0.0.1:9/ping/tt_a",
                    "default/12345": "http://127.0.0.1:9/ping/tt_a",
                    "work/theirs": "http://127.0.0.1:9/ping/tt_b",
                },
            }
        )
    )

    assert names(machine, "telemhq tracker show ") == ["nightly", "weekly", "pinged"]
    assert names(machine, "telemhq ping ") == ["nightly", "weekly", "pinged"]
    assert names(machine, "telemhq tracker show --profile work ") == ["other", "theirs"]


def test_another_team_is_one_of_those_that_were_heard_of(machine: Machine) -> None:
    login = {"name": "default", "url": "http://127.0.0.1:9", "account": "1"}
    keep(machine, "default", "1", trackers={"own": "1"}, teams=["Engines", "Ada"])
    keep(machine, "default", "2", trackers={"theirs": "2"})
    (machine.ours / "credentials.json").write_text(
        json.dumps({"version": 1, "profiles": {"default": login}})
    )

    assert names(machine, "telemhq tracker list --team ") == ["Engines", "Ada"]
    assert names(machine, "telemhq usage --tracker ") == ["own"]
    assert names(machine, "telemhq usage --account Engines --tracker ") == ["own", "theirs"]
    assert told(machine, "telemhq whoami --profile ") == ["default\thttp://127.0.0.1:9"]


def test_fields_are_those_that_were_charted_of_the_tracker_on_the_line(machine: Machine) -> None:
    keep(machine, "default", "", trackers={"a": "1", "b": "2"}, fields={"1": ["usage.cost_usd"]})

    assert names(machine, "telemhq tracker chart a -f ") == ["usage.cost_usd"]
    assert names(machine, "telemhq tracker chart a --field=us") == ["--field=usage.cost_usd"]
    assert names(machine, "telemhq tracker chart b -f ") == []


def test_sessions_projects_and_models_come_from_the_ledger_newest_first(machine: Machine) -> None:
    ledger = machine.ours / "ledger.sqlite3"
    quarter = 900_000
    web, api = (Place(f"/srv/{name}", name, name) for name in ("web", "api"))
    book(
        ledger,
        fact("a", at_ms=BORN, session_id="old1", place=web, model="gpt-5.4"),
        fact("b", turn="t2", at_ms=BORN + 2 * quarter, session_id="new2", place=api),
    )
    keep(machine, "default", "", projects=["site", "web"], models=["gpt-5.5"])

    assert names(machine, "telemhq usage session ") == ["new2", "old1"]
    assert names(machine, "telemhq usage session o") == ["old1"]
    (line,) = told(machine, "telemhq usage session old")
    assert line.endswith("web gpt-5.4")
    assert names(machine, "telemhq usage --project ") == ["api", "web", "site"]
    assert names(machine, "telemhq usage --model=gpt-5") == ["--model=gpt-5.4", "--model=gpt-5.5"]


def test_what_no_line_can_hold_is_not_offered(machine: Machine) -> None:
    odd = {"": "1", "a\nb": "2", "\x1b[31mred": "3", "--json": "4", "fine": "5"}
    keep(machine, "default", "", trackers=odd)

    assert names(machine, "telemhq tracker show ") == ["fine"]


def test_time_zones_and_settings_are_known_without_anybody(machine: Machine) -> None:
    assert names(machine, "telemhq usage --timezone Europe/Ber") == ["Europe/Berlin"]
    assert names(machine, "telemhq config set time") == ["timezone"]
    assert names(machine, "telemhq usage --by da") == ["day"]


@pytest.mark.parametrize(
    "file", ["names.json", "credentials.json", "config.toml", "ledger.sqlite3"]
)
@pytest.mark.parametrize("line", ["tracker show ", "usage --project ", "whoami --profile "])
def test_broken_files_are_nothing_to_tell_somebody_who_types(
    machine: Machine, file: str, line: str
) -> None:
    machine.ours.mkdir()
    (machine.ours / file).write_bytes(b"\xff{ not at all")

    assert told(machine, f"telemhq {line}") == []


def test_nothing_is_written_and_nobody_waits_for_a_ledger_that_is_held(machine: Machine) -> None:
    ledger = machine.ours / "ledger.sqlite3"
    book(ledger, fact("a", at_ms=BORN))
    before = ledger.read_bytes()
    with closing(sqlite3.connect(ledger)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        told(machine, "telemhq usage --project ")
        holder.rollback()

    assert ledger.read_bytes() == before
    assert {path.name for path in machine.ours.iterdir()} <= {
        *("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "locks", "backups")
    }


@pytest.mark.parametrize(
    "names_of_default",
    [
        [],
        {"": []},
        {"": {"trackers": ["a"], "projects": 5, "fields": [], "members": None, "at_ms": "now"}},
        {"": {"trackers": {"a": {}}, "fields": {"1": 2}, "teams": [3]}},
    ],
)
def test_names_of_another_form_are_none_and_give_way_to_what_is_heard_next(
    tmp_path: Path, names_of_default: Any
) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"version": 1, "profiles": {"default": names_of_default}}))
    said: dict[str, Any] = {
        "trackers": {"nightly": "1"},
        "projects": ["web"],
        "fields": {"1": ["n"]},
    }

    assert not heard.known_of(path, "default", "")
    heard.keep(path, "default", "", {**said, "at_ms": 1})

    assert heard.known_of(path, "default", "") == {**said, "at_ms": 1}


@pytest.mark.parametrize("file", ["names.json", "credentials.json", "config.toml"])
def test_a_broken_file_costs_no_more_than_the_names_in_it(machine: Machine, file: str) -> None:
    book(
        machine.ours / "ledger.sqlite3",
        fact("a", at_ms=BORN, place=Place("/srv/web", "web", "web")),
    )
    (machine.ours / file).write_bytes(b"\xff{ not at all")

    assert names(machine, "telemhq usage --project ") == ["web"]


def test_a_pipe_in_the_place_of_the_names_holds_up_no_command_and_gives_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "names.json"
    os.mkfifo(path)

    heard.keep(path, "default", "", {"projects": ["web"]})

    assert heard.known_of(path, "default", "") == {"projects": ["web"]}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("credentials.json", "whoami --profile "),
        ("config.toml", "tracker show "),
        ("ledger.sqlite3", "usage --project "),
    ],
)
def test_a_file_that_never_answers_is_not_waited_for(
    machine: Machine, file: str, line: str
) -> None:
    machine.ours.mkdir()
    os.mkfifo(machine.ours / file)

    assert told(machine, f"telemhq {line}") == []


def test_it_takes_no_time_and_loads_neither_typer_nor_the_network(machine: Machine) -> None:
    keep(machine, "default", "", trackers={f"tracker {number}": "1" for number in range(1000)})
    script = (
        "import sys; from telemhq_cli.main import main; main(); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    environ = {**os.environ, **machine.environ, "_TELEMHQ_COMPLETE": "bash"}
    command = [sys.executable, "-c", script, "telemhq tracker show tr", " "]
    subprocess.run(command, env=environ, capture_output=True, check=True)  # compiles

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    spent_ms = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
    assert done.stderr.strip() == "[]"
    assert len(done.stdout.splitlines()) > 100
    assert spent_ms < MOST_MS
