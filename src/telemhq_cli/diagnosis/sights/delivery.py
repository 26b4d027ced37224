"""Looking at what is on its way to a server, and at the server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from telemhq_agents import credentials, settings
from telemhq_agents.errors import NotLoggedInError, TelemhqError
from telemhq_agents.usage import Source
from telemhq_cli.diagnosis.seen import OutboxSeen, ServerSeen, trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations

SERVER_TIMEOUT_S = 5.0


def outbox(ledger: Ledger) -> OutboxSeen:
    """Return how many pings wait, in which state, and since when."""
    from telemhq_agents.ledger.records import OutboxState  # noqa: PLC0415 - SQLite

    counts = ledger.counts()
    pending = ledger.outbox(OutboxState.PENDING) if counts.pending else []
    oldest_ms = min((row.created_ms for row in pending), default=None)
    return OutboxSeen(counts.pending, counts.parked, counts.uncertain, oldest_ms)


def unpriced(ledger: Ledger) -> tuple[tuple[str, int], ...]:
    """Return the tokens of each model that has no price, most of them first."""
    rows = ledger.usage(("model",)).rows
    found = [(row.keys[0], row.amounts.unpriced_tokens) for row in rows]
    return tuple(sorted((one for one in found if one[1]), key=lambda one: -one[1]))


def sends_to(ledger: Ledger | None, held: Credentials) -> tuple[tuple[str, str], ...]:
    """Return the label of where each source is sent, "" for nowhere."""
    from telemhq_cli.commands.outbox import label  # noqa: PLC0415 - SQLite

    return tuple(
        (source.value, label(_destination(ledger, held, source), held)) for source in Source
    )


def _destination(ledger: Ledger | None, held: Credentials, source: Source) -> str:
    return held.destination_of(source.value) if ledger is None else ledger.destination(source)


def server(
    ours: Locations, held: Credentials, options: Mapping[str, str], *, online: bool
) -> ServerSeen | None:
    """Ask the server of the login in use whether it is there; None where there is no login.

    `options` are settings that the command line named.
    """
    from telemhq_agents.delivery import reaching  # noqa: PLC0415 - httpx

    url = ""
    try:
        chosen = settings.load(ours.settings, os.environ, options)
        known = held.profiles.get(chosen.profile.value)
        url = known.url if known is not None else ""
        login = credentials.login(chosen, held)
        url = login.url
        if not online:
            return ServerSeen(url, is_skipped=True)
        reached = reaching.reach(login, timeout_s=SERVER_TIMEOUT_S)
    except NotLoggedInError as error:
        return ServerSeen(url, trouble(error)) if url else None
    except TelemhqError as error:
        return ServerSeen(url, trouble(error))
    return ServerSeen(url, took_ms=reached.took_ms, ahead_ms=reached.ahead_ms)
