"""The 90 bars of a status page, told by changes of state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.status_days import Turn, days, first_day_ms
from telemhq_agents.contract.public import DayState
from telemhq_agents.contract.resources import TrackerState

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TODAY_MS = 20_000 * DAY_MS  # 2024-10-04
NOW_MS = TODAY_MS + 6 * HOUR_MS
ACTIVE, FAILING, PAUSED = TrackerState.ACTIVE, TrackerState.FAILING, TrackerState.PAUSED


def shown(turns: list[Turn], archived: dict[int, bool] | None = None) -> dict[int, tuple[str, int]]:
    """Return what is known of the days, by how many days ago they were."""
    found = days(turns, NOW_MS, archived or {}).days
    return {
        89 - place: (day.state.value, day.failing_s)
        for place, day in enumerate(found)
        if day.state is not DayState.UNKNOWN
    }


def test_there_are_ninety_days_and_today_is_the_last() -> None:
    found = days([], NOW_MS, {})

    assert first_day_ms(NOW_MS) == TODAY_MS - 89 * DAY_MS
    assert [found.days[0].day, found.days[-1].day] == ["2024-07-07", "2024-10-04"]
    assert {day.state for day in found.days} == {DayState.UNKNOWN}
    assert found.up_percent is None


def test_a_failing_span_marks_each_day_that_it_touches() -> None:
    turns = [
        Turn(TODAY_MS - 4 * DAY_MS, ACTIVE),
        Turn(TODAY_MS - 2 * DAY_MS - HOUR_MS, FAILING),
        Turn(TODAY_MS - DAY_MS + HOUR_MS, ACTIVE),
    ]

    assert shown(turns) == {
        4: ("up", 0),
        3: ("down", 3600),
        2: ("down", 86_400),
        1: ("down", 3600),
        0: ("up", 0),
    }
    # Four days and six hours, of which 26 hours failing.
    assert days(turns, NOW_MS, {}).up_percent == 74.5


def test_a_short_failure_is_not_rounded_away() -> None:
    turns = [
        Turn(TODAY_MS - 89 * DAY_MS, ACTIVE),
        Turn(TODAY_MS - HOUR_MS, FAILING),
        Turn(TODAY_MS - HOUR_MS + 60_000, ACTIVE),
    ]

    # One minute of 89 days and six hours.
    assert days(turns, NOW_MS, {}).up_percent == 99.99
    assert days(turns[:1], NOW_MS, {}).up_percent == 100


def test_what_came_before_the_days_shown_goes_on_into_them() -> None:
    turns = [
        Turn(TODAY_MS - 200 * DAY_MS, FAILING),
        Turn(TODAY_MS - 88 * DAY_MS, TrackerState.LATE),
    ]

    found = shown(turns)

    assert found[89] == ("down", 86_400)
    assert found[88] == ("up", 0)
    assert len(found) == 90


def test_pauses_and_new_trackers_count_for_nothing() -> None:
    turns = [Turn(TODAY_MS - 2 * DAY_MS, TrackerState.NEW), Turn(TODAY_MS - DAY_MS, PAUSED)]

    assert shown(turns) == {1: ("paused", 0), 0: ("paused", 0)}
    assert days(turns, NOW_MS, {}).up_percent is None


def test_a_change_that_was_noted_late_holds_from_its_own_moment_but_in_order() -> None:
    turns = [
        Turn(TODAY_MS - DAY_MS, FAILING),
        Turn(TODAY_MS - 3 * DAY_MS, ACTIVE),
        Turn(NOW_MS + DAY_MS, PAUSED),
    ]

    assert shown(turns) == {1: ("up", 0), 0: ("up", 0)}


def test_days_before_any_change_are_filled_in_from_the_archive() -> None:
    turns = [Turn(TODAY_MS, ACTIVE)]
    archived = {TODAY_MS: True, TODAY_MS - DAY_MS: True, TODAY_MS - 2 * DAY_MS: False}

    assert shown(turns, archived) == {0: ("up", 0), 1: ("down", 0), 2: ("up", 0)}


@given(
    st.lists(
        st.tuples(st.integers(-100 * DAY_MS, DAY_MS), st.sampled_from(TrackerState)), max_size=30
    )
)
def test_whatever_happened_no_day_is_longer_than_a_day(
    events: list[tuple[int, TrackerState]],
) -> None:
    found = days([Turn(NOW_MS + ms, state) for ms, state in events], NOW_MS, {})

    assert len(found.days) == 90
    assert all(0 <= day.failing_s <= 86_400 for day in found.days)
    assert found.days[-1].failing_s <= 6 * 3600
    assert found.up_percent is None or 0 <= found.up_percent <= 100
