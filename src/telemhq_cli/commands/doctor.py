"""`telemhq doctor`: what is wrong on this machine, and the command that mends it.

Exit codes: 0 where nothing is worse than a note, 8 where the worst is a warning, 1 where it is an
error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_cli.commands.options import Ascii, AsCsv, AsJson, ProfileName, Width, at_most_one
from telemhq_cli.render.output import Form, form_of, show_table
from telemhq_cli.render.table import Column, Table

if TYPE_CHECKING:
    from telemhq_cli.diagnosis.finding import Finding

COLUMNS = (
    Column("theme", "About"),
    Column("name", "Finding"),
    Column("severity", "How"),
    Column("message", "What"),
    Column("next_step", "Next", copied=True),
)


def add_to(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(doctor)


def doctor(  # noqa: PLR0917 - one for each option
    online: Annotated[
        bool,
        typer.Option("--online/--offline", help="Ask the server of the login whether it answers."),
    ] = True,
    profile: ProfileName = None,
    width: Width = None,
    ascii_only: Ascii = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Look for what is wrong, and name the command that mends it.

    Changes nothing, and shows no secret. Exits with 0 where all is well, 8 where the worst is a warning, 1 where it is an error.
    """
    from telemhq_agents.credentials import API_KEY_VARIABLE  # noqa: PLC0415 - not for --help
    from telemhq_cli.diagnosis.finding import EXIT_CODES, worst  # noqa: PLC0415 - same
    from telemhq_cli.diagnosis.findings import findings  # noqa: PLC0415 - same
    from telemhq_cli.diagnosis.looking import look  # noqa: PLC0415 - same
    from telemhq_cli.diagnosis.masking import secrets_in, without_secrets  # noqa: PLC0415 - same

    del width, ascii_only  # the screen knows
    at_most_one(json=as_json, csv=as_csv)
    seen, held = look(online=online, profile=profile)
    secrets = secrets_in(held, os.environ.get(API_KEY_VARIABLE, ""))
    found = without_secrets(findings(seen), secrets)
    _show(found, form_of(as_json=as_json, as_csv=as_csv))
    code = EXIT_CODES[worst(found)]
    if code:
        raise typer.Exit(code)


def _show(found: list[Finding], form: Form) -> None:
    from telemhq_cli.diagnosis.finding import worst  # noqa: PLC0415 - not for --help

    if form is Form.TEXT:
        from telemhq_cli.render.diagnosis import show  # noqa: PLC0415 - not for --help

        show(found)
        return
    rows = [_as_json(one) for one in found]
    table = Table(COLUMNS, [tuple(row[column.key] for column in COLUMNS) for row in rows])
    show_table(table, form, {"worst": worst(found).value, "findings": rows})


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "theme": finding.theme.value,
        "severity": finding.severity.value,
        "message": finding.message,
        "next_step": finding.next_step,
    }
