"""Where pings go and in which windows: kept beside the credentials, followed by the ledger.

Whatever changes it goes through here, so that a ledger that was lost is told the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import credentials, settings
from telemhq_agents.ledger.records import DeviceFacts
from telemhq_agents.privacy import Patterns, is_kept
from telemhq_agents.settings import Privacy
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from telemhq_agents.credentials import Credentials
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations


def sender(ours: Locations) -> DeviceFacts:
    """Return what pings tell of this machine, and what its owner's settings keep from them.

    Raises SettingsError where the settings cannot be read: then nothing is told at all.
    """
    chosen = settings.load(ours.settings)
    device = credentials.device(ours.credentials)
    naming = None
    if chosen.privacy.value is Privacy.HASHED:
        known = credentials.load(ours.credentials).destinations.values()
        naming = {one.id: one.name_key for one in known if one.name_key}
    patterns = Patterns(chosen.private.value)
    return DeviceFacts(device.id, device.salt, lambda cwd: is_kept(cwd, patterns), naming)


def restore(ledger: Ledger, path: Path) -> Credentials:
    """Have a ledger send where the credentials at `path` say; return them.

    A source that the credentials know a destination of, but not the ledger, was told by a ledger
    that is lost: that this was turn by turn is noted where there is no window for it. One that the
    ledger alone knows a destination of is taken into the credentials.
    """
    held = credentials.load(path)
    followed = {source.value: ledger.destinations(source) for source in Source}
    lost = [name for name, history in held.sends_to.items() if not followed[name]]
    unknown = {
        name: history for name, history in followed.items() if history and name not in held.sends_to
    }

    def completed(now: Credentials) -> Credentials:
        for name, history in unknown.items():
            now = now.with_history(name, history)
        return now.with_turns_told(lost)

    return point(ledger, path, completed) if lost or unknown else _followed(ledger, held)


def point(ledger: Ledger, path: Path, changed: Callable[[Credentials], Credentials]) -> Credentials:
    """Change where sources are sent; return the credentials as they are then."""
    return _followed(ledger, credentials.change(path, changed))


def backfill(ledger: Ledger, path: Path, sources: Sequence[Source], since_ms: int) -> None:
    """Send what was told to nobody, from `since_ms` on, to where each source is sent now."""

    def filled(held: Credentials) -> Credentials:
        for source in sources:
            if held.destination_of(source.value):
                held = held.with_backfill(source.value, since_ms)
        return held

    point(ledger, path, filled)


def coalesce(ledger: Ledger, path: Path, source: Source, minutes: int, now_ms: int) -> None:
    """Gather a source in windows of `minutes` from now on; nothing is told while this decides."""
    with ledger.transaction():
        told_ms = ledger.told_until(source)
        history = credentials.coalescing(path, source.value, minutes, now_ms, told_ms)
        ledger.set_coalescing(source, history)


def _followed(ledger: Ledger, held: Credentials) -> Credentials:
    for name, history in held.sends_to.items():
        ledger.follow(Source(name), history)
    return held
