"""One pass over everything that is new on this machine, and the loop that repeats it.

    spool (hooks, pings) ─┐
    Codex's logs ─────────┼─► ledger ─► outbox ─► server
    Claude Code's logs ───┘

Every step is safe to repeat: what is cut off in the middle is done again by the next pass.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, assert_never

from telemhq_agents import clock, credentials, locations, settings
from telemhq_agents.collecting import ScanReport
from telemhq_agents.delivery.outbox import DeliveryReport, deliver
from telemhq_agents.errors import NotLoggedInError, TelemhqError
from telemhq_agents.ledger import steering
from telemhq_agents.ledger.narrow import Narrow
from telemhq_agents.usage import Source
from telemhq_cli import intake, reading
from telemhq_cli.opening import open_ledger, own_namer
from telemhq_cli.prompts import log_prompts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from telemhq_agents.collecting import LedgerPort, Namer, Told
    from telemhq_agents.delivery.client import PingSender
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.locations import Locations

BOOKING_WAIT_S = 30.0
SHORT_WAIT_S = 2.0
"""For the loop, which must hear when it is told to stop, and tries again anyway."""
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


def read_changed(
    ledger: LedgerPort,
    sources: Sequence[Source],
    paths: Collection[Path],
    namer: Namer,
    now_ms: int,
) -> dict[Source, ScanReport]:
    """Book what these files hold beyond the ledger's cursors; what is no log of these is let be."""
    found = {}
    for source in sources:
        homes = [os.path.realpath(home) for home in homes_of(source)]
        logs = [path for path in paths if any(path.is_relative_to(home) for home in homes)]
        if logs:
            found[source] = _scan_only(ledger, source, logs, namer, now_ms)
    return found


def homes_of(source: Source) -> list[Path]:
    """Return the directories below which a source's logs lie."""
    match source:
        case Source.CODEX:
            return [locations.codex_home()]
        case Source.CLAUDE:
            return locations.claude_homes()
        case _:
            assert_never(source)


def _scan_only(
    ledger: LedgerPort, source: Source, logs: Collection[Path], namer: Namer, now_ms: int
) -> ScanReport:
    match source:
        case Source.CODEX:
            from codex_watcher.scan import scan as scan_codex  # noqa: PLC0415 - one may be enough

            home = locations.codex_home()
            return scan_codex(ledger, home, namer, now_ms=now_ms, only=logs)
        case Source.CLAUDE:
            from claude_code_hooks.scan import scan as scan_claude  # noqa: PLC0415 - same

            homes = locations.claude_homes()
            return scan_claude(ledger, homes, namer, now_ms=now_ms, only=logs)
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
        self._ledger = ledger
        self._ours = ours
        self._plan = plan
        self._stop = stop
        self._sender: PingSender | None = None

    def close(self) -> None:
        """Close the line to the servers."""
        if self._sender is not None:
            self._sender.close()

    def whole_pass(self, told: Told | None = None) -> Pass:
        """Take in, read, queue and deliver all there is; `told` hears how far that is."""
        done = self._take_pings(Pass())
        with self._ledger.booking(BOOKING_WAIT_S) as ours:
            if ours:
                namer = own_namer(self._ours)
                self._book_hooks(done, namer)
                done.scans = intake.read_logs(
                    self._ledger, self._plan.sources, namer, clock.now_ms(), told
                )
            else:
                done.problems.append("another process reads the logs; nothing was read")
        return self._deliver(self._queue(self._log_prompts(done)), told)

    def short_pass(self) -> Pass:
        """Take in, read and deliver what the spool announces, and nothing else."""
        done = self._take_pings(Pass())
        with self._ledger.booking(BOOKING_WAIT_S) as ours:
            if ours:
                self._book_hooks(done, own_namer(self._ours))
        return self._deliver(self._queue(self._log_prompts(done)))

    def catch_up(self) -> Pass | None:
        """Read and queue all there is, in a process of its own; None when told to stop meanwhile.

        Raises TelemhqError for what kept that process from it.
        """
        done = self._read_hooks_and(())
        caught = reading.in_a_process(self._plan.sources, self._stop)
        if caught is None:
            return None
        done.scans = caught.scans
        self._queue(self._log_prompts(done))
        done.queued += caught.queued
        return done

    def read(self, paths: Collection[Path]) -> Pass:
        """Read and queue what hooks announce and what these files hold; delivers nothing.

        Raises NotNowError while another process reads the logs.
        """
        return self._queue(self._read_hooks_and(paths))

    def _read_hooks_and(self, paths: Collection[Path]) -> Pass:
        done = Pass()
        with self._ledger.booking(SHORT_WAIT_S) as ours:
            if not ours:
                raise reading.NotNowError(reading.SOMEBODY_ELSE)
            namer = own_namer(self._ours)
            self._book_hooks(done, namer)
            done.scans = read_changed(
                Narrow(self._ledger), self._plan.sources, paths, namer, clock.now_ms()
            )
        return done

    def _take_pings(self, done: Pass) -> Pass:
        done.pings, problems = intake.take_pings(self._ledger, self._ours.spool)
        done.problems += problems
        return done

    def _book_hooks(self, done: Pass, namer: Namer) -> None:
        if Source.CLAUDE not in self._plan.sources:
            return
        done.hooks, _ = intake.book_hooks(
            Narrow(self._ledger), self._ours.spool, locations.claude_homes(), namer, self._stop.wait
        )

    def _log_prompts(self, done: Pass) -> Pass:
        done.problems += log_prompts(self._ours, self._plan.sources)
        return done

    def _queue(self, done: Pass) -> Pass:
        sender = steering.sender(self._ours)
        done.queued = self._ledger.queue_due(clock.now_ms(), device=sender)
        for scan in done.scans.values():
            done.problems += scan.problems
        return done

    def _deliver(self, done: Pass, told: Told | None = None) -> Pass:
        held = credentials.load(self._ours.credentials)
        done.delivery = deliver(self._ledger, self._line(), held, stop=self._stop, told=told)
        done.problems += done.delivery.problems
        return done

    def _line(self) -> PingSender:
        from telemhq_agents.delivery.client import PingSender  # noqa: PLC0415 - httpx: 90 ms

        self._sender = self._sender or PingSender()
        return self._sender


def in_words(error: TelemhqError | OSError) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, TelemhqError):
        return f"{error.message} {error.next_step}".strip()
    return f"{error.strerror or error}: {error.filename or 'this machine'}"


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
