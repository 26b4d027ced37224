"""Collecting what `telemhq doctor` judges. Looks, and changes nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, credentials, locations, spool
from telemhq_agents.errors import DamagedError, TelemhqError
from telemhq_cli.diagnosis.seen import OutboxSeen, Snapshot, Trouble, trouble
from telemhq_cli.diagnosis.sights import agent, delivery, logs, program, storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations


def look(*, online: bool, profile: str | None = None) -> tuple[Snapshot, Credentials]:
    """Return how things stand on this machine, and the secrets that nothing told of it may hold.

    With `online`, the server of the login in use, or of a profile, is asked, for a few seconds at
    most.
    """
    ours = locations.ours()
    asked = {} if profile is None else {"profile": profile}
    held, wrong = _credentials(ours)
    seen = Snapshot(
        now_ms=clock.now_ms(),
        platform=locations.PLATFORM,
        agent=agent.agent(ours),
        service=agent.service(),
        spool_waiting=spool.pending_count(ours.spool),
        spool_damaged=spool.damaged_count(ours.spool),
        spool_is_full=spool.is_full(ours.spool),
        spool_place=str(ours.spool),
        logs=tuple(logs.logs()),
        credentials=wrong,
        server=delivery.server(ours, held, asked, online=online),
        installation=program.installation(),
        settings=program.chosen(ours, asked),
        keyring=program.keys(ours, held),
        storage=storage.storage(ours),
        **_from_ledger(ours, held),
    )
    return seen, held


def _credentials(ours: Locations) -> tuple[Credentials, Trouble | None]:
    try:
        held = credentials.load(ours.credentials)
    except TelemhqError as error:
        return credentials.Credentials(), trouble(error)
    if credentials.exposed(ours.credentials):
        message = f"Others than you may read {ours.credentials}."
        return held, Trouble(message, f"chmod 600 {ours.credentials}")
    return held, None


def _from_ledger(ours: Locations, held: Credentials) -> dict[str, Any]:
    """Return what a snapshot has from the ledger; where that cannot be read, why."""
    try:
        with _opened(ours) as ledger:
            return {
                "hook": logs.hook(ours, ledger),
                "cursors": logs.cursors(ledger),
                "sends_to": delivery.sends_to(ledger, held),
                "outbox": OutboxSeen() if ledger is None else delivery.outbox(ledger),
                "unpriced": () if ledger is None else delivery.unpriced(ledger),
            }
    except TelemhqError as error:
        why = Trouble(error.message, error.next_step or "telemhq ledger verify")
        return {"hook": logs.hook(ours, None), "outbox": why}


@contextmanager
def _opened(ours: Locations) -> Iterator[Ledger | None]:
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - SQLite

    try:
        ours.ledger.stat()
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        raise DamagedError(
            f"{ours.ledger} cannot be opened: {error.strerror}.", f"ls -ld {ours.ledger.parent}"
        ) from error
    with Ledger.open(ours.ledger) as ledger:
        yield ledger
