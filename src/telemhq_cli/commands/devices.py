"""This machine's trackers: where what its collectors find is sent."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from telemhq_agents import clock, credentials, locations
from telemhq_agents.credentials import Destination
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from telemhq_agents.credentials import Credentials
    from telemhq_cli.commands.session import Session

TITLES = {Source.CODEX: "Codex", Source.CLAUDE: "Claude Code"}


def point_at(here: Session) -> list[Destination]:
    """Send what this machine collects from now on to the session's account; return where.

    Each source gets its tracker there, or the one it has. What is queued already keeps its way.
    """
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - not needed for --help

    ours = locations.ours()
    device = credentials.device(ours.credentials)
    found = [_destination(here, device.id, source) for source in Source]

    def added(held: Credentials) -> Credentials:
        for destination in found:
            held = held.with_destination(destination)
        return held

    credentials.change(ours.credentials, added)
    with Ledger.open(ours.ledger) as ledger:
        for destination in found:
            source = Source(destination.source)
            ledger.set_destination(source, destination.id, destination.born_ms)
    return found


def send_nowhere(profile: str) -> None:
    """Stop sending what this machine collects to trackers of a profile."""
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - not needed for --help

    ours = locations.ours()
    if not ours.ledger.exists():
        return
    known = credentials.load(ours.credentials).destinations
    with Ledger.open(ours.ledger) as ledger:
        for source in Source:
            destination = known.get(ledger.destination(source))
            if destination is not None and destination.profile == profile:
                ledger.set_destination(source, "", clock.now_ms())


def _destination(here: Session, device_id: str, source: Source) -> Destination:
    name = f"{TITLES[source]} on {platform.node() or 'this machine'}"
    tracker = here.api.device_tracker(device_id, source.value, name)
    return Destination(
        id=f"{here.profile}:{source.value}:{tracker.id}",
        ping_url=tracker.ping_url,
        source=source.value,
        profile=here.profile,
        label=f"{here.account.name}: {tracker.name}",
        born_ms=clock.now_ms(),
    )
