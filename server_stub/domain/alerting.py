"""Who is told, and when: alerts that are withheld, that wait, and that come again. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from server_stub.domain import schedule
from server_stub.domain.vitals import Alert, Event, Memory
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from datetime import tzinfo

    from server_stub.domain.judging import Judge
    from server_stub.domain.vitals import Health
    from telemhq_agents.contract.rules import Alerting

MOST_SHIFTS = 100


class Withheld(StrEnum):
    """Why nobody is told."""

    MUTED = "muted"
    SNOOZED = "snoozed"
    MAINTENANCE = "maintenance"
    PAUSED = "paused"
    UNTOLD = "nobody was told that it failed"


def alert(memory: Memory, judge: Judge, alert: Alert, now_ms: int) -> tuple[Memory, Alert]:
    """Decide about an alert that a change makes just now: return it, and what is remembered of it.

    An alert waits for the end of quiet hours and of the least gap; a recovery that somebody waits
    for also for the end of a snooze or of maintenance. Where one still waits, the next one goes
    out at the same moment: the store takes both back, because they tell opposite things. That goes
    before whatever withholds the next one, or the first would go out alone and say what is over.
    """
    memory = settled(memory, now_ms)
    if memory.waiting_ms is not None:
        told = replace(alert, deliver_ms=memory.waiting_ms)
        return replace(memory, waiting_ms=None, untold=False), told
    reason = _withheld(memory, judge, alert.event, now_ms)
    if reason:
        untold = alert.event is not Event.RECOVERED
        return replace(memory, untold=untold), replace(alert, withheld=reason.value)
    sent_ms = released(judge, _after_gap(memory, judge, now_ms)) or now_ms
    waits = sent_ms > now_ms
    memory = replace(
        memory,
        alerted_ms=memory.alerted_ms if waits else now_ms,
        waiting_ms=sent_ms if waits else None,
        untold=False,
    )
    return memory, replace(alert, deliver_ms=sent_ms)


def recalled(
    memory: Memory, judge: Judge, *, is_failing: bool, now_ms: int
) -> tuple[Memory, Withheld | None]:
    """Take back an alert that waits where other rules let nobody be told; why, if they do.

    A tracker that goes on failing is told of when they do no more.
    """
    memory = settled(memory, now_ms)
    if memory.waiting_ms is None:
        return memory, None
    if judge.rules.alerting.muted:
        reason = Withheld.MUTED
    elif is_failing and now_ms < judge.snoozed_ms:
        reason = Withheld.SNOOZED
    else:
        return memory, None
    return replace(memory, waiting_ms=None, untold=is_failing), reason


def reminder_ms(health: Health, judge: Judge, now_ms: int) -> int | None:
    """Return when a failing tracker is told of (again), from now on; None where it never is."""
    if health.state is not TrackerState.FAILING or judge.rules.alerting.muted:
        return None
    memory = settled(health.memory, now_ms)
    alerting = judge.rules.alerting
    if memory.untold:
        return released(judge, max(_after_gap(memory, judge, now_ms), now_ms))
    if not alerting.repeat_s:
        return None
    told_ms = memory.waiting_ms or memory.alerted_ms or memory.failing_since_ms or now_ms
    pause_ms = max(alerting.repeat_s, alerting.least_gap_s) * 1000
    return released(judge, max(told_ms + pause_ms, now_ms))


def reminder(health: Health, now_ms: int, message: str) -> tuple[Memory, Alert]:
    """Return the alert that is due now about a tracker which goes on failing."""
    event = Event.FAILED if health.memory.untold else Event.STILL_FAILING
    memory = replace(health.memory, alerted_ms=now_ms, waiting_ms=None, untold=False)
    return memory, Alert(event, now_ms, message)


def released(judge: Judge, at_ms: int) -> int | None:
    """Return the first moment from `at_ms` on at which alerts may go out; None if that has no end.

    That is outside of a snooze, of maintenance and of quiet hours.
    """
    for _ in range(MOST_SHIFTS):
        moved_ms = max(at_ms, judge.snoozed_ms)
        moved_ms = schedule.out_of_windows(judge.rules.maintenance, moved_ms)
        moved_ms = quiet_end(judge.rules.alerting, moved_ms)
        if moved_ms == at_ms:
            return at_ms
        at_ms = moved_ms
    return None


def quiet_end(alerting: Alerting, at_ms: int) -> int:
    """Return when the quiet hours end that `at_ms` lies in; `at_ms` itself outside of them."""
    if not alerting.quiet_from:
        return at_ms
    local = datetime.fromtimestamp(at_ms / 1000, tz=schedule.zone(alerting.timezone))
    clock, begins, ends = f"{local:%H:%M}", alerting.quiet_from, alerting.quiet_until
    if begins < ends:
        if not begins <= clock < ends:
            return at_ms
        days = 0
    else:
        if ends <= clock < begins:
            return at_ms
        days = int(clock >= begins)
    return _moment(local, ends, days, at_ms)


def _moment(local: datetime, clock: str, days: int, after_ms: int) -> int:
    """Return that time of that day: in an hour that comes twice, the first one after `after_ms`."""
    hour, minute = (int(part) for part in clock.split(":"))
    zone: tzinfo = local.tzinfo or UTC
    day = (local + timedelta(days=days)).date()
    for fold in (0, 1):
        moment = datetime(
            day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold
        )  # fmt: skip
        found_ms = int(moment.timestamp()) * 1000
        if found_ms > after_ms:
            return found_ms
    return after_ms


def _withheld(memory: Memory, judge: Judge, event: Event, now_ms: int) -> Withheld | None:
    if judge.rules.alerting.muted:
        return Withheld.MUTED
    if event is Event.RECOVERED:
        return Withheld.UNTOLD if memory.untold else None
    if now_ms < judge.snoozed_ms:
        return Withheld.SNOOZED
    if schedule.in_window(judge.rules.maintenance, now_ms) is not None:
        return Withheld.MAINTENANCE
    return None


def settled(memory: Memory, now_ms: int) -> Memory:
    """Count an alert as sent once the moment that it waited for has come.

    One that was sent later than now was sent before the clock was set back: just now, at most.
    """
    if memory.waiting_ms is not None and memory.waiting_ms <= now_ms:
        return replace(memory, alerted_ms=memory.waiting_ms, waiting_ms=None)
    if memory.alerted_ms is not None and memory.alerted_ms > now_ms:
        return replace(memory, alerted_ms=now_ms)
    return memory


def _after_gap(memory: Memory, judge: Judge, now_ms: int) -> int:
    gap_ms = judge.rules.alerting.least_gap_s * 1000
    return now_ms if memory.alerted_ms is None else max(now_ms, memory.alerted_ms + gap_ms)
