"""This machine's trackers: where what its collectors find is sent."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_agents import clock, credentials, locations
from telemhq_agents.credentials import Destination
from telemhq_agents.errors import RefusedError
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemhq_agents.credentials import Credentials
    from telemhq_cli.commands.session import Session

NO_SUCH_ROUTE = (404, 405)
TITLES = {Source.CODEX: "Codex", Source.CLAUDE: "Claude Code"}


def point_at(here: Session, sources: Sequence[Source] = tuple(Source)) -> list[Destination]:
    """Send what this machine collects from now on to the session's account; return where.

    Each of these sources gets its tracker there, or the one it has; the others go nowhere from now
    on. What was due by now, and what is queued already, keeps its way.
    """
    device = credentials.device(locations.ours().credentials)
    name_key = _name_key(here)
    found = [_destination(here, device.id, source, name_key) for source in sources]

    def pointed(held: Credentials, now_ms: int) -> Credentials:
        for one in found:
            known = held.destinations.get(one.id)
            born_ms = now_ms if known is None else known.born_ms
            held = held.with_destination(replace(one, born_ms=born_ms))
            held = held.with_source_sent(one.source, one.id, now_ms)
        for other in set(Source) - set(sources):
            if held.destination_of(other.value):
                held = held.with_source_sent(other.value, "", now_ms)
        return held

    _point(pointed)
    return found


def send_nowhere(profile: str) -> None:
    """Stop sending what this machine collects to trackers of a profile; what was due still goes."""

    def pointed(held: Credentials, now_ms: int) -> Credentials:
        for source in Source:
            destination = held.destinations.get(held.destination_of(source.value))
            if destination is not None and destination.profile == profile:
                held = held.with_source_sent(source.value, "", now_ms)
        return held

    _point(pointed)


def _point(changed: Callable[[Credentials, int], Credentials]) -> None:
    """Queue what is due for where it belonged so far, then change where sources are sent."""
    from telemhq_agents.ledger import steering  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.ledger.store import Ledger  # noqa: PLC0415 - same

    ours = locations.ours()
    with Ledger.open(ours.ledger) as ledger:
        steering.restore(ledger, ours.credentials)
        ledger.queue_due(clock.now_ms(), device=steering.sender(ours))
        now_ms = clock.now_ms()
        steering.point(ledger, ours.credentials, lambda held: changed(held, now_ms))


def _name_key(here: Session) -> str:
    """Return what the account's project names are hashed under; "" where a server knows of none.

    Raises RefusedError for any other refusal: names hashed otherwise would join nobody else's.
    """
    try:
        return here.api.naming_key(here.account.id)
    except RefusedError as error:
        if error.status not in NO_SUCH_ROUTE:
            raise
        return ""


def _destination(here: Session, device_id: str, source: Source, name_key: str) -> Destination:
    name = f"{TITLES[source]} on {platform.node() or 'this machine'}"
    tracker = here.api.device_tracker(device_id, source.value, name)
    return Destination(
        id=f"{here.profile}:{source.value}:{tracker.id}",
        ping_url=tracker.ping_url,
        source=source.value,
        profile=here.profile,
        label=f"{here.account.name}: {tracker.name}",
        name_key=name_key,
    )
