"""When a tracker has to be looked at without a ping. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from server_stub.domain import schedule
from server_stub.domain.alerting import reminder_ms
from server_stub.domain.vitals import Begun
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_stub.domain.judging import Judge
    from server_stub.domain.vitals import Health

LEAST_GRACE_MS = 60_000
"""How long senders have at least to deliver what they could not while the server was down."""


class Moment(msgspec.Struct, frozen=True):
    """When a ping becomes late or missing, or when a run (`begun`) should have ended."""

    at_ms: int
    is_late: bool = False
    begun: Begun | None = None


def moments(health: Health, judge: Judge, up_since_ms: int | None) -> Iterator[Moment]:
    """Yield the next moments that change a tracker unless a ping comes.

    `up_since_ms` is since when the server records without a gap, None where that is long ago.
    """
    for begun in health.memory.begun:
        if judge.rules.max_duration_ms and not begun.stuck:
            heard_ms = max(begun.heard_ms, begun.started_ms)
            at_ms = heard_ms + judge.rules.max_duration_ms
            yield Moment(_fair(at_ms, heard_ms, judge, up_since_ms), begun=begun)
    late_ms = late_from_ms(health, judge)
    if late_ms is None or health.memory.missed:
        return
    if health.state in {TrackerState.NEW, TrackerState.ACTIVE}:
        yield Moment(late_ms, is_late=True)
    else:
        yield Moment(_fair(late_ms + judge.grace_ms, late_ms, judge, up_since_ms))


def _fair(at_ms: int, from_ms: int, judge: Judge, up_since_ms: int | None) -> int:
    """Put off a moment before which nothing could come all the time.

    That is where the server was not up, and where maintenance is going on at that moment.
    """
    grace_ms = max(judge.grace_ms, LEAST_GRACE_MS)
    if up_since_ms is not None and up_since_ms > from_ms:
        at_ms = max(at_ms, up_since_ms + grace_ms)
    out_ms = schedule.out_of_windows(judge.rules.maintenance, at_ms)
    return at_ms if out_ms == at_ms else out_ms + grace_ms


def late_from_ms(health: Health, judge: Judge) -> int | None:
    """Return when a ping becomes late, None where none is expected.

    A run that began for this moment has time to end until the next one; where the rules bound how
    long it may take, that bound decides: for the first one also where others took its place.
    """
    due_ms = health.due_ms
    if due_ms is None or not judge.is_scheduled:
        return None
    begun = [one for one in health.memory.begun if not one.stuck]
    if not begun:
        return due_ms
    in_time = [one for one in begun if _is_in_time(one, due_ms, health, judge)]
    if not in_time:
        return due_ms
    if not judge.rules.max_duration_ms:
        return judge.after(due_ms)
    first_ms = min(one.first_ms or one.heard_ms for one in in_time)
    return max(due_ms + judge.grace_ms, first_ms) + judge.rules.max_duration_ms


def _is_in_time(begun: Begun, due_ms: int, health: Health, judge: Judge) -> bool:
    """Tell whether a run began for the moment that is due.

    An interval asks for a ping at least so often: any start since the last sign of life will do.
    """
    if judge.interval_ms:
        return begun.heard_ms > (health.memory.arrived_ms or 0)
    return begun.heard_ms >= due_ms - judge.early_ms(due_ms)


def wake_ms(health: Health, judge: Judge, now_ms: int, up_since_ms: int | None) -> int | None:
    """Return when to look at a tracker next if no ping comes, None for never."""
    if health.state is TrackerState.PAUSED:
        return None
    ahead = [moment.at_ms for moment in moments(health, judge, up_since_ms)]
    again_ms = reminder_ms(health, judge, now_ms)
    if again_ms is not None:
        ahead.append(again_ms)
    return min(ahead, default=None)
