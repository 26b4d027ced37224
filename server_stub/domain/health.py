"""How a tracker is doing: a pure state machine over runs, starts, time and people's wishes.

Each function takes what is known of a tracker and what happened, and returns the step that makes of
it. Times are milliseconds UTC. docs/explanation/judging.md tells the rules in prose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from server_stub.domain import alerting
from server_stub.domain.expecting import Moment, moments, wake_ms
from server_stub.domain.judging import UNJUDGED, judged
from server_stub.domain.remembering import (
    came_after_its_end,
    elapsed_ms,
    in_a_row,
    partner,
    with_run,
    with_start,
    without_start,
)
from server_stub.domain.schedule import span_in_words
from server_stub.domain.vitals import (
    Alert,
    Begun,
    Event,
    Health,
    Memory,
    Ran,
    Step,
    Transition,
)
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Cause, Overlap

if TYPE_CHECKING:
    from server_stub.domain.judging import Judge, Judged
    from server_stub.domain.run import RunFacts

__all__ = [
    "Alert",
    "Begun",
    "Event",
    "Health",
    "Memory",
    "Ran",
    "Step",
    "Transition",
    "after_pause",
    "after_resume",
    "after_rules",
    "after_run",
    "after_start",
    "after_tick",
]

CLOCK_TOLERANCE_MS = 5 * 60 * 1000
TEN_MINUTES_S = 600
ON_TIME = TrackerState.ACTIVE
FAILING = TrackerState.FAILING


class _Change:
    """A step while it is taken: the health so far, with the transitions and alerts it made."""

    __slots__ = ("alerts", "due_ms", "judge", "memory", "now_ms", "state", "transitions")

    def __init__(self, health: Health, judge: Judge, now_ms: int) -> None:
        self.judge = judge
        self.now_ms = now_ms
        self.state = health.state
        self.due_ms = health.due_ms
        self.memory = health.memory
        self.transitions: list[Transition] = []
        self.alerts: list[Alert] = []

    @property
    def health(self) -> Health:
        return Health(self.state, self.due_ms, None, self.memory)

    def move(
        self,
        after: TrackerState,
        at_ms: int,
        cause: Cause,
        message: str = "",
        run_id: int | None = None,
    ) -> None:
        """Change the state, and tell people where it began or ceased to fail."""
        before, self.state = self.state, after
        if before is after:
            return
        self.transitions.append(Transition(before, after, at_ms, cause, message, run_id))
        if after is FAILING:
            self.memory = replace(self.memory, failing_since_ms=at_ms)
            self._tell(Event.FAILED, message, run_id)
        elif before is FAILING:
            self._tell(Event.RECOVERED, message, run_id)
            self.memory = replace(self.memory, failing_since_ms=None, owed=0, broken=False)

    def owe(self, **told: bool) -> None:
        """Remember what no run tells, and for which the next successes make up."""
        owed = self.judge.rules.successes_to_recover
        self.memory = replace(self.memory, owed=owed, **told)

    def step(self, up_since_ms: int | None = None) -> Step:
        """Return the step, with the moment at which to look again."""
        if self.state is ON_TIME and not self.memory.begun:
            woken_ms = self.due_ms  # what nearly every ping comes to
        else:
            woken_ms = wake_ms(self.health, self.judge, self.now_ms, up_since_ms)
        health = Health(self.state, self.due_ms, woken_ms, self.memory)
        return Step(health, tuple(self.transitions), tuple(self.alerts))

    def _tell(self, event: Event, message: str, run_id: int | None) -> None:
        place = len(self.transitions) - 1
        drafted = Alert(event, self.now_ms, message, transition=place, run_id=run_id)
        self.memory, alert = alerting.alert(self.memory, self.judge, drafted, self.now_ms)
        self.alerts.append(alert)


def after_run(  # noqa: PLR0917 - a ping is what it is
    health: Health,
    judge: Judge,
    facts: RunFacts,
    fields: dict[str, Any],
    run_id: int,
    received_ms: int,
) -> tuple[Judged, Step]:
    """Judge a run that has ended, and return what it makes of its tracker."""
    if health.state is TrackerState.PAUSED:
        return UNJUDGED, Step(_noted(health))
    memory = health.memory
    ended = partner(memory, facts)
    measured_ms = None if ended is None else elapsed_ms(ended, facts, received_ms)
    verdict = judged(judge, facts, fields, measured_ms)
    change = _Change(health, judge, received_ms)
    change.memory = _with_run(
        memory,
        judge,
        facts,
        ended=ended,
        ran=Ran(facts.ended_ms, run_id, verdict.failed),
        received_ms=received_ms,
    )
    took_ms = facts.amounts.duration_ms if facts.has_duration else measured_ms or 0
    change.due_ms = judge.expected(received_ms, received_ms - took_ms)
    _follow_runs(change, verdict, run_id)
    return verdict, change.step()


def _noted(paused: Health) -> Health:
    """Return a paused tracker that had a run."""
    if paused.memory.has_run:
        return paused
    return replace(paused, memory=replace(paused.memory, paused_run=True))


def _with_run(
    memory: Memory,
    judge: Judge,
    facts: RunFacts,
    *,
    ended: Begun | None,
    ran: Ran,
    received_ms: int,
) -> Memory:
    begun, ends = without_start(memory, facts, ended, pairs=judge.pairs)
    owed = min(memory.owed, judge.rules.successes_to_recover)
    return Memory(
        recent=with_run(_not_ahead(memory.recent, received_ms), ran, judge.kept),
        begun=begun,
        ended=ends,
        owed=owed if ran.failed else max(owed - 1, 0),
        failing_since_ms=memory.failing_since_ms,
        broken=memory.broken,
        arrived_ms=received_ms if judge.is_scheduled else None,
        alerted_ms=memory.alerted_ms,
        waiting_ms=memory.waiting_ms,
        untold=memory.untold,
    )


def _not_ahead(recent: tuple[Ran, ...], now_ms: int) -> tuple[Ran, ...]:
    """Put runs before now that ended after it: the clock was set back since they were booked."""
    latest_ms = now_ms + CLOCK_TOLERANCE_MS
    if not recent or recent[-1].ended_ms <= latest_ms:
        return recent
    return tuple(
        ran if ran.ended_ms <= latest_ms else Ran(now_ms - 1, ran.run_id, ran.failed)
        for ran in recent
    )


def _follow_runs(change: _Change, verdict: Judged, run_id: int) -> None:
    """Change the state as the latest runs have it. What fails goes on failing until it recovers."""
    rules, memory, now_ms = change.judge.rules, change.memory, change.now_ms
    if verdict.failed:
        count = in_a_row(memory.recent, failed=True)
        enough = count >= rules.failures_to_fail
        if enough:
            change.memory = replace(memory, broken=True)
        if change.state is FAILING:
            return
        if enough and verdict.cause is not None:
            row = f"{count} runs in a row failed: " if count > 1 else ""
            change.move(FAILING, now_ms, verdict.cause, row + verdict.message, run_id)
            return
    elif change.state is FAILING:
        enough = in_a_row(memory.recent, failed=False) >= rules.successes_to_recover
        if enough and not memory.owed:
            change.move(ON_TIME, now_ms, Cause.RECOVERED, _recovered(change), run_id)
        return
    first = change.state is TrackerState.NEW
    cause = Cause.FIRST_RUN if first else Cause.ON_TIME
    change.move(ON_TIME, now_ms, cause, "", run_id)


def _recovered(change: _Change) -> str:
    since_ms = change.memory.failing_since_ms
    if since_ms is None:
        return "it works again"
    return f"it works again, after {_span(change.now_ms - since_ms)}"


def _span(ms: int) -> str:
    """Say a time to a minute, or to a second where it is less than ten minutes."""
    seconds = max(ms // 1000, 0)
    return span_in_words(seconds if seconds < TEN_MINUTES_S else seconds - seconds % 60)


def after_start(
    health: Health, judge: Judge, facts: RunFacts, run_id: int, received_ms: int
) -> Step:
    """Return what a start makes of a tracker: a sign of life, which its end has to follow."""
    if health.state is TrackerState.PAUSED or came_after_its_end(health.memory, facts, received_ms):
        return Step(health)
    change = _Change(health, judge, received_ms)
    going = [other for other in health.memory.begun if not (other.stuck or _is(other, facts))]
    begun = Begun(facts.ended_ms, facts.pair_key, received_ms)
    change.memory = with_start(health.memory, begun)
    if change.due_ms is None and judge.is_scheduled:
        change.due_ms = judge.after(received_ms)
        change.memory = replace(change.memory, arrived_ms=received_ms)
    if going and judge.rules.overlap is Overlap.FAIL:
        _overlap(change, going[-1], run_id)
    elif change.state is TrackerState.LATE:
        change.move(ON_TIME, received_ms, Cause.ON_TIME, "a run has begun", run_id)
    return change.step()


def _is(begun: Begun, facts: RunFacts) -> bool:
    """Tell whether a start is one that was heard of already, sent again."""
    return bool(facts.pair_key) and begun.key == facts.pair_key


def _overlap(change: _Change, other: Begun, run_id: int) -> None:
    message = f"a run began while the one of {to_iso(other.started_ms)} was still going"
    change.owe(broken=True)
    change.move(FAILING, change.now_ms, Cause.OVERLAP, message, run_id)


def after_tick(health: Health, judge: Judge, now_ms: int, up_since_ms: int) -> Step:
    """Return what the time that passed makes of a tracker.

    `up_since_ms`: since when the server has been recording without a gap. A ping is only missing
    where it could have arrived all the time; else the tracker has its grace from then on.
    """
    if health.state is TrackerState.PAUSED:
        return Step(replace(health, wake_ms=None))
    change = _Change(health, judge, now_ms)
    change.memory = alerting.settled(change.memory, now_ms)
    while (moment := _first(change, up_since_ms)) is not None:
        _reach(change, moment)
    if alerting.reminder_ms(change.health, judge, now_ms) == now_ms:
        change.memory, alert = alerting.reminder(change.health, now_ms, _still(change))
        change.alerts.append(alert)
    return change.step(up_since_ms)


def _first(change: _Change, up_since_ms: int) -> Moment | None:
    """Return the earliest moment that has come and was not yet acted upon."""
    ahead = moments(change.health, change.judge, up_since_ms)
    first = min(ahead, key=lambda moment: moment.at_ms, default=None)
    return first if first is not None and first.at_ms <= change.now_ms else None


def _reach(change: _Change, moment: Moment) -> None:
    """Act upon a moment that has come."""
    if moment.begun is not None:
        told = replace(moment.begun, stuck=True)
        begun = tuple(told if one is moment.begun else one for one in change.memory.begun)
        change.memory = replace(change.memory, begun=begun)
        change.owe(broken=True)
        bound = span_in_words(max(change.judge.rules.max_duration_ms // 1000, 1))
        message = f"the run that began at {to_iso(told.started_ms)} has not ended within {bound}"
        change.move(FAILING, moment.at_ms, Cause.STUCK, message)
    elif moment.is_late:
        change.move(TrackerState.LATE, moment.at_ms, Cause.LATE, _expected(change))
    else:
        change.owe(missed=True)
        grace = span_in_words(change.judge.grace_ms // 1000)
        change.move(FAILING, moment.at_ms, Cause.MISSED, f"{_expected(change)}, grace {grace}")


def _expected(change: _Change) -> str:
    due = "" if change.due_ms is None else to_iso(change.due_ms)
    return f"no ping came that was expected at {due}"


def _still(change: _Change) -> str:
    since_ms = change.memory.failing_since_ms
    since = "" if since_ms is None else f" since {to_iso(since_ms)}"
    missing = f"; {_expected(change)}" if change.memory.missed else ""
    return f"it has been failing{since}{missing}"


def after_rules(health: Health, judge: Judge, now_ms: int) -> Step:
    """Return what other rules make of a tracker. What does not concern the schedule leaves it be.

    With another schedule its pings are expected from now on, and none is missing any more.
    """
    if health.state is TrackerState.PAUSED:
        return Step(health)
    change = _Change(health, judge, now_ms)
    change.memory, recalled = alerting.recalled(
        change.memory, judge, is_failing=health.state is FAILING, now_ms=now_ms
    )
    kept = _is_of(judge, health)
    if not kept:
        change.due_ms = _expected_anew(judge, health, now_ms)
        anchored = now_ms if change.due_ms is not None else None
        change.memory = replace(change.memory, missed=False, arrived_ms=anchored)
    if not kept and _waits_for_ping_alone(health, judge):
        after = ON_TIME if health.memory.has_run else TrackerState.NEW
        change.move(after, now_ms, Cause.RULES_CHANGED, "it is judged by other rules now")
    return replace(change.step(), recalled=recalled or "")


def _is_of(judge: Judge, health: Health) -> bool:
    """Tell whether the moment at which a ping is expected is one of this schedule."""
    arrived_ms = health.memory.arrived_ms
    if health.due_ms is None or arrived_ms is None:
        return health.due_ms is None and not judge.is_scheduled
    first_ms = judge.after(arrived_ms)
    if first_ms is None or judge.interval_ms:
        return health.due_ms == first_ms
    return health.due_ms in {first_ms, judge.after(first_ms)}


def _expected_anew(judge: Judge, health: Health, now_ms: int) -> int | None:
    if health.state is TrackerState.NEW and health.due_ms is None:
        return None
    return judge.after(now_ms)


def _waits_for_ping_alone(health: Health, judge: Judge) -> bool:
    """Tell whether a tracker is late, or fails for nothing but a missing ping."""
    if health.state is TrackerState.LATE:
        return True
    memory = health.memory
    failed = in_a_row(memory.recent, failed=True)
    by_runs = failed >= min(judge.rules.failures_to_fail, judge.kept)
    return health.state is FAILING and memory.missed and not memory.broken and not by_runs


def after_pause(health: Health, now_ms: int) -> Step:
    """Return a tracker that records and judges nothing until it is resumed."""
    if health.state is TrackerState.PAUSED:
        return Step(health)
    known = alerting.settled(health.memory, now_ms)
    memory = Memory(recent=known.recent, alerted_ms=known.alerted_ms, paused_run=known.paused_run)
    transition = Transition(health.state, TrackerState.PAUSED, now_ms, Cause.PAUSED)
    recalled = "" if known.waiting_ms is None else alerting.Withheld.PAUSED.value
    return Step(Health(TrackerState.PAUSED, None, None, memory), (transition,), recalled=recalled)


def after_resume(health: Health, judge: Judge, now_ms: int) -> Step:
    """Return a tracker that is judged anew: what was before the pause no longer counts."""
    if health.state is not TrackerState.PAUSED:
        return Step(health)
    has_run = health.memory.has_run
    after = ON_TIME if has_run else TrackerState.NEW
    due_ms = judge.after(now_ms) if has_run else None
    memory = Memory(
        alerted_ms=health.memory.alerted_ms,
        arrived_ms=None if due_ms is None else now_ms,
        paused_run=has_run,
    )
    resumed = Health(after, due_ms, None, memory)
    transition = Transition(TrackerState.PAUSED, after, now_ms, Cause.RESUMED)
    woken_ms = wake_ms(resumed, judge, now_ms, None)
    return Step(replace(resumed, wake_ms=woken_ms), (transition,))
