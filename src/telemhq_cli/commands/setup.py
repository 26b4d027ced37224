"""`telemhq setup`: a guided way to all that this machine needs, and the same as options."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from telemhq_agents import locations, settings
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli import found_here
from telemhq_cli.commands import login, session
from telemhq_cli.commands.options import AsJson, Confirmed, ProfileName, at_most_one
from telemhq_cli.render.output import note, show_json
from telemhq_cli.render.voice import remark

if TYPE_CHECKING:
    from telemhq_agents.credentials import Profile
    from telemhq_cli.setting_up import Step, Wanted

INTERRUPTED = 130
NEXT = "telemhq usage"
Choice = bool | None


def setup(  # noqa: PLR0917 - one for each option
    local: Annotated[
        bool, typer.Option("--local", help="For this machine alone: no server, no login.")
    ] = False,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="Report to this server.")
    ] = None,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the API key from stdin, not from a prompt.")
    ] = False,
    claude: Annotated[
        Choice,
        typer.Option("--claude/--no-claude", help="Claude Code: add the hook, report its usage."),
    ] = None,
    codex: Annotated[
        Choice, typer.Option("--codex/--no-codex", help="Codex: report its usage.")
    ] = None,
    statusline: Annotated[
        Choice,
        typer.Option("--statusline/--no-statusline", help="Today's usage in Claude Code's line."),
    ] = None,
    service: Annotated[
        Choice, typer.Option("--service/--no-service", help="Keep the agent running.")
    ] = None,
    test_ping: Annotated[
        Choice,
        typer.Option("--test-ping/--no-test-ping", help="Try the way to the server; no run."),
    ] = None,
    yes: Confirmed = False,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Set this machine up, step by step; safe to run again.

    Asks what no option says; with --yes nothing is asked. Each step says whether it was done, was already so, was skipped or failed. Exits with the code of the first one that failed.
    """
    at_most_one(local=local, server=server is not None)
    at_most_one(local=local, key_stdin=key_stdin)
    at_most_one(local=local, test_ping=bool(test_ping))
    at_most_one(no_claude=claude is False, statusline=bool(statusline))
    asks = _Asking(is_open=not yes and not as_json and sys.stdin.isatty(), takes_defaults=yes)
    given = _Given(local, server, key_stdin, claude, codex, statusline, service, test_ping)
    try:
        wanted = _wanted(given, asks, profile)
    except (typer.Abort, KeyboardInterrupt):
        note("", "telemhq: nothing was changed.")
        raise typer.Exit(INTERRUPTED) from None
    taken = _taken(wanted, is_quiet=as_json)
    if as_json:
        show_json({"steps": [asdict(step) for step in taken], "next_step": NEXT})
    code = next((step.exit_code for step in taken if step.exit_code), 0)
    if code:
        raise typer.Exit(code)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(setup)


class _Given(NamedTuple):
    """What the options say; None where they say nothing."""

    local: bool
    server: str | None
    key_stdin: bool
    claude: Choice
    codex: Choice
    statusline: Choice
    service: Choice
    test_ping: Choice


class _Asking(NamedTuple):
    """Whether somebody is here to be asked, or the defaults are to be taken."""

    is_open: bool
    takes_defaults: bool

    def choose(self, option: Choice, question: str, *, default: bool) -> bool:
        """Return what the option says, else the answer. Raises UsageError where nobody answers."""
        if option is not None:
            return option
        if self.is_open:
            return typer.confirm(question, default=default, err=True)
        return default if self.takes_defaults else _nobody(question)

    def server(self, default: str) -> str:
        """Return the server that somebody names, "" for this machine alone."""
        question = "Report to a server? Its address, or nothing for this machine alone"
        if self.is_open:
            note(question)  # on a line of its own: what is typed has room
            shown = bool(default)
            told = typer.prompt("Server", default=default, show_default=shown, err=True)
            return str(told).strip()
        return default if self.takes_defaults else str(_nobody(question))


def _nobody(question: str) -> bool:
    raise UsageError(
        f"{question.rstrip('?')}? Nobody is here to answer.",
        "Say --yes to take the defaults, or what you want: telemhq setup --help",
    )


def _wanted(given: _Given, asks: _Asking, profile: str | None) -> Wanted:
    """Ask what no option says, all of it before anything is done."""
    from telemhq_cli.setting_up import Wanted, has_manager, known_login  # noqa: PLC0415 - not for --help

    chosen = settings.load(locations.ours().settings, session.environ_for(profile))
    known = known_login(chosen.profile.value)
    if asks.is_open:
        note(f"Found here: {' and '.join(found_here.in_words()) or 'no logs of coding agents'}.")
    server = _server(given, asks, known, chosen)
    is_known = known is not None and known.url == server
    key = ""
    if server and (given.key_stdin or not is_known):
        key = login.key_for(server, from_stdin=given.key_stdin, command="setup --server")
    claude, codex = _sources(given, asks, known if is_known else None, server)
    is_asked_for = bool(given.claude or given.statusline)
    hook = claude and (is_asked_for or bool(found_here.claude_sessions()))
    statusline = hook and asks.choose(
        given.statusline, "Show today's usage in Claude Code's status line?", default=False
    )
    has_one = given.service is not None or has_manager()
    service = has_one and asks.choose(
        given.service, "Keep the agent running in the background?", default=True
    )
    sources = {Source.CODEX: codex, Source.CLAUDE: claude}
    return Wanted(
        profile=chosen.profile.value,
        server=server,
        api_key=key,
        reported=tuple(source for source, wanted in sources.items() if wanted),
        hook=hook,
        statusline=statusline,
        service=service,
        has_manager=has_one,
        test_ping=bool(server) and given.test_ping is not False,
    )


def _server(given: _Given, asks: _Asking, known: Profile | None, chosen: settings.Settings) -> str:
    if given.local:
        return ""
    named = given.server
    if named is None:
        named = asks.server(known.url if known is not None else "")
    return login.server_named(named, chosen, "--server") if named else ""


def _sources(given: _Given, asks: _Asking, known: Profile | None, server: str) -> tuple[bool, bool]:
    """Return whether to collect from Claude Code, and from Codex; what was chosen before stays."""
    from telemhq_cli.setting_up import sent_by  # noqa: PLC0415 - not for --help

    before = set(Source) if known is None else sent_by(known.name)
    claude, codex = given.claude, given.codex
    if claude is None:
        claude = Source.CLAUDE in before
        if found_here.claude_sessions():
            question = "Claude Code: add the hook, so that each turn is known as it ends?"
            claude = asks.choose(None, question, default=claude)
    if codex is None:
        codex = Source.CODEX in before
        if server and found_here.codex_sessions():
            codex = asks.choose(None, "Codex: report its usage too?", default=codex)
    return claude, codex


def _taken(wanted: Wanted, *, is_quiet: bool) -> list[Step]:
    """Take the steps, and tell of each as soon as it is over."""
    from telemhq_cli.render.setup import show_end, show_step, show_warnings  # noqa: PLC0415 - not for --help
    from telemhq_cli.setting_up import steps  # noqa: PLC0415 - same

    taken = []
    try:
        for step in steps(wanted):
            taken.append(step)
            if is_quiet:
                remark(*step.warnings)
            else:
                show_step(step)
                show_warnings(step)
    except KeyboardInterrupt:
        note("", "telemhq: what is told above is done; telemhq setup goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    if not is_quiet:
        show_end(taken, NEXT)
    return taken
