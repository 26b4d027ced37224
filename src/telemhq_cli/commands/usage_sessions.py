"""`telemhq usage sessions` and `telemhq usage session ID`: one by one, and turn by turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_cli.commands import usage_options as asked
from telemhq_cli.commands.options import Ascii, AsCsv, AsJson, ProfileName, Width, at_most_one
from telemhq_cli.commands.reporting import Scope, opened, scope_of
from telemhq_cli.render.output import Form, form_of, show_csv, show_json, show_pairs, show_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.sessions import Session
    from telemhq_cli.commands.reporting import Reporting

MOST_NAMED = 5
LISTED = 20
NEXT_STEP = "telemhq usage sessions"
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=0, help="At most so many; 0 for all.")
]
SessionId = Annotated[
    str, typer.Argument(metavar="ID", help="A session's id, or an unambiguous beginning of it.")
]


def sessions(  # noqa: PLR0917 - one for each option
    local: asked.Local = False,
    mine: asked.Mine = False,
    team_wide: asked.TeamWide = False,
    limit: Limit = LISTED,
    source: asked.OnlySource = None,
    member: asked.OnlyMember = None,
    project: asked.OnlyProject = None,
    model: asked.OnlyModel = None,
    tracker: asked.OnlyTracker = None,
    since: asked.Since = None,
    until: asked.Until = None,
    timezone: asked.Zone = None,
    account: asked.OtherAccount = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """List sessions, the latest first."""
    del width, ascii_only
    at_most_one(json=as_json, csv=as_csv)
    filters = asked.filters_of(source, since, until, timezone, member, project, model, tracker)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    with opened(scope, filters, account=account, profile=profile) as found:
        _list(found, limit or None, form_of(as_json=as_json, as_csv=as_csv))


def session(  # noqa: PLR0917 - one for each option
    session_id: SessionId,
    local: asked.Local = False,
    mine: asked.Mine = False,
    team_wide: asked.TeamWide = False,
    member: asked.OnlyMember = None,
    timezone: asked.Zone = None,
    account: asked.OtherAccount = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Show a session, turn by turn."""
    del width, ascii_only
    at_most_one(json=as_json, csv=as_csv)
    if not session_id:
        raise UsageError("Which session? An empty id begins every one.", NEXT_STEP)
    filters = asked.filters_of(timezone=timezone, member=member)
    scope = scope_of(local=local, mine=mine, team=team_wide)
    with opened(scope, filters, account=account, profile=profile) as found:
        _tell(found, session_id, form_of(as_json=as_json, as_csv=as_csv))


def _list(found: Reporting, limit: int | None, form: Form) -> None:
    from telemhq_cli.commands.usage_heatmap import unpriced_note  # noqa: PLC0415 - for --help
    from telemhq_cli.commands.usage_rows import session_ids, session_page  # noqa: PLC0415 - same
    from telemhq_cli.render import sessions as shown  # noqa: PLC0415 - same
    from telemhq_cli.render.measure import Measure  # noqa: PLC0415 - same

    page = session_page(found, limit)
    listed = shown.Shown(
        page,
        found.zone,
        session_ids(found),
        is_team=found.scope is Scope.TEAM,
        is_local=found.scope is Scope.LOCAL,
        empty=found.empty,
        notes=unpriced_note(found, Measure.COST) if form is Form.TEXT else (),
    )
    match form:
        case Form.JSON:
            show_json(shown.document(listed))
        case Form.CSV:
            show_csv(shown.for_programs(page.sessions))
        case Form.TEXT:
            show_text(shown.for_people(listed))


def _tell(found: Reporting, prefix: str, form: Form) -> None:
    from telemhq_agents.sessions import shortened  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.commands.usage_rows import (  # noqa: PLC0415 - same
        session_ids,
        sessions_named,
        turns_of,
    )
    from telemhq_cli.render import session_turns as shown  # noqa: PLC0415 - same

    one = _chosen(found.scope, prefix, sessions_named(found, prefix))
    turns = tuple(turns_of(found, one))
    is_local = found.scope is Scope.LOCAL
    detail = shown.Detail(shown.detailed(one, turns), turns, found.zone, is_local=is_local)
    match form:
        case Form.JSON:
            show_json(shown.document(detail))
        case Form.CSV:
            show_csv(shown.for_programs(detail))
        case Form.TEXT:
            short_id = shortened([*session_ids(found), one.session])[one.session]
            show_pairs([*shown.pairs(detail), ("", "")])
            show_text(shown.for_people(detail, short_id))


def _chosen(scope: Scope, prefix: str, found: Sequence[Session]) -> Session:
    """Return the one session meant. Raises UsageError where there is none, or several."""
    listing = NEXT_STEP if scope is Scope.LOCAL else f"{NEXT_STEP} --{scope}"
    match found:
        case []:
            raise UsageError(f"No session begins with {prefix!r}.", listing)
        case [only]:
            return only
        case several:
            named = [_in_full(one) for one in several[:MOST_NAMED]]
            more = ", …" if len(several) > MOST_NAMED else ""
            is_shared = len({one.session for one in several}) == 1
            raise UsageError(
                f"{prefix!r} may be any of {', '.join(named)}{more}.",
                "Name one of them with --member." if is_shared else listing,
            )


def _in_full(one: Session) -> str:
    return f"{one.session} of {one.member}" if one.member else one.session
