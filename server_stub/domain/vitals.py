"""The records of a tracker's health: what it remembers, how it changes, whom that concerns.

`domain/health.py` moves them; they are imported from there.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Cause


class Ran(msgspec.Struct, frozen=True, array_like=True):
    """What a tracker remembers of one of its latest runs, by `ended_ms`."""

    ended_ms: int
    run_id: int
    failed: bool


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """A run that has begun and not ended; `key` pairs it with its end ("" pairs with any).

    `started_ms` is what the sender's clock said, `heard_ms` when the start arrived. `stuck` once
    it was told of: the tracker failed because it did not end in time. `first_ms` is when the first
    start arrived of those that took each other's place, 0 where this is the first.
    """

    started_ms: int
    key: str
    heard_ms: int = 0
    stuck: bool = False
    first_ms: int = 0


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What judging has to remember between pings; kept as JSON on the tracker.

    `recent` are the latest runs in the order of `ended_ms`, as many as the rules count in a row.
    `begun` are the runs that go on; `ended` the keys of ends whose start was not heard of yet.
    `missed`: a ping is missing just now. `broken`: the tracker fails, and not for missing pings
    alone, but for runs that failed, a start that never ended or an overlap, until it recovers.
    `owed`: how many successful runs must arrive before the tracker recovers, because of something
    that no run tells (a missing ping, a start that never ended, an overlap). `arrived_ms` is the
    last sign of life that `due_ms` was counted from.

    `alerted_ms` is when the last alert went out and `waiting_ms` when the one goes out that waits.
    `untold`: the tracker fails and nobody was told, because alerts were withheld.

    `paused_run`: a run has ended that `recent` does not tell of, because of a pause.
    """

    recent: tuple[Ran, ...] = ()
    begun: tuple[Begun, ...] = ()
    ended: tuple[str, ...] = ()
    missed: bool = False
    broken: bool = False
    owed: int = 0
    failing_since_ms: int | None = None
    arrived_ms: int | None = None
    alerted_ms: int | None = None
    waiting_ms: int | None = None
    untold: bool = False
    paused_run: bool = False

    @property
    def has_run(self) -> bool:
        """Whether a run ever ended."""
        return bool(self.recent) or self.paused_run


class Health(msgspec.Struct, frozen=True):
    """A tracker's state; `due_ms` is when a ping is expected, `wake_ms` when to look without one.

    While a ping is missing, `due_ms` is when it was expected.
    """

    state: TrackerState = TrackerState.NEW
    due_ms: int | None = None
    wake_ms: int | None = None
    memory: Memory = Memory()


class Transition(msgspec.Struct, frozen=True):
    """A change of state. `at_ms` is the moment it was due, not the moment it was noticed."""

    before: TrackerState
    after: TrackerState
    at_ms: int
    cause: Cause
    message: str = ""
    run_id: int | None = None


class Event(StrEnum):
    """What an alert tells."""

    FAILED = "tracker.failed"
    STILL_FAILING = "tracker.still_failing"
    RECOVERED = "tracker.recovered"


class Alert(msgspec.Struct, frozen=True):
    """What people are to be told. Waits until `deliver_ms`; nobody is told where `withheld` says why.

    `transition` is its place among the step's transitions, None for one that comes later than its
    cause: a repeated alert, or the first one after alerts were withheld.
    """

    event: Event
    deliver_ms: int
    message: str
    withheld: str = ""
    transition: int | None = None
    run_id: int | None = None


class Step(msgspec.Struct, frozen=True):
    """What an event makes of a tracker: its health, the changes and the alerts, in order.

    `recalled` says why alerts that wait for their time are not to go out any more, "" where they are.
    """

    health: Health
    transitions: tuple[Transition, ...] = ()
    alerts: tuple[Alert, ...] = ()
    recalled: str = ""
