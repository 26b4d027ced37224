"""`telemhq agent outbox`: what could not be delivered, and what becomes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import clock, locations
from telemhq_agents.errors import UsageError
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, note, show_table
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import counted, moment, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.records import OutboxRow
    from telemhq_agents.ledger.store import Ledger

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
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    ours = locations.ours()
    with Ledger.open(ours.ledger) as ledger:
        if drop is not None:
            _drop(ledger, drop)
        if retry or retry_uncertain:
            _send_again(ledger, parked=retry, uncertain=retry_uncertain)
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


def label(destination: str, held: Credentials) -> str:
    """Name a destination without its tracking token."""
    known = held.destinations.get(destination)
    if known is not None:
        return known.label or known.id
    return destination.partition("/ping/")[0]


def _drop(ledger: Ledger, number: int) -> None:
    row = next((row for row in ledger.outbox() if row.id == number), None)
    if row is None:
        raise UsageError(f"There is no ping {number} in the outbox.", "telemhq agent outbox")
    ledger.forget(row)
    note(f"telemhq: ping {number} is forgotten")


def _send_again(ledger: Ledger, *, parked: bool, uncertain: bool) -> None:
    from telemhq_agents.ledger.records import OutboxState  # noqa: PLC0415 - not needed for --help

    asked = ((OutboxState.PARKED, parked), (OutboxState.UNCERTAIN, uncertain))
    count = ledger.unpark(states=[state for state, is_asked in asked if is_asked])
    if not count:
        note("telemhq: no such ping is here; nothing is sent again")
        return
    waiting = f"{counted(count, 'ping')} {'waits' if count == 1 else 'wait'}"
    note(f"{waiting} to be sent again. Next: telemhq agent once")


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


def _shown(row: OutboxRow, held: Credentials) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state.value,
        "destination": label(row.destination, held),
        "key": row.key,
        "attempts": row.attempts,
        "created_at": clock.to_iso(row.created_ms),
        "next_attempt_at": clock.to_iso(row.next_attempt_ms) if row.next_attempt_ms else None,
        "last_error": row.last_error,
        "payload": json.loads(row.body or b"{}"),
    }
