"""`telemhq statusline` as Typer's help and completion show it; the program goes a shorter way."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_cli import statusline as own


def statusline(
    color: Annotated[
        bool, typer.Option("--color", help="Dim the line; without it there is no colour.")
    ] = False,
    shell: Annotated[
        bool,
        typer.Option(
            own.SHELL, help="For a shell's prompt: today's cost, failed runs, failing trackers."
        ),
    ] = False,
) -> None:
    """Print one line for Claude Code or a shell: tokens and cost.

    Of the session that stdin names, and of today, out of this machine's ledger.
    """
    given = {"--color": color, own.SHELL: shell}
    raise typer.Exit(own.run([option for option, asked in given.items() if asked]))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(statusline)
