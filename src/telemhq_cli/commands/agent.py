"""`telemhq agent …`: the background loop, its state, and what it could not deliver."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import clock, locations, settings
from telemhq_agents.errors import TelemhqError, UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import period
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.commands.scanning import in_words
from telemhq_cli.render.output import form_of, note, say, show_json, show_pairs, show_table
from telemhq_cli.render.progress import patience
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.voice import warn
from telemhq_cli.render.words import counted, moment, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.records import OutboxRow
    from telemhq_agents.locations import Locations
    from telemhq_cli.agent import Pass, Plan

app = typer.Typer(
    no_args_is_help=True, help="The background agent: reads logs and reports what is new."
)
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
    from telemhq_cli import agent, loop  # noqa: PLC0415 - httpx and SQLite

    plan = _plan(tuple(Source), backfill=backfill, since=since, coalesce=coalesce)
    with patience("Reading logs and reporting …"), agent.at_work(plan) as worker:
        done = worker.whole_pass()
    loop.remember(done)
    if as_json:
        show_json(loop.as_json(done))
        return
    for source, report in done.scans.items():
        say(in_words(source, report))
    _say_delivery(done)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show whether the agent runs, where usage goes and what waits."""
    found = _status(locations.ours())
    if as_json:
        show_json(found)
        return
    outbox, spooled = found["outbox"], found["spool"]
    show_pairs(
        [
            ("Agent", f"runs (process {found['pid']})" if found["running"] else "does not run"),
            *([("Watching by", found["watching_by"])] if found["watching_by"] else []),
            ("Last pass", found["last_pass_at"] or "never"),
            *(
                (name.capitalize(), label or "stays here")
                for name, label in found["sends_to"].items()
            ),
            (
                "Outbox",
                f"{outbox['pending']} wait, {outbox['parked']} parked, {outbox['uncertain']} uncertain",
            ),
            ("Spool", f"{spooled['waiting']} wait, {spooled['damaged']} damaged"),
        ]
    )
    for problem in found["problems"]:
        say(f"  {problem}")
    if outbox["parked"] or outbox["uncertain"]:
        say("", "Next: telemhq agent outbox")
    elif not found["running"]:
        say("", "Next: telemhq agent run")


@app.command()
def outbox(
    retry: Annotated[bool, typer.Option("--retry", help="Send what is parked again.")] = False,
    retry_uncertain: Annotated[
        bool,
        typer.Option("--retry-uncertain", help="Send what is uncertain again: it may count twice."),
    ] = False,
    drop: Annotated[
        int | None, typer.Option("--drop", metavar="ID", help="Forget one ping for good.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show pings that were not delivered, and why."""
    from telemhq_agents import credentials  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.ledger.records import OutboxState  # noqa: PLC0415 - same
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    ours = locations.ours()
    with Ledger.open(ours.ledger) as ledger:
        if drop is not None:
            row = next((row for row in ledger.outbox() if row.id == drop), None)
            if row is None:
                raise UsageError(f"There is no ping {drop} in the outbox.", "telemhq agent outbox")
            ledger.forget(row)
        states = [
            state
            for state, asked in (
                (OutboxState.PARKED, retry),
                (OutboxState.UNCERTAIN, retry_uncertain),
            )
            if asked
        ]
        if states:
            count = ledger.unpark(states=states)
            waiting = f"{counted(count, 'ping')} {'waits' if count == 1 else 'wait'}"
            note(f"{waiting} to be sent again. Next: telemhq agent once")
        rows = ledger.outbox()
    held = credentials.load(ours.credentials)
    shown = [_shown(row, held) for row in rows]
    table = Table(
        OUTBOX,
        [tuple(one[column.key] for column in OUTBOX) for one in shown],
        notes=_what_helps(rows, held),
        empty="The outbox is empty.",
    )
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), shown)


OUTBOX = (
    Column("id", "Id", str, is_figure=True),
    Column("state", "State"),
    Column("destination", "To"),
    Column("attempts", "Tries", whole, is_figure=True),
    Column("created_at", "From", moment, spare=1, copied=True),
    Column("last_error", "Why"),
)


GONE = ("401:", "403:", "404:", "405:", "410:")
"""How the reason begins where a ping URL itself is refused."""


def _what_helps(rows: Sequence[OutboxRow], held: Credentials) -> tuple[str, ...]:
    """Say what to do about this machine's own trackers that a server refuses."""
    refused = [
        row
        for row in rows
        if row.destination in held.destinations and row.last_error.startswith(GONE)
    ]
    if not refused:
        return ()
    return (
        "A tracker of this machine was given another URL or deleted elsewhere.",
        "Next: telemhq login, then telemhq agent outbox --retry",
        "What a deleted one still refuses then: telemhq agent outbox --drop ID",
    )


def follow(
    sources: tuple[Source, ...], *, backfill: bool, since: str | None, coalesce: str | None
) -> None:
    """Run the loop with these collectors until it is stopped."""
    from telemhq_cli import loop  # noqa: PLC0415 - httpx, SQLite and watchdog

    ours = locations.ours()
    plan = _plan(sources, backfill=backfill, since=since, coalesce=coalesce)
    names = " and ".join(source.value for source in sources)
    if not loop.run(plan, lambda: note(f"Following {names}; Ctrl-C ends it."), _note_problems()):
        pid = loop.read_status(ours).get("pid", "unknown")
        raise TelemhqError(f"An agent runs already (process {pid}).", "telemhq agent status")


def _note_problems() -> Any:  # noqa: ANN401 - a callback that remembers
    last: list[str] = []

    def said(done: Pass) -> None:
        new = [problem for problem in done.problems if problem not in last]
        last[:] = done.problems
        for problem in new:
            warn(problem)

    return said


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
        loop.wake()
    except TelemhqError:
        return


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


def _status(ours: Locations) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - not needed for --help

    from telemhq_agents import credentials, spool  # noqa: PLC0415 - same
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same
    from telemhq_cli import loop  # noqa: PLC0415 - same

    told = loop.read_status(ours)
    running = loop.is_running(ours)
    held = credentials.load(ours.credentials)
    with Ledger.open(ours.ledger) as ledger:
        counts = asdict(ledger.counts())
        ids = {source.value: ledger.destination(source) for source in Source}
    last_pass = told.get("last_pass_ms")
    return {
        "running": running,
        "pid": told.get("pid") if running else None,
        "watching_by": told.get("watching_by", "") if running else "",
        "last_pass_at": clock.to_iso(last_pass) if isinstance(last_pass, int) else None,
        "sends_to": {source: _label(one, held) for source, one in ids.items()},
        "outbox": counts,
        "spool": {
            "waiting": spool.pending_count(ours.spool),
            "damaged": spool.damaged_count(ours.spool),
        },
        "problems": told.get("last_pass", {}).get("problems", []),
    }


def _label(destination: str, held: Credentials) -> str:
    """Name a destination without its tracking token."""
    known = held.destinations.get(destination)
    if known is not None:
        return known.label or known.id
    return destination.partition("/ping/")[0]


def _shown(row: OutboxRow, held: Credentials) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state.value,
        "destination": _label(row.destination, held),
        "key": row.key,
        "attempts": row.attempts,
        "created_at": clock.to_iso(row.created_ms),
        "next_attempt_at": clock.to_iso(row.next_attempt_ms) if row.next_attempt_ms else None,
        "last_error": row.last_error,
        "payload": json.loads(row.body or b"{}"),
    }
