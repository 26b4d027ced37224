"""`telemhq ping` as Typer's help and completion show it; the program itself never comes here."""

from __future__ import annotations

import typer

from telemhq_cli.wrap import command_line
from telemhq_cli.wrap.ping import run


def ping(context: typer.Context) -> None:
    raise typer.Exit(run(context.args))


def add_to(app: typer.Typer) -> None:
    """Add the command, with the help that its own parser gives."""
    app.command(
        "ping",
        help=command_line.SUMMARY + "\n\n" + command_line.DETAILS,
        options_metavar="TRACKER_OR_URL [OPTIONS] [-- COMMAND [ARGUMENTS]...]",
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
        add_help_option=False,
    )(ping)
