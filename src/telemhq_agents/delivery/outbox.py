"""Emptying the outbox: a few pings in flight at a time, each outcome on disk before the next few.

A process that dies between a send and its record sends the same key again, and the server says
that it knows it. Where a server knows no keys, the row is marked before it is sent, so that a ping
nobody can vouch for is shown instead of sent twice.
"""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, assert_never

from telemhq_agents import clock
from telemhq_agents.contract.ping import KIND_CORRECTION, KIND_RUN, KIND_START, Capabilities
from telemhq_agents.delivery import outcome as outcomes
from telemhq_agents.delivery.outcome import Attempt, NoReply, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.collecting import Told
    from telemhq_agents.credentials import Credentials
    from telemhq_agents.delivery.client import PingSender
    from telemhq_agents.delivery.outcome import Outcome, Reply
    from telemhq_agents.ledger.records import OutboxRow
    from telemhq_agents.ledger.store import Ledger

SPENT = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
    "cost_usd",
)
"""What of a correction a server without corrections would show wrongly without it."""

NOT_UNDERSTOOD = outcomes.Park(
    "not understood by this server, which records runs only", whole=False
)
IN_FLIGHT = 4
AT_ONCE = 64
PATIENCE = 3
"""Failures in a row of single pings after which a destination is left in peace for now."""


@dataclass(slots=True)
class DeliveryReport:
    """What one emptying of the outbox did. `left` pings are still pending.

    Each of `problems` says for a person what keeps a destination's pings here.
    """

    sent: int = 0
    duplicates: int = 0
    retried: int = 0
    parked: int = 0
    uncertain: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)


def deliver(
    ledger: Ledger,
    sender: PingSender,
    credentials: Credentials,
    *,
    now_ms: Callable[[], int] = clock.now_ms,
    dice: Callable[[], float] = random.random,
    limit: int | None = None,
    budget_s: float | None = None,
    stop: Event | None = None,
    told: Told | None = None,
) -> DeliveryReport:
    """Send what is pending and due, until nothing is, or `limit` pings or `budget_s` are used up.

    Trouble of one destination does not hold up another. While another process delivers, nothing is
    done. `told` hears how many were sent. Raises only what the ledger raises.
    """
    report = DeliveryReport()
    with ledger.delivering() as ours:
        if ours:
            run = _Run(ledger, sender, credentials, report=report, now_ms=now_ms, dice=dice)
            run.go_on(limit, budget_s, stop or Event(), told)
    report.left = ledger.counts().pending
    return report


