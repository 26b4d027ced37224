"""`telemhq usage export`: every row of a report, every session, every turn, as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from telemhq_agents.contract.usage_report import SHOWN
from telemhq_agents.errors import SettingsError, UsageError
from telemhq_cli.commands import usage_options as asked
from telemhq_cli.commands.options import ProfileName  # noqa: TC001 - Typer reads it
from telemhq_cli.commands.reporting import opened, scope_of
from telemhq_cli.render.exporting import FileFormat, Rows
from telemhq_cli.render.output import say, show_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.contract.sessions import Session, SessionPage
    from telemhq_cli.commands.reporting import Reporting

    Told = Callable[[str, int, int], None]

DEFAULT_GROUPS = ("day", "project", "model")
TURNS_SCHEMA = "telemhq.turns/1"
STDOUT = "-"


class What(StrEnum):
    """What is exported."""

    REPORT = "report"
    SESSIONS = "sessions"
    TURNS = "turns"


OfWhat = Annotated[What, typer.Option("--what", help="Sums, or single sessions, or single turns.")]
Format = Annotated[FileFormat, typer.Option("--format", help="What to write.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar=asked.GROUP,
        help="Break the report down by this; repeatable, or with commas (default: "
        f"{','.join(DEFAULT_GROUPS)}).",
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")]


def export(  # noqa: PLR0917 - one for each option
    form: Format = FileFormat.CSV,
    what: OfWhat = What.REPORT,
    by: By = None,
    output: Output = None,
    force: Force = False,
    local: asked.Local = False,
    mine: asked.Mine = False,
    team_wide: asked.TeamWide = False,
    source: asked.OnlySource = None,
    member: asked.OnlyMember = None,
    project: asked.OnlyProject = None,
    model: asked.OnlyModel = None,
    tracker: asked.OnlyTracker = None,
    since: asked.Since = None,
    until: asked.Until = None,
    timezone: asked.Zone = None,
    account: asked.OtherAccount = None,
    profile: ProfileName = None,
) -> None:
    """Write a report, sessions or turns to a file, or to stdout."""
    groups = _groups(by, what)
    target = _target(output, force=force)
    filters = asked.filters_of(source, since, until, timezone, member, project, model, tracker)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    with opened(scope, filters, account=account, profile=profile) as found:
        rows = _rows(found, what, groups)
    _write(rows, form, target)


def _groups(by: list[str] | None, what: What) -> tuple[str, ...]:
    if by and what is not What.REPORT:
        raise UsageError(f"--by goes with --what {What.REPORT} alone.")
    return asked.groups_of(by) or DEFAULT_GROUPS


def _target(output: str | None, *, force: bool) -> Path | None:
    """Return the file to write, None for stdout. Raises UsageError for one that cannot be it."""
    if output is None or output == STDOUT:
        return None
    named = Path(output)
    target = named.resolve()
    if not target.parent.is_dir():
        raise UsageError(f"There is no directory {named.parent}.", "Make it, or name another file.")
    if target.exists() and not target.is_file():
        raise UsageError(
            f"{output!r} is no file.", "Name a file, or leave --output out for stdout."
        )
    if target.exists() and not force:
        raise UsageError(f"{output} is there already.", "Give another name, or --force.")
    return target


def _rows(found: Reporting, what: What, groups: tuple[str, ...]) -> Rows:
    from telemhq_cli.render.progress import counting  # noqa: PLC0415 - not needed for --help

    with counting("Exporting") as told:
        match what:
            case What.REPORT:
                return _report(found, groups)
            case What.SESSIONS:
                return _sessions(found, told)
            case What.TURNS:
                return _turns(found, told)
            case _:
                assert_never(what)


def _report(found: Reporting, groups: tuple[str, ...]) -> Rows:
    from telemhq_agents.contract.usage_report import as_json  # noqa: PLC0415 - as above

    document = as_json(found.report(groups)) | {"timezone": found.zone.key}
    return Rows((*groups, *SHOWN), document["rows"], document)


def _sessions(found: Reporting, told: Told) -> Rows:
    from telemhq_agents.contract.sessions import Session, as_json  # noqa: PLC0415 - as above
    from telemhq_cli.render import sessions as shown  # noqa: PLC0415 - as above

    page = _every(found, told)
    rows = [as_json(one) for one in page.sessions]
    return Rows(list(as_json(Session())), rows, shown.document(shown.Shown(page, found.zone)))


def _turns(found: Reporting, told: Told) -> Rows:
    from telemhq_agents.contract.sessions import SessionTurn, as_json  # noqa: PLC0415 - as above
    from telemhq_cli.commands.usage_rows import turns_of  # noqa: PLC0415 - as above

    sessions = _every(found, told).sessions
    rows = []
    for done, one in enumerate(sessions, start=1):
        rows += [_named(one) | as_json(turn) for turn in turns_of(found, one)]
        told("turns of sessions", done, len(sessions))
    names = [*_named_fields(), *as_json(SessionTurn())]
    document = {"schema": TURNS_SCHEMA, "timezone": found.zone.key, "turns": rows}
    return Rows(names, rows, document)


def _every(found: Reporting, told: Told) -> SessionPage:
    from telemhq_cli.commands.usage_rows import session_page  # noqa: PLC0415 - as above

    return session_page(found, None, lambda done, of: told("sessions", done, of))


def _named(one: Session) -> dict[str, str]:
    return {name: getattr(one, name) for name in _named_fields()}


def _named_fields() -> tuple[str, ...]:
    return ("session", "source", "member")


def _write(rows: Rows, form: FileFormat, target: Path | None) -> None:
    from telemhq_agents import whole_file  # noqa: PLC0415 - as above
    from telemhq_cli.render.exporting import written  # noqa: PLC0415 - as above
    from telemhq_cli.render.voice import kept_warnings  # noqa: PLC0415 - as above
    from telemhq_cli.render.words import counted  # noqa: PLC0415 - as above

    text = written(rows, form, kept_warnings())
    if target is None:
        show_document(text)
        return
    try:
        whole_file.put(target, text.encode("utf-8", "replace"))
    except OSError as error:
        raise SettingsError(
            f"{target} cannot be written: {error.strerror or error}.", "Name another file."
        ) from error
    say(f"{counted(len(rows.rows), 'row')} written to {target}.")
