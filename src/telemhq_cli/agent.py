"""One pass over everything that is new on this machine, and the loop that repeats it.

    spool (hooks, pings) ─┐
    Codex's logs ─────────┼─► ledger ─► outbox ─► server
    Claude Code's logs ───┘

Every step is safe to repeat: what is cut off in the middle is done again by the next pass.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, assert_never

from telemhq_agents import clock, credentials, locations, settings
from telemhq_agents.collecting import ScanReport
from telemhq_agents.delivery.outbox import DeliveryReport, deliver
from telemhq_agents.errors import NotLoggedInError
from telemhq_agents.ledger import steering
from telemhq_agents.ledger.records import DeviceFacts
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.pricing import OVERRIDE_FILE, Prices
from telemhq_agents.privacy import ProjectNamer
from telemhq_agents.usage import Source
from telemhq_cli import intake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemhq_agents.collecting import Namer
    from telemhq_agents.locations import Locations

BOOKING_WAIT_S = 30.0
ALL_SOURCES = tuple(Source)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an agent does. `coalesce` is minutes, None for the setting's."""

    sources: tuple[Source, ...] = ALL_SOURCES
    coalesce: int | None = None
    backfill_since_ms: int | None = None


@dataclass(slots=True)
class Pass:
    """What one pass did."""

    hooks: int = 0
    pings: int = 0
    scans: dict[Source, ScanReport] = field(default_factory=dict)
    queued: int = 0
    delivery: DeliveryReport | None = None
    problems: list[str] = field(default_factory=list)


@contextmanager
def open_ledger(ours: Locations) -> Iterator[Ledger]:
    """Open the ledger, with the user's own prices where there are any."""
    override = ours.config / OVERRIDE_FILE
    prices = Prices.load(override) if override.exists() else None
    with Ledger.open(ours.ledger, prices=prices) as ledger:
        yield ledger


def read_logs(
    ledger: Ledger, sources: Sequence[Source], namer: Namer, now_ms: int
) -> dict[Source, ScanReport]:
    """Book what the logs of these sources hold beyond the ledger's cursors."""
    return {source: _scan(ledger, source, namer, now_ms) for source in sources}


def _scan(ledger: Ledger, source: Source, namer: Namer, now_ms: int) -> ScanReport:
    match source:
        case Source.CODEX:
            from codex_watcher.scan import scan as scan_codex  # noqa: PLC0415 - one may be enough

            return scan_codex(ledger, locations.codex_home(), namer, now_ms=now_ms)
        case Source.CLAUDE:
            from claude_code_hooks.scan import scan as scan_claude  # noqa: PLC0415 - same

            return scan_claude(ledger, locations.claude_homes(), namer, now_ms=now_ms)
        case _:
            assert_never(source)


def prepare(ledger: Ledger, ours: Locations, plan: Plan) -> None:
    """Put the destinations, the plan's windows and its backfill into force.

    Raises NotLoggedInError when there is nowhere to send old usage to.
    """
    minutes = plan.coalesce
    if minutes is None:
        minutes = settings.load(ours.settings).coalesce.value
    held = steering.restore(ledger, ours.credentials)
    for source in plan.sources:
        steering.coalesce(ledger, ours.credentials, source, minutes, clock.now_ms())
    if plan.backfill_since_ms is not None:
        if not any(held.destination_of(source.value) for source in plan.sources):
            raise NotLoggedInError(
                "There is no server to send earlier usage to.", "telemhq login --url URL"
            )
        steering.backfill(ledger, ours.credentials, plan.sources, plan.backfill_since_ms)


class Agent:
    """Makes passes with one ledger and one line to the servers. `stop` ends a pass early."""

    def __init__(self, ledger: Ledger, ours: Locations, plan: Plan, stop: Event) -> None:
        from telemhq_agents.delivery.client import PingSender  # noqa: PLC0415 - httpx: 90 ms

        self._ledger = ledger
        self._ours = ours
        self._plan = plan
        self._stop = stop
        self._sender = PingSender()

    def close(self) -> None:
        """Close the line to the servers."""
        self._sender.close()

    def whole_pass(self) -> Pass:
        """Take in, read, queue and deliver all there is."""
        done = self._take_pings(Pass())
        with self._ledger.booking(BOOKING_WAIT_S) as ours:
            if ours:
                namer = ProjectNamer()
                self._book_hooks(done, namer)
                done.scans = read_logs(self._ledger, self._plan.sources, namer, clock.now_ms())
            else:
                done.problems.append("another process reads the logs; nothing was read")
        return self._send(done)

    def short_pass(self) -> Pass:
        """Take in, read and deliver what the spool announces, and nothing else."""
        done = self._take_pings(Pass())
        with self._ledger.booking(BOOKING_WAIT_S) as ours:
            if ours:
                self._book_hooks(done, ProjectNamer())
        return self._send(done)

    def next_due_ms(self) -> int | None:
        """Return when the outbox has something to send again."""
        return self._ledger.next_due_ms()

    def _take_pings(self, done: Pass) -> Pass:
        done.pings, problems = intake.take_pings(self._ledger, self._ours.spool)
        done.problems += problems
        return done

    def _book_hooks(self, done: Pass, namer: Namer) -> None:
        if Source.CLAUDE not in self._plan.sources:
            return
        done.hooks, _ = intake.book_hooks(
            self._ledger, self._ours.spool, locations.claude_homes(), namer, self._stop.wait
        )

    def _send(self, done: Pass) -> Pass:
        device = credentials.device(self._ours.credentials)
        facts = DeviceFacts(device.id, device.salt)
        done.queued = self._ledger.queue_due(clock.now_ms(), device=facts)
        held = credentials.load(self._ours.credentials)
        done.delivery = deliver(self._ledger, self._sender, held, stop=self._stop)
        done.problems += done.delivery.problems
        for scan in done.scans.values():
            done.problems += scan.problems
        return done


@contextmanager
def at_work(plan: Plan, stop: Event | None = None) -> Iterator[Agent]:
    """Open the ledger and prepare the plan."""
    ours = locations.ours()
    with open_ledger(ours) as ledger:
        prepare(ledger, ours, plan)
        agent = Agent(ledger, ours, plan, stop or Event())
        try:
            yield agent
        finally:
            agent.close()
