"""`telemhq doctor`: what is wrong on this machine, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, show_table
from telemhq_cli.render.table import Column, Table

if TYPE_CHECKING:
    from telemhq_cli.diagnosis.findings import Finding

COLUMNS = (
    Column("name", "Finding", is_detail=True),
    Column("severity", "How"),
    Column("message", "What"),
    Column("next_step", "Next", copied=True),
)
FAILED = 1


def add_to(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(doctor)


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the server whether it answers.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Look for what is wrong, and name the command that mends it.

    Changes nothing. Exits with 1 where there is an error, with 0 otherwise.
    """
    from telemhq_cli.diagnosis.findings import Severity, findings  # noqa: PLC0415 - not for --help
    from telemhq_cli.diagnosis.looking import look  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    found = findings(look(online=online))
    rows = [_as_json(one) for one in found]
    table = Table(COLUMNS, [tuple(row[column.key] for column in COLUMNS) for row in rows])
    document = {"findings": rows}
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), document)
    if any(one.severity is Severity.ERROR for one in found):
        raise typer.Exit(FAILED)


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "next_step": finding.next_step,
    }
