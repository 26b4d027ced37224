"""`telemhq statusline` as Typer's help and completion show it; the program goes a shorter way."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_cli import statusline as own


def statusline(
    color: Annotated[
        bool, typer.Option("--color", help="Dim the line; without it there is no colour.")
    ] = False,
) -> None:
    """Print one line for Claude Code's statusLine: tokens and cost.

    Of the session that stdin names, and of today, out of this machine's ledger.
    """
    raise typer.Exit(own.run(["--color"] if color else []))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(statusline)
