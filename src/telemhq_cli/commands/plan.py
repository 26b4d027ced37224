"""`telemhq plan`: what the account in use may do, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.commands import session
from telemhq_cli.commands.options import (  # noqa: TC001 - read by Typer
    AsCsv,
    AsJson,
    ProfileName,
    TeamName,
)
from telemhq_cli.render.output import form_of, say, show_table
from telemhq_cli.render.plans import account_plan, in_words

if TYPE_CHECKING:
    import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Show what the account in use may do, and what is left of it."""
    from telemhq_agents.contract import routes  # noqa: PLC0415 - this command alone
    from telemhq_agents.contract.plans import AccountPlan  # noqa: PLC0415 - this command alone
    from telemhq_agents.delivery.client import path_of  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile, team) as here:
        path = path_of(routes.PLAN, account_id=here.account.id)
        found = here.api.ask("GET", path, AccountPlan, needs="plans")
        name = here.account.name
    form = form_of(as_json=as_json, as_csv=as_csv)
    show_table(account_plan(found), form, found)
    if not (as_json or as_csv):
        say("", *in_words(found, name))
