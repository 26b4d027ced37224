"""`telemhq agent …`: the background loop; what is told of it stands in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents import locations, settings
from telemhq_agents.errors import BrokenLedgerError, TelemhqError, UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import outbox, period, service, status
from telemhq_cli.commands.options import AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.commands.scanning import in_words
from telemhq_cli.render.output import note, say, show_json
from telemhq_cli.render.progress import counting
from telemhq_cli.render.voice import warn
from telemhq_cli.render.words import counted, whole

if TYPE_CHECKING:
    from telemhq_cli.agent import Pass, Plan

app = typer.Typer(
    no_args_is_help=True, help="The background agent: reads logs and reports what is new."
)
app.command()(service.install)
app.command()(service.uninstall)
Backfill = Annotated[
    bool, typer.Option("--backfill", help="Also send what the logs held before the login.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE|TIME", help="With --backfill: only from here on."),
]
Coalesce = Annotated[
    str | None,
    typer.Option("--coalesce", metavar="1m|3m|5m|15m|off", help="Send one ping per such window."),
]
SAME_WINDOWS = (
    "telemhq: machines that share a synced home need the same --coalesce;",
    "  otherwise the same work counts twice",
)


@app.command()
def run(
    backfill: Backfill = False,
    since: Since = None,
    coalesce: Coalesce = None,
) -> None:
    """Follow both agents' logs and report what is new, until stopped."""
    follow(tuple(Source), backfill=backfill, since=since, coalesce=coalesce)


@app.command()
def once(
    backfill: Backfill = False,
    since: Since = None,
    coalesce: Coalesce = None,
    wake: Annotated[
        bool, typer.Option("--wake", hidden=True, help="For the hook: quiet, one at a time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read what is new, report it, and end."""
    if wake:
        _wake()
        return
    from telemhq_cli import agent  # noqa: PLC0415 - httpx and SQLite
    from telemhq_cli import status as status_file  # noqa: PLC0415 - same

    plan = _plan(tuple(Source), backfill=backfill, since=since, coalesce=coalesce)
    with counting("Reading and reporting") as told, agent.at_work(plan) as worker:
        done = worker.whole_pass(told)
    status_file.remember(done)
    if as_json:
        show_json(status_file.as_json(done))
        return
    for source, report in done.scans.items():
        say(in_words(source, report))
    _say_delivery(done)


app.command()(status.status)
app.command()(service.logs)
app.command()(outbox.outbox)


def follow(
    sources: tuple[Source, ...], *, backfill: bool, since: str | None, coalesce: str | None
) -> None:
    """Run the loop with these collectors until it is stopped."""
    from telemhq_cli import following  # noqa: PLC0415 - SQLite and watchdog

    following.follow(_plan(sources, backfill=backfill, since=since, coalesce=coalesce))


def _plan(
    sources: tuple[Source, ...], *, backfill: bool, since: str | None, coalesce: str | None
) -> Plan:
    from telemhq_cli.agent import Plan  # noqa: PLC0415 - not needed for --help

    if since is not None and not backfill:
        raise UsageError("--since needs --backfill.")
    minutes = None
    if coalesce is not None:
        try:
            minutes = settings.coalesce_minutes(coalesce)
        except ValueError as error:
            raise UsageError(f"--coalesce {error}, not {coalesce!r}.") from error
        note(*SAME_WINDOWS)
    zone = period.zone_in_use(None)
    since_ms = (period.since_ms(since, zone) or 0) if backfill else None
    return Plan(sources, minutes, since_ms)


def _wake() -> None:
    """Serve a hook: whatever goes wrong, nobody is there to read it, and the next one tries again."""
    from telemhq_cli import loop  # noqa: PLC0415 - httpx and SQLite

    try:
        try:
            loop.wake()
        except BrokenLedgerError:
            _mend_quietly()
            loop.wake()
    except TelemhqError:
        return


def _mend_quietly() -> None:
    """Replace a damaged ledger, and leave word of it in the agent's log."""
    from telemhq_cli.journal import Journal  # noqa: PLC0415 - hardly ever needed
    from telemhq_cli.mending import mend  # noqa: PLC0415 - same

    ours = locations.ours()
    journal = Journal(ours.agent_log)
    try:
        mend(ours, said=journal.write)
    finally:
        journal.close()


def _say_delivery(done: Pass) -> None:
    delivery = done.delivery
    if delivery is None:
        return
    sent = delivery.sent + delivery.duplicates
    known = f" ({whole(delivery.duplicates)} known there already)" if delivery.duplicates else ""
    verb = "waits" if delivery.left == 1 else "wait"
    say(f"Reported {counted(sent, 'ping')}{known}; {whole(delivery.left)} {verb}.")
    if delivery.parked or delivery.uncertain:
        note(
            f"telemhq: pings refused: {delivery.parked}, uncertain: {delivery.uncertain}",
            "  telemhq agent outbox",
        )
    for problem in done.problems:
        warn(problem)
