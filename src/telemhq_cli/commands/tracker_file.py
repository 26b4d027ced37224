"""`telemhq tracker export|apply`: trackers as code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import RefusedError, UsageError
from telemhq_cli.commands import session
from telemhq_cli.commands.confirm import agree
from telemhq_cli.commands.options import (
    AsCsv,
    AsJson,
    Confirmed,
    ProfileName,
    TeamName,
    at_most_one,
)
from telemhq_cli.render import judging as shown
from telemhq_cli.render.output import (
    Form,
    form_of,
    note,
    say,
    show_document,
    show_json,
    show_json_file,
    show_table,
)
from telemhq_cli.render.progress import patience
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from telemhq_agents.contract.judging import TrackerFileChanges

STDIN = "-"
DIFFERS = 1
"""The code that --exit-code ends with where something differs."""


def export(
    trackers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRACKER]...", help="Only these, by name or id."),
    ] = None,
    team: TeamName = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Print your trackers with their rules as TOML, for `apply`."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms
    from telemhq_cli.trackers_toml import text_of  # noqa: PLC0415 - not needed for --help

    with session.opened(profile, team) as here:
        found = judging.tracker_file(here.api, trackers or ())
        whose = f"{here.account.name} at {here.url}"
    if as_json:
        show_json_file(found)
    else:
        show_document(text_of(found, whose))


def apply(  # noqa: PLR0917 - one for each option
    file: Annotated[str, typer.Argument(metavar="FILE", help="trackers.toml, or - for stdin.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete the trackers that it does not name.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 where something differs.")
    ] = False,
    yes: Confirmed = False,
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Make your trackers what a file says, all of it or nothing.

    Trackers are matched by name; applying a file again changes nothing. A file without rules for
    something sets it to its default.
    """
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms
    from telemhq_cli.trackers_toml import mistakes_of, read  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    written = read(_text(file), "stdin" if file == STDIN else file)
    with session.opened(profile, team) as here:
        try:
            if prune and not (dry_run or yes) and sys.stdin.isatty():
                _agree_to(
                    judging.apply_tracker_file(here.api, written.file, prune=True, dry_run=True)
                )
            with patience("Applying …"):
                changes = judging.apply_tracker_file(
                    here.api, written.file, prune=prune, dry_run=dry_run
                )
        except RefusedError as error:
            raise mistakes_of(written, error) or error from error
        if changes.applied:
            here.trackers()
    _show(changes, form)
    if exit_code and (changes.added or changes.changed or changes.pruned):
        raise typer.Exit(DIFFERS)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("export")(export)
    app.command("apply")(apply)


def _agree_to(changes: TrackerFileChanges) -> None:
    if changes.pruned:
        note(*shown.difference(changes))
        agree(f"Delete {counted(len(changes.pruned), 'tracker')}?", already=False)


def _text(file: str) -> str:
    try:
        if file == STDIN:
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror or error}.",
            "Write one with: telemhq tracker export > trackers.toml",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8, as TOML has to be.") from error


def _show(changes: TrackerFileChanges, form: Form) -> None:
    match form:
        case Form.JSON:
            show_json(changes)
        case Form.CSV:
            show_table(shown.differences(changes), form)
        case Form.TEXT:
            say(*shown.difference(changes))
