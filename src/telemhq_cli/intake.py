"""Into the ledger: what logs hold, pings of the wrapper, events of Claude Code's hook."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from telemhq_agents import clock, locations, spool
from telemhq_agents.errors import TelemhqError, UnreachableError
from telemhq_agents.ledger.records import OutboxState
from telemhq_agents.usage import Source
from telemhq_cli.wrap import trackers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from claude_code_hooks.translate import HookEvent
    from telemhq_agents.collecting import LedgerPort, Namer, Plan, ScanReport, Told
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.spool import Claimed

AT_ONCE = 200
PING, HOOK = frozenset({"ping"}), frozenset({"hook"})


def read_logs(
    ledger: Ledger,
    sources: Sequence[Source],
    namer: Namer,
    now_ms: int,
    told: Told | None = None,
) -> dict[Source, ScanReport]:
    """Book what the logs of these sources hold beyond the ledger's cursors.

    All of them are read at once, so that no core waits for the last log of one source. `told` hears
    how many are read.
    """
    from telemhq_agents.collecting import collect  # noqa: PLC0415 - only where logs are read

    plans = [_plan(ledger, source, namer, now_ms) for source in sources]
    with ledger.filling() as goes_on:
        return collect(ledger, plans, ledger.prices, in_parts=goes_on, told=told)


def _plan(ledger: Ledger, source: Source, namer: Namer, now_ms: int) -> Plan:
    cursors = ledger.cursors(source)
    match source:
        case Source.CODEX:
            from codex_watcher.scan import plan as plan_codex  # noqa: PLC0415 - one may be enough

            return plan_codex(cursors, locations.codex_home(), namer, now_ms=now_ms)
        case Source.CLAUDE:
            from claude_code_hooks.scan import plan as plan_claude  # noqa: PLC0415 - same

            return plan_claude(cursors, locations.claude_homes(), namer, now_ms=now_ms)
        case _:
            assert_never(source)


class SpooledPing(NamedTuple):
    """A ping that a wrapper left behind. `url` is "" where it could not find the tracker out."""

    key: str
    url: str
    tracker: str
    profile: str
    body: bytes
    created_ms: int
    may_have_arrived: bool


def ping_of(entry: dict[str, Any]) -> SpooledPing | None:
    """Read a spool entry; None when it is not whole."""
    texts = [entry.get(name, "") for name in ("key", "url", "tracker", "profile", "body")]
    if not all(isinstance(text, str) for text in texts) or not texts[0]:
        return None
    key, url, tracker, profile, body = texts
    created_ms = entry.get("created_ms")
    return SpooledPing(
        key,
        url,
        tracker,
        profile,
        body.encode(),
        created_ms if isinstance(created_ms, int) else clock.now_ms(),
        entry.get("may_have_arrived") is True,
    )


def take_pings(ledger: Ledger, home: Path) -> tuple[int, list[str]]:
    """Put the wrapper's pings into the outbox; return how many, and what kept others here."""
    claimed = spool.claim(home, PING)
    taken, problems = 0, []
    addresses = _Addresses()
    while some := list(islice(claimed, AT_ONCE)):
        kept = [one for one in some if not addresses.knows(one.entry)]
        ready = [one for one in some if one not in kept]
        _enqueue(ledger, [ping_of(one.entry) for one in ready], addresses)
        for one in ready:
            spool.done(one)
        for one in kept:
            spool.put_back(home, one)
        taken += len(ready)
    problems += addresses.problems
    spool.leave(home)
    return taken, problems


def take_hooks(home: Path) -> tuple[list[Claimed], list[HookEvent]]:
    """Claim the hook's entries; the caller lets them go once their events are booked."""
    if not spool.pending_count(home, HOOK):
        return [], []
    from claude_code_hooks.translate import event_of  # noqa: PLC0415 - only where a hook ran

    claimed = list(spool.claim(home, HOOK))
    events = (event_of(one.entry) for one in claimed)
    return claimed, [event for event in events if event is not None]


def book_hooks(
    ledger: LedgerPort,
    home: Path,
    homes: Sequence[Path],
    namer: Namer,
    sleep: Callable[[float], object],
) -> tuple[int, ScanReport | None]:
    """Book what the hook's entries announce; return how many there were."""
    claimed, events = take_hooks(home)
    if not claimed:
        return 0, None
    from claude_code_hooks.drain import drain  # noqa: PLC0415 - only where a hook ran

    report = drain(ledger, events, homes, namer, now_ms=clock.now_ms(), sleep=sleep)
    for one in claimed:
        spool.done(one)
    spool.leave(home)
    return len(claimed), report


def _enqueue(ledger: Ledger, pings: Sequence[SpooledPing | None], addresses: _Addresses) -> None:
    """Put pings into the outbox in one step; those that may have arrived are marked as sent."""
    with ledger.transaction():
        new = [
            ping
            for ping in pings
            if ping is not None
            and ledger.enqueue(addresses.of(ping), ping.key, ping.body, ping.created_ms)
        ]
        marked = {ping.key for ping in new if ping.may_have_arrived}
        unknown = {ping.key: addresses.why(ping) for ping in new if addresses.why(ping)}
        for row in ledger.outbox(OutboxState.PENDING) if marked or unknown else ():
            if row.key in marked:
                ledger.begin_sending(row)
            if row.key in unknown:
                ledger.park(row, unknown[row.key])


class _Addresses:
    """Where spooled pings go; each unknown tracker is asked for once."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._found: dict[tuple[str, str], str] = {}
        self._why: dict[tuple[str, str], str] = {}

    def knows(self, entry: dict[str, Any]) -> bool:
        """Tell whether the entry can go into the outbox now."""
        ping = ping_of(entry)
        if ping is None:
            self.problems.append("a ping in the spool cannot be understood; it is left there")
            return False
        if ping.url or self._asked(ping):
            return True
        self.problems.append(f"nobody answers where the tracker {ping.tracker!r} is")
        return False

    def of(self, ping: SpooledPing) -> str:
        """Return a ping's destination: its URL, or a name that stands for an unknown tracker."""
        return ping.url or self._found[ping.profile, ping.tracker]

    def why(self, ping: SpooledPing) -> str:
        """Return why a ping can never be sent, "" where it can."""
        return "" if ping.url else self._why.get((ping.profile, ping.tracker), "")

    def _asked(self, ping: SpooledPing) -> str:
        name = (ping.profile, ping.tracker)
        if name not in self._found:
            try:
                self._found[name] = trackers.ping_url(ping.tracker, ping.profile)
            except UnreachableError:
                self._found[name] = ""
            except TelemhqError as error:
                self._found[name] = f"tracker:{ping.profile}/{ping.tracker}"
                self._why[name] = error.message
        return self._found[name]
