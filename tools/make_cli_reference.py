"""Writes docs/reference/cli.md from the parser itself: `python -m tools.make_cli_reference`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemhq_agents import errors
from telemhq_cli.commands.tree import command_of
from telemhq_cli.main import BROKEN_PIPE, INTERRUPTED, UNEXPECTED
from telemhq_cli.wrap.command_line import help_text

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"
WIDTH = 80
HEAD = """\
# The command line

Written by `python -m tools.make_cli_reference` from the parser; a test fails when it is out of date.

Every command that shows something also speaks `--json`, in [one envelope](json.md); every table also `--csv`. Boxes and colour
appear on a terminal alone; `NO_COLOR` takes the colour away. `TELEMHQ_HOME` moves every file of
ours under one directory. `TELEMHQ_DEBUG=1` shows the traceback of an unforeseen failure.

## Exit codes
More of each, and of codes that are an answer: [exit codes](exit-codes.md).
"""


def exit_codes() -> Iterator[tuple[int, str]]:
    yield 0, "it worked"
    kinds: list[type[errors.TelemhqError]] = [
        errors.TelemhqError,
        *errors.TelemhqError.__subclasses__(),
    ]
    for kind in kinds:
        if "exit_code" in vars(kind):
            yield kind.exit_code, first_sentence(kind.__doc__ or "")
    yield UNEXPECTED, "a fault of telemhq itself"
    yield INTERRUPTED, "interrupted from the keyboard"
    yield BROKEN_PIPE, "whoever read our output went away"


def first_sentence(text: str) -> str:
    sentence = text.strip().split("\n\n")[0].rstrip(".")
    return sentence[0].lower() + sentence[1:]


def commands(command: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - Typer vendors Click's types
    """Yield every command's path and help, depth first."""
    context = command.context_class(
        command, info_name=path, max_content_width=WIDTH, terminal_width=WIDTH
    )
    yield path, help_text() if path == "telemhq ping" else command.get_help(context)
    for name in getattr(command, "commands", {}):
        yield from commands(command.commands[name], f"{path} {name}")


def page() -> str:
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in exit_codes())
    parts = [f"{HEAD}\n| code | meaning |\n|--:|---|\n{rows}\n"]
    parts.append(
        "`telemhq ping … -- COMMAND` exits with the command's own code, whatever it is: 128+n where"
        " a signal\nended it, 127 where it is not found, 126 where it cannot be executed. Two codes"
        " are telemhq's own: 124 where\n`--kill-after` ended the command (as timeout(1) has it; also"
        " where that took SIGKILL), 75 where `--lock` skipped it.\n"
    )
    for path, text in commands(command_of(), "telemhq"):
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## `{path}`\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
