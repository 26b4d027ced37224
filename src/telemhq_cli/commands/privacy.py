"""`telemhq privacy …`: what leaves this machine, and what is kept on it for its owner alone."""

from __future__ import annotations

from typing import Annotated

import typer

from telemhq_agents import clock, credentials, locations, settings
from telemhq_agents.errors import TelemhqError
from telemhq_agents.settings import Privacy
from telemhq_agents.usage import Source
from telemhq_cli.commands.confirm import agree
from telemhq_cli.commands.options import AsCsv, AsJson, Confirmed, at_most_one
from telemhq_cli.render.output import Form, form_of, say, show_json, show_table
from telemhq_cli.render.voice import note, warn
from telemhq_cli.render.words import counted

app = typer.Typer(no_args_is_help=True, help="What leaves this machine, and what stays.")
OfSession = Annotated[
    str,
    typer.Option(
        "--session",
        metavar="ID",
        help="Of this session, not of the latest; how its id begins will do.",
    ),
]
OnlySession = Annotated[
    str, typer.Option("--session", metavar="ID", help="Only what this session was asked.")
]
WAIT_S = 10.0


@app.command()
def preview(session: OfSession = "", as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show what is known of a recent turn and, beside it, what is sent."""
    from telemhq_agents.ledger import preview as previews  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.ledger import steering  # noqa: PLC0415 - same
    from telemhq_agents.privacy import has_remote  # noqa: PLC0415 - same
    from telemhq_cli.opening import open_ledger  # noqa: PLC0415 - same
    from telemhq_cli.render import disclosure  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    ours = locations.ours()
    level = settings.load(ours.settings).privacy.value
    with open_ledger(ours) as ledger:
        found = previews.latest(ledger, session, steering.sender(ours), _naming_key)
    logged = _logged(found.parcel.session_id) if level is Privacy.CONTENT_REDACTED else None
    rows = disclosure.known(found, has_remote=has_remote(found.known.cwd), prompts=logged)
    form = form_of(as_json=as_json, as_csv=as_csv)
    document = disclosure.as_json(found, rows, level) if form is Form.JSON else None
    show_table(disclosure.beside(found, rows, level), form, document)


@app.command()
def prompts(session: OnlySession = "", as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show the log of prompts; it never leaves this machine."""
    from telemhq_agents.prompt_log import PromptLog  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.prompts import log_prompts  # noqa: PLC0415 - same
    from telemhq_cli.render import disclosure  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    ours = locations.ours()
    for problem in log_prompts(ours, tuple(Source)):
        warn(problem)
    kept = sorted(PromptLog(ours.prompts).entries(session), key=lambda one: one.at)
    show_table(disclosure.prompts(kept), form_of(as_json=as_json, as_csv=as_csv))
    if not kept and settings.load(ours.settings).privacy.value is not Privacy.CONTENT_REDACTED:
        note("No log of prompts is kept: telemhq config set privacy content-redacted")


@app.command()
def forget(yes: Confirmed = False, as_json: AsJson = False) -> None:
    """Delete the log of prompts, for good."""
    from telemhq_agents.prompt_log import PromptLog  # noqa: PLC0415 - not needed for --help

    log = PromptLog(locations.ours().prompts)
    agree("Delete every prompt that is logged here?", already=yes)
    with log.held(WAIT_S) as got:
        if not got:
            raise TelemhqError(
                "Another process holds the log of prompts.", "Try again in a minute."
            )
        count = log.forget(clock.now_ms())
    if as_json:
        show_json({"forgotten": count})
    else:
        say(f"Forgot {counted(count, 'prompt')}.")


def _logged(session: str) -> int:
    from telemhq_agents.prompt_log import PromptLog  # noqa: PLC0415 - few keep one

    return sum(1 for _ in PromptLog(locations.ours().prompts).entries(session))


def _naming_key(source: str) -> str:
    """Return the key under which a source's names are hashed: an account's, else the device's salt."""
    ours = locations.ours()
    held = credentials.load(ours.credentials)
    sent_to = held.destinations.get(held.destination_of(source))
    known = sent_to.name_key if sent_to is not None else ""
    return known or credentials.device(ours.credentials).salt