class _Run:
    """One emptying: what it has learned about each destination."""

    def __init__(
        self,
        ledger: Ledger,
        sender: PingSender,
        credentials: Credentials,
        *,
        report: DeliveryReport,
        now_ms: Callable[[], int],
        dice: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._credentials = credentials
        self._report = report
        self._now_ms = now_ms
        self._dice = dice
        self._capable: dict[str, Capabilities] = {}
        self._closed: set[str] = set()
        self._failures: dict[str, int] = {}

    def go_on(
        self, limit: int | None, budget_s: float | None, stop: Event, told: Told | None
    ) -> None:
        """Take and send, a few at a time."""
        until = None if budget_s is None else clock.monotonic_ns() + int(budget_s * 1e9)
        done = 0
        waiting = self._ledger.counts().pending if told is not None else 0
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            while not stop.is_set() and (until is None or clock.monotonic_ns() < until):
                wanted = AT_ONCE if limit is None else min(AT_ONCE, limit - done)
                rows = self._ledger.take(self._now_ms(), wanted, self._closed) if wanted else []
                if not rows:
                    return
                done += len(rows)
                self._send(pool, [row for row in rows if self._may_send(row)])
                if told is not None:
                    told("pings", done, max(done, waiting))

    def _may_send(self, row: OutboxRow) -> bool:
        """Learn about the row's destination; settle what cannot be sent."""
        if row.destination in self._closed or not self._is_open(row):
            return False
        capable = self._capable[row.destination]
        if _takes_corrections(capable):
            return True
        body = _body(row)
        kind = str(body.get("kind") or KIND_RUN)
        if kind == KIND_CORRECTION:
            self._leave_uncorrected(row, body)
            return False
        return capable.idempotency or self._may_send_unprotected(row, kind)

    def _may_send_unprotected(self, row: OutboxRow, kind: str) -> bool:
        if row.sending:
            self._doubt(row, "the program ended while it was being sent")
        elif kind == KIND_START:
            self._ledger.forget(row)  # its end tells the whole run; here it would count as one more
        elif kind != KIND_RUN:
            self._settle(row, NOT_UNDERSTOOD)
        else:
            return True
        return False

    def _leave_uncorrected(self, row: OutboxRow, body: dict[str, Any]) -> None:
        """Show what the server's tokens and cost lack; what it counts by itself is dropped."""
        if any(body.get(name) for name in SPENT):
            self._settle(row, NOT_UNDERSTOOD)
        else:
            self._ledger.forget(row)

    def _is_open(self, row: OutboxRow) -> bool:
        destination = row.destination
        if destination in self._capable:
            return True
        url = self._credentials.ping_url(destination)
        if not url:
            self._close(destination, f"{destination} is not known here any more: log in again")
            return False
        found = self._sender.capabilities(url)
        if isinstance(found, Capabilities):
            self._capable[destination] = found
            self._ledger.learn(destination, corrections=_takes_corrections(found))
            return True
        self._settle(row, judge(found, self._attempt(row, idempotent=True)))
        self._closed.add(destination)
        return False

    def _attempt(self, row: OutboxRow, *, idempotent: bool) -> Attempt:
        failures = self._ledger.failures_in_a_row(row.destination)
        return Attempt(self._now_ms(), max(row.attempts, failures), idempotent, self._dice)

    def _send(self, pool: ThreadPoolExecutor, rows: list[OutboxRow]) -> None:
        protected = [row for row in rows if self._capable[row.destination].idempotency]
        answers = list(pool.map(self._post, protected))
        with self._ledger.transaction():
            for row, answer in zip(protected, answers, strict=True):
                if answer is not None:
                    self._settle(row, judge(answer, self._attempt(row, idempotent=True)))
        for row in rows:
            foreign = not self._capable[row.destination].idempotency
            if foreign and row.destination not in self._closed:
                self._send_unprotected(row)

    def _post(self, row: OutboxRow) -> Reply | NoReply | None:
        """Send one row (in a thread); None when its destination was found dead meanwhile."""
        if row.destination in self._closed:
            return None
        answer = self._sender.ping(self._credentials.ping_url(row.destination), row.key, row.body)
        if isinstance(answer, NoReply):
            self._closed.add(row.destination)
        return answer

    def _send_unprotected(self, row: OutboxRow) -> None:
        self._ledger.begin_sending(row)
        url = self._credentials.ping_url(row.destination)
        answer = self._sender.ping(url, row.key, row.body, fresh=True)
        self._settle(row, judge(answer, self._attempt(row, idempotent=False)))

    def _settle(self, row: OutboxRow, outcome: Outcome) -> None:
        match outcome:
            case outcomes.Delivered():
                self._ledger.delivered(row)
                self._report.sent += 1
                self._failures.pop(row.destination, None)
            case outcomes.Duplicate(recorded):
                self._ledger.answered_duplicate(row, recorded)
                self._report.duplicates += 1
                self._failures.pop(row.destination, None)
            case outcomes.RetryAt(at_ms, reason, whole):
                self._retry(row, at_ms, reason, whole=whole)
            case outcomes.Park(reason, whole):
                self._park(row, reason, whole=whole)
            case outcomes.Uncertain(reason):
                self._doubt(row, reason)
                self._close(row.destination, reason)
            case _:
                assert_never(outcome)

    def _retry(self, row: OutboxRow, at_ms: int, reason: str, *, whole: bool) -> None:
        self._ledger.retry(row, at_ms, reason)
        self._report.retried += 1
        failures = self._failures[row.destination] = self._failures.get(row.destination, 0) + 1
        if (whole or failures >= PATIENCE) and not self._is_told_of(row.destination):
            self._ledger.pause(row.destination, at_ms, reason)
            self._close(row.destination, reason)

    def _park(self, row: OutboxRow, reason: str, *, whole: bool) -> None:
        self._ledger.park(row, reason)
        if whole and self._is_told_of(row.destination):
            return  # counted with everything else that waits for this destination
        self._report.parked += 1
        if whole:
            self._report.parked += self._ledger.park_all(row.destination, reason)
            self._close(row.destination, reason)

    def _doubt(self, row: OutboxRow, reason: str) -> None:
        self._ledger.uncertain(row, reason)
        self._report.uncertain += 1

    def _close(self, destination: str, reason: str) -> None:
        """Send nothing more there in this run, and say why."""
        self._closed.add(destination)
        if not self._is_told_of(destination):
            self._report.problems.append(f"{self._name(destination)}: {reason}")

    def _is_told_of(self, destination: str) -> bool:
        name = self._name(destination)
        return any(problem.startswith(f"{name}: ") for problem in self._report.problems)

    def _name(self, destination: str) -> str:
        """Name a destination without its tracking token."""
        known = self._credentials.destinations.get(destination)
        if known is not None:
            return known.label or known.id
        return destination.partition("/ping/")[0]


def _takes_corrections(capable: Capabilities) -> bool:
    """Tell whether a server takes corrections, and each of them once."""
    return capable.corrections and capable.idempotency


def _body(row: OutboxRow) -> dict[str, Any]:
    try:
        body = json.loads(row.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
