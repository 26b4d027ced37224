"""Emptying spool and outbox beside the reading: a server that hangs keeps no turn from being read."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

from telemhq_agents import clock, credentials
from telemhq_agents.delivery.outbox import DeliveryReport, deliver
from telemhq_agents.errors import BrokenLedgerError, TelemhqError
from telemhq_agents.ledger.store import Ledger
from telemhq_cli import intake
from telemhq_cli.agent import Pass
from telemhq_cli.mending import mend

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_agents.delivery.client import PingSender
    from telemhq_agents.locations import Locations

LONGEST_PAUSE_S = 60.0
SHORTEST_PAUSE_S = 1.0
PATIENCE_S = 2.0
"""How long its end may take; what is on its way then is sent again under the same key."""


class Courier(Thread):
    """Takes wrappers' pings in and sends what is due, with a ledger and a line of its own, until it is told to end.

    `said` hears what each emptying did, `failed` what kept it from trying; both in this thread.
    """

    def __init__(
        self,
        ours: Locations,
        said: Callable[[Pass], None],
        failed: Callable[[TelemhqError | OSError], None],
    ) -> None:
        super().__init__(name="courier", daemon=True)
        self._ours = ours
        self._said = said
        self._failed = failed
        self._ended = Event()
        self._due = Event()
        self._failures = 0
        self._sender: PingSender | None = None

    def wake(self) -> None:
        """Look into the outbox now."""
        self._due.set()

    def end(self) -> None:
        """Stop after what is being sent, or leave it where that takes too long."""
        self._ended.set()
        self._due.set()
        self.join(PATIENCE_S)

    def run(self) -> None:
        """Send whenever something is due."""
        while not self._ended.is_set():
            try:
                self._work()
            except (TelemhqError, OSError) as error:
                self._failed(error)
                if isinstance(error, BrokenLedgerError):
                    self._replace_ledger()
                self._rest()
            except Exception as error:  # noqa: BLE001 - nobody would notice a sender that is gone
                self._failed(TelemhqError(f"Sending failed: {type(error).__name__}: {error}"))
                self._rest()

    def _rest(self) -> None:
        self._ended.wait(min(SHORTEST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S))
        self._failures = min(self._failures + 1, 10)

    def _replace_ledger(self) -> None:
        try:
            mend(self._ours)
        except (TelemhqError, OSError) as error:
            self._failed(error)

    def _work(self) -> None:
        try:
            with Ledger.open(self._ours.ledger) as ledger:
                while not self._ended.is_set():
                    self._due.clear()
                    self._said(self._emptied(ledger))
                    self._failures = 0
                    self._due.wait(_pause_s(ledger.next_due_ms()))
        finally:
            if self._sender is not None:
                self._sender.close()
                self._sender = None

    def _emptied(self, ledger: Ledger) -> Pass:
        taken, problems = intake.take_pings(ledger, self._ours.spool)
        if not ledger.counts().pending:
            return Pass(pings=taken, delivery=DeliveryReport(), problems=problems)
        held = credentials.load(self._ours.credentials)
        report = deliver(ledger, self._line(), held, stop=self._ended)
        return Pass(pings=taken, delivery=report, problems=problems + report.problems)

    def _line(self) -> PingSender:
        """Return the line to the servers, made when there is something to send: 12 MB."""
        from telemhq_agents.delivery.client import PingSender  # noqa: PLC0415 - httpx: 90 ms

        self._sender = self._sender or PingSender()
        return self._sender


def _pause_s(due_ms: int | None) -> float:
    """Return for how many seconds nothing is due."""
    if due_ms is None:
        return LONGEST_PAUSE_S
    return min(max((due_ms - clock.now_ms()) / 1000, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
