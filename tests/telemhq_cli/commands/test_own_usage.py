"""The report without Typer is the report with it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from telemhq_agents import clock
from telemhq_cli.commands import own_usage
from telemhq_cli.render.output import Form
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine
    from tests.telemhq_cli.conftest import Machine

PLAIN: list[tuple[str, ...]] = [
    (),
    ("--local",),
    ("--json",),
    ("--csv",),
    ("--local", "--json"),
    ("--json", "--local"),
    ("--csv", "--local"),
    ("--json", "--json"),
]
SWITCHES = ("--local", "--json", "--csv", "--mine", "--team", "--reprice", "--with-background")


def worked(machine: Machine) -> None:
    at = clock.now_ms() - 3_600_000
    CodexSession(machine.home / "codex", at).turn(at + 1000, 100, 10)
    ClaudeSession(machine.home / "claude").prompt(at, 400, 40)


@pytest.mark.parametrize("options", PLAIN, ids=" ".join)
def test_it_prints_what_typers_road_prints(
    telemhq: CommandLine,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    worked(machine)
    assert own_usage.plain_form(options) is not None
    plain = telemhq("usage", *options)

    monkeypatch.setattr(own_usage, "plain_form", lambda _options: None)

    assert telemhq("usage", *options) == plain
    assert "gpt" in plain.out


def test_a_plain_report_loads_no_typer_and_any_other_does(machine: Machine) -> None:
    code = "import sys; from telemhq_cli.main import main; main(); print('typer' in sys.modules)"

    def loaded(*arguments: str) -> str:
        command = [sys.executable, "-c", code, "usage", *arguments]
        done = subprocess.run(
            command, env=machine.environ, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()[-1]

    assert loaded("--local", "--json") == "False"
    assert loaded("--by", "day") == "True"


def test_whatever_else_is_asked_for_is_typers() -> None:
    combinations = itertools.chain(
        *(itertools.combinations(SWITCHES, size) for size in range(len(SWITCHES) + 1))
    )
    plain = {options for options in combinations if own_usage.plain_form(options) is not None}

    assert plain == {
        (),
        ("--local",),
        ("--json",),
        ("--csv",),
        ("--local", "--json"),
        ("--local", "--csv"),
    }
    for odd in (["--help"], ["--js"], ["json"], ["--json="], ["--"], [""], ["--by", "day"]):
        assert own_usage.plain_form(odd) is None


def test_the_forms_are_the_switches_own() -> None:
    forms = [own_usage.plain_form(options) for options in ([], ["--json"], ["--csv"])]

    assert forms == [Form.TEXT, Form.JSON, Form.CSV]
