"""Which destination a moment belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.destined import (
    Destined,
    backfilled,
    destination_at,
    first_difference,
    pointed,
)

Steps = list[tuple[str, int]]


def history(steps: Steps) -> tuple[Destined, ...]:
    return tuple(Destined(*one) for one in steps)


@pytest.mark.parametrize(
    ("steps", "at_ms", "wanted"),
    [
        ([], 500, ""),
        ([("home", 500)], 499, ""),
        ([("home", 500)], 500, "home"),
        ([("home", 0), ("work", 500)], 500, "work"),
        ([("home", 0), ("work", 500)], 499, "home"),
        ([("home", 0), ("", 500)], 500, ""),
        ([("home", 500), ("work", 0)], 500, "work"),
    ],
)
def test_a_moment_belongs_to_the_destination_set_last_that_reaches_back_to_it(
    steps: Steps, at_ms: int, wanted: str
) -> None:
    assert destination_at(history(steps), at_ms) == wanted


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        ([], [("home", 500)]),
        ([("home", 700)], [("home", 500)]),
        ([("home", 300)], [("home", 300)]),
        ([("home", 300), ("", 400)], [("home", 300), ("", 400), ("home", 500)]),
    ],
)
def test_setting_what_is_set_already_only_moves_its_beginning_back(
    steps: Steps, after: Steps
) -> None:
    assert pointed(history(steps), "home", 500) == history(after)


@pytest.mark.parametrize(
    ("steps", "since_ms", "after"),
    [
        ([("work", 500)], 0, [("work", 0)]),
        ([("work", 500)], 600, [("work", 500)]),
        ([("home", 300), ("work", 500)], 0, [("work", 0), ("home", 300), ("work", 500)]),
        ([("work", 100), ("", 300), ("work", 500)], 200, [("work", 100)]),
        ([("work", 100), ("", 300), ("work", 500)], 400, [("work", 100), ("", 300), ("work", 400)]),
    ],
)
def test_a_backfill_takes_what_nobody_was_told_and_nothing_else(
    steps: Steps, since_ms: int, after: Steps
) -> None:
    told = [one for one in backfilled(history(steps), "work", since_ms) if one.since_ms >= 0]

    expected = [Destined("", 0), *history(after)]
    moments = range(0, 800, 50)
    assert [destination_at(told, at) for at in moments] == [
        destination_at(expected, at) for at in moments
    ]


STEPS = st.lists(st.tuples(st.sampled_from(["home", "work", ""]), st.integers(0, 9)), max_size=5)


@given(STEPS, STEPS)
def test_the_first_difference_is_where_two_histories_part(one: Steps, other: Steps) -> None:
    differ = [
        at
        for at in range(-1, 11)
        if destination_at(history(one), at) != destination_at(history(other), at)
    ]

    assert first_difference(history(one), history(other)) == (differ[0] if differ else None)


@given(STEPS, st.integers(0, 9))
def test_nobody_loses_to_a_backfill_what_was_in_its_time(steps: Steps, since_ms: int) -> None:
    after = backfilled(history(steps), "late", since_ms)

    for at in range(-1, 11):
        before = destination_at(history(steps), at)
        wanted = before or ("late" if at >= since_ms else "")
        assert destination_at(after, at) == wanted
