"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_cli.render import screen

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Use this login [env: TELEMHQ_PROFILE]."),
]
TeamName = Annotated[
    str | None,
    typer.Option("--team", metavar="NAME|ID", help="Another team than the one in use."),
]
TrackerName = Annotated[str, typer.Argument(metavar="TRACKER", help="A tracker's name or id.")]


def _wide(width: int | None) -> int | None:
    screen.ask(width=width)
    return width


def _plain(ascii_only: bool) -> bool:
    if ascii_only:
        screen.ask(ascii_only=True)
    return ascii_only


Width = Annotated[
    int | None,
    typer.Option(
        "--width",
        metavar="COLUMNS",
        min=screen.NARROWEST,
        max=screen.WIDEST,
        callback=_wide,
        help="Draw this wide, also into a pipe.",
    ),
]
Ascii = Annotated[
    bool, typer.Option("--ascii", callback=_plain, help="Draw in ASCII characters alone.")
]
Confirmed = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def at_most_one(**given: bool) -> None:
    """Raise UsageError when more than one of these switches was given."""
    named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} exclude each other; give one of them.")
