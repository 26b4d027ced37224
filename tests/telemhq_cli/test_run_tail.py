from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.resources import Run, RunPage
from telemhq_agents.errors import NoSuchRouteError, RefusedError, TelemhqError, UnreachableError
from telemhq_cli.run_tail import MOST_REMEMBERED, PAGE, RunTail, follow

if TYPE_CHECKING:
    from collections.abc import Callable


def run(number: int) -> Run:
    at = "2026-11-20T12:00:00.000Z"
    texts = ("run", at, at, "success", False, "", "", "", "", "", "")
    return Run(str(number), *texts, 0, 0, 0, 0, 0, 0, None, None)


class Tracker:
    """What a server keeps of a tracker's runs; `fails` is what it answers instead."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.asked = 0
        self.fails: TelemhqError | None = None

    def pages(self, size: int, cursor: str | None) -> RunPage:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        before = int(cursor) if cursor is not None else 10**30
        there = sorted((one for one in self.numbers if one < before), reverse=True)
        more = str(there[size - 1]) if len(there) > size else None
        return RunPage([run(one) for one in there[:size]], more)


def begun(tracker: Tracker) -> RunTail:
    tail = RunTail(tracker.pages)
    tail.begin()
    return tail


def new(tail: RunTail) -> list[int]:
    return [int(one.id) for one in tail.new()]


def test_new_runs_come_once_in_the_order_they_arrived() -> None:
    tracker = Tracker(1, 2, 3)
    tail = begun(tracker)

    tracker.numbers += [4, 5]
    first, second = new(tail), new(tail)

    assert (first, second) == ([4, 5], [])


def test_the_first_run_of_a_tracker_is_new() -> None:
    tracker = Tracker()
    tail = begun(tracker)

    tracker.numbers.append(7)

    assert new(tail) == [7]


@pytest.mark.parametrize("before", [0, 5, PAGE, PAGE + 1, 3 * PAGE])
def test_more_new_runs_than_a_page_all_come(before: int) -> None:
    tracker = Tracker(*range(1, before + 1))
    tail = begun(tracker)

    tracker.numbers += range(before + 1, before + 3 * PAGE)

    assert new(tail) == list(range(before + 1, before + 3 * PAGE))
    assert new(tail) == []


def test_a_run_whose_number_is_less_than_the_last_ones_is_new_all_the_same() -> None:
    tracker = Tracker(10, 20, 40)
    tail = begun(tracker)

    tracker.numbers.append(30)

    assert new(tail) == [30]


def test_what_is_old_is_not_new_even_where_the_list_ends_differently() -> None:
    tracker = Tracker(*range(1, 3 * PAGE))
    tail = begun(tracker)

    del tracker.numbers[-PAGE:]  # deleted, or pruned: older ones move up

    assert new(tail) == []


def test_what_was_shown_before_is_not_new() -> None:
    tracker = Tracker(1)
    tail = begun(tracker)
    tracker.numbers += [2, 3]

    tail.know([run(2)])

    assert new(tail) == [3]


def test_it_remembers_so_many_and_repeats_none() -> None:
    tracker = Tracker()
    tail = begun(tracker)
    came: list[int] = []

    for start in range(1, 3 * MOST_REMEMBERED, 2 * PAGE):
        tracker.numbers = list(range(max(start - 2 * PAGE, 1), start + 2 * PAGE))
        came += new(tail)

    assert came == sorted(set(came))
    assert came[-1] == max(tracker.numbers)


class StopError(Exception):
    """Ends a test's waiting, as Ctrl-C ends a person's."""


def waiting(*steps: Callable[[], object]) -> tuple[Callable[[float], None], list[float]]:
    """Return a clock that does one of these things in each wait, and stops after the last."""
    left, waits = list(steps), list[float]()

    def wait(seconds: float) -> None:
        if not left:
            raise StopError
        waits.append(seconds)
        left.pop(0)()

    return wait, waits


AWAY = UnreachableError("http://x cannot be reached: refused.")
PROBLEM = Problem(type="t", title="T", status=503)


def test_it_asks_less_and_less_often_while_the_server_is_away_and_says_so_once() -> None:
    tracker = Tracker(1)
    tail, shown, told = begun(tracker), list[str](), list[str]()

    def fall() -> None:
        tracker.fails = AWAY

    def rise() -> None:
        tracker.fails = None
        tracker.numbers += [2, 3]

    wait, waits = waiting(fall, *[lambda: None] * 7, rise, lambda: None)
    with pytest.raises(StopError):
        follow(tail, lambda one: shown.append(one.id), told.append, wait, 2.0)

    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 2]
    assert told == [
        "http://x cannot be reached: refused. Asking again until it answers.",
        "The server answers again.",
    ]
    assert shown == ["2", "3"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    tracker = Tracker(1)
    tail = begun(tracker)

    def fail() -> None:
        tracker.fails = RefusedError("busy", status=status, problem=PROBLEM)

    wait, _ = waiting(fail, lambda: None)

    with pytest.raises(StopError):
        follow(tail, print, print, wait, 2.0)


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("gone", status=404, problem=PROBLEM),
        RefusedError("whose?", status=401, problem=PROBLEM),
        NoSuchRouteError("unknown"),
    ],
    ids=["deleted", "logged out", "another server"],
)
def test_what_waiting_does_not_mend_ends_it(error: TelemhqError) -> None:
    tracker = Tracker(1)
    tail = begun(tracker)
    tracker.fails = error

    with pytest.raises(type(error)):
        follow(tail, print, print, lambda _: None, 2.0)
