"""How the days of a tracker went, told by its changes of state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.usage_window import DAY_MS, day_label
from telemhq_agents.contract.public import STATUS_DAYS, DayState, PublicDay
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RUNNING = frozenset({TrackerState.ACTIVE, TrackerState.LATE})
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """From `at_ms` on a tracker was in `state`."""

    at_ms: int
    state: TrackerState


@dataclass(frozen=True, slots=True)
class Days:
    """The days shown, oldest first, and the part of the time known in which it was not failing."""

    days: list[PublicDay]
    up_percent: float | None


def first_day_ms(now_ms: int) -> int:
    """Return the start of the first UTC day that is shown; today is the last one."""
    return now_ms - now_ms % DAY_MS - (STATUS_DAYS - 1) * DAY_MS


def days(turns: Sequence[Turn], now_ms: int, archived: Mapping[int, bool]) -> Days:
    """Tell how each day went: failing at some time, else running, else paused, else not known.

    `turns` are in the order they were noted; one is noted late where the server was away, and then
    holds from its own moment, but not from before the one it follows. `archived` says of days of
    which only counts are left whether a run failed: they fill in where no turn is known yet.
    """
    begin_ms = first_day_ms(now_ms)
    running = [0] * STATUS_DAYS
    failing = [0] * STATUS_DAYS
    paused = [0] * STATUS_DAYS
    for state, start_ms, end_ms in _spans(turns, now_ms):
        kept = running if state in _RUNNING else failing
        if state in {TrackerState.PAUSED, TrackerState.NEW}:
            kept = paused if state is TrackerState.PAUSED else [0] * STATUS_DAYS
        _add(kept, max(start_ms, begin_ms) - begin_ms, end_ms - begin_ms)
    shown = [
        _day(begin_ms + place * DAY_MS, failing[place], running[place], paused[place], archived)
        for place in range(STATUS_DAYS)
    ]
    up, down = sum(running), sum(failing)
    # Rounded down: what failed for a minute was not without failure all the time.
    return Days(shown, 10_000 * up // (up + down) / 100 if up + down else None)


def failing_spells(turns: Sequence[Turn], start_ms: int, end_ms: int) -> tuple[int, int]:
    """Return how often a tracker began to fail in a span of time, and for how long it failed there.

    The length is in milliseconds.
    """
    began = length = 0
    for state, since_ms, until_ms in _spans(turns, end_ms):
        if state is TrackerState.FAILING:
            began += start_ms <= since_ms < end_ms
            length += max(0, min(until_ms, end_ms) - max(since_ms, start_ms))
    return began, length


def _spans(turns: Sequence[Turn], now_ms: int) -> list[tuple[TrackerState, int, int]]:
    spans: list[tuple[TrackerState, int, int]] = []
    for turn in turns:
        start_ms = min(turn.at_ms, now_ms)
        if spans:
            state, before_ms, _ = spans[-1]
            start_ms = max(start_ms, before_ms)
            spans[-1] = (state, before_ms, start_ms)
        spans.append((turn.state, start_ms, now_ms))
    return spans


def _add(kept: list[int], start_ms: int, end_ms: int) -> None:
    """Spread a span over its days; both ends count from the first day's start."""
    while start_ms < end_ms:
        place = start_ms // DAY_MS
        next_ms = min((place + 1) * DAY_MS, end_ms)
        kept[place] += next_ms - start_ms
        start_ms = next_ms


def _day(
    day_ms: int, failing: int, running: int, paused: int, archived: Mapping[int, bool]
) -> PublicDay:
    state = DayState.UNKNOWN
    if failing:
        state = DayState.DOWN
    elif running:
        state = DayState.UP
    elif paused:
        state = DayState.PAUSED
    elif day_ms in archived:
        state = DayState.DOWN if archived[day_ms] else DayState.UP
    return PublicDay(day_label(day_ms // DAY_MS), state, -(-failing // _SECOND_MS))
