"""`telemhq completion …`: the shell completes commands, and the names of trackers and projects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_cli.commands.options import AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.completion import scripts
from telemhq_cli.completion.scripts import Shell
from telemhq_cli.render.output import say, show_document, show_json

app = typer.Typer(no_args_is_help=True, help="Completion of commands and names by the shell.")
ShellName = Annotated[
    Shell | None, typer.Argument(metavar="[bash|zsh|fish]", help="Else the one that $SHELL names.")
]


@app.command()
def install(shell: ShellName = None, as_json: AsJson = False) -> None:
    """Let the shell complete telemhq's commands; safe to run again.

    For bash and zsh a script is put beside telemhq's other files, and one line that loads it at the
    end of ~/.bashrc or ~/.zshrc; fish finds its own.
    """
    done = scripts.install(_chosen(shell))
    startup = None if done.startup is None else str(done.startup)
    if as_json:
        show_json({**done._asdict(), "script": str(done.script), "startup": startup})
        return
    say(f"{done.shell}: {done.script}")
    if startup is not None:
        say(f"loaded by {startup}: {scripts.line_for(done.shell)}")
    say(
        "Open another terminal, and press Tab." if done.was_changed else "All was in place already."
    )


@app.command()
def show(shell: ShellName = None) -> None:
    """Print the script that a shell has to read."""
    show_document(scripts.script(_chosen(shell)))


def _chosen(shell: Shell | None) -> Shell:
    """Return the shell named, else the one in use. Raises UsageError for one that we cannot teach."""
    if shell is not None:
        return shell
    name = Path(os.environ.get("SHELL", "")).name
    try:
        return Shell(name)
    except ValueError as error:
        known = ", ".join(Shell)
        raise UsageError(
            f"Which shell? $SHELL names {name or 'none'}.",
            f"telemhq completion install SHELL   (one of {known})",
        ) from error
