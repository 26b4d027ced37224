from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_command

from telemhq_cli.commands.sparing import WhenGiven, spare
from telemhq_cli.commands.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemhq_cli.conftest import Machine


def parameters(command: Any, path: str = "telemhq") -> Iterator[tuple[str, Any]]:
    context = typer.Context(command)
    for param in command.get_params(context):
        yield f"{path} {param.name}", param
    for name, inner in getattr(command, "commands", {}).items():
        yield from parameters(inner, f"{path} {name}")


COMMAND = get_command(tree())
EVERY_PARAMETER = dict(parameters(COMMAND))


def test_the_walk_sees_options_arguments_and_lists() -> None:
    assert {"telemhq usage by", "telemhq usage help", "telemhq ping job"} & EVERY_PARAMETER.keys()
    assert any(param.multiple for param in EVERY_PARAMETER.values())
    assert len(EVERY_PARAMETER) > 150


@pytest.mark.parametrize("name", EVERY_PARAMETER)
def test_what_was_not_given_is_what_typer_itself_makes_of_it(name: str) -> None:
    param = EVERY_PARAMETER[name]
    context = typer.Context(COMMAND)

    ours = WhenGiven(param).coerce(None, param, context)

    assert ours == param.get_runtime_param().coerce(None, param=param, ctx=context)


def test_what_was_given_is_checked_once_for_all_runs_of_a_command() -> None:
    command = get_command(tree("usage"))

    spare(command)
    spare(command)

    for _ in range(2):
        with pytest.raises(typer.TyperException, match="not one of"):
            command(["usage", "--source", "colour"], prog_name="telemhq", standalone_mode=False)


def test_a_report_without_values_among_its_options_loads_no_pydantic(machine: Machine) -> None:
    code = "import sys; from telemhq_cli.main import main; main(); print('pydantic' in sys.modules)"

    def loaded(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, "usage", "--json", *arguments],
            env=machine.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    assert loaded("--local") == "False"
    assert loaded("--source", "codex") == "True"
