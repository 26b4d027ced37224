"""`telemhq team …`: people who share an account."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from telemhq_cli.commands import devices, joining, session, team_usage
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, TeamName, at_most_one
from telemhq_cli.render import nouns
from telemhq_cli.render.output import form_of, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="Teams: people whose usage is reported together.")
app.command()(team_usage.usage)
app.command()(team_usage.project)


class InvitedRole(StrEnum):
    """What an invited person will be."""

    MEMBER = "member"
    MANAGER = "manager"


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the team is called.")],
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Create a team that you own.

    What this machine collects goes there from now on.
    """
    with session.opened(profile) as here:
        team = here.api.create_team(name)
    with session.opened(profile, team.id) as there:
        there.use_account()
        devices.point_at(there)
    if as_json:
        show_json(team)
        return
    say(f"Created {team.name}; you are its owner.")
    say(f"What this machine collects from now on goes to {team.name}.")
    say("", "Next: telemhq team invite EMAIL")


@app.command()
def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Whom to invite.")],
    role: Annotated[
        InvitedRole, typer.Option("--role", help="A manager sees everybody's usage.")
    ] = InvitedRole.MEMBER,
    team: TeamName = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Invite somebody; prints the link to pass on.

    The link is shown this once.
    """
    with session.opened(profile, team) as here:
        invitation = here.api.invite(here.account.id, email, role.value)
    if as_json:
        show_json(invitation)
        return
    say(f"{invitation.email} is invited to {invitation.team_name} as {invitation.role}.")
    say(f"Good until {invitation.expires_at}. Pass this on, it is shown only once:")
    say("", f"  telemhq team accept {invitation.link}")
    say("", "It is mailed to them too, where the server sends mail.")


@app.command()
def accept(
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link you were given.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Your name, if you are new there.")
    ] = "",
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Accept an invitation.

    Needs no login where you are new to the server: the answer brings your API key, which is kept.
    What this machine collects goes to the team from now on.
    """
    joined = joining.accept(link, name=name, profile=profile)
    if as_json:
        show_json({"account": joined.account, "email": joined.email})
        return
    say(f"You are in {joined.account.name} as {joined.account.role} ({joined.email}).")
    say(f"What this machine collects from now on goes to {joined.account.name}.")
    say("", "Next: telemhq agent once --backfill   (what the logs hold already)")
    say("      telemhq agent run               (from now on)")


@app.command()
def members(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List a team's members."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        found = here.api.members(here.account.id)
    show_table(nouns.members(found), form_of(as_json=as_json, as_csv=as_csv), found)


@app.command("list")
def list_(as_json: AsJson = False, as_csv: AsCsv = False, profile: ProfileName = None) -> None:
    """List the teams you are in."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        teams = [account for account in here.me.accounts if account.kind == "team"]
        table = nouns.accounts(teams, here.account.id)
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), teams)


@app.command()
def invitations(
    team: TeamName = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List a team's open invitations, without their links."""
    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile, team) as here:
        found = here.api.invitations(here.account.id)
    show_table(nouns.invitations(found), form_of(as_json=as_json, as_csv=as_csv), found)
