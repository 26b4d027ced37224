"""How a tracker is doing, event by event. Its prose is docs/explanation/judging.md."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server_stub.domain.judging import Outcome, judge_of
from server_stub.domain.rules import write
from telemhq_agents.contract.rules import (
    Assertion,
    Cause,
    Operator,
    Overlap,
    Rules,
    Schedule,
    Window,
)
from tests.server_stub.patient import DAY, HOUR, MINUTE, NOON, SECOND, Patient, at

HOURLY = Rules(schedule=Schedule(interval_s=3600, grace_s=300))
NIGHTLY = Rules(schedule=Schedule("0 3 * * *", timezone="Europe/Riga", grace_s=600))
THREE = at("2026-11-20T03:00", "Europe/Riga")


def causes(patient: Patient) -> list[Cause]:
    return [one.cause for one in patient.transitions]


def test_the_first_run_makes_a_new_tracker_active() -> None:
    patient = Patient(Rules())

    patient.run(NOON)

    assert patient.story == [("new", "active", NOON)]
    assert causes(patient) == [Cause.FIRST_RUN]
    assert patient.alerts == []


def test_an_ad_hoc_tracker_is_never_late() -> None:
    patient = Patient(Rules())
    patient.run(NOON)

    patient.tick(NOON + 365 * DAY)

    assert (patient.state, patient.health.due_ms, patient.health.wake_ms) == ("active", None, None)


def test_a_tracker_without_any_ping_waits_for_the_first_one() -> None:
    patient = Patient(HOURLY)

    patient.change(NOON, HOURLY)
    patient.tick(NOON + 30 * DAY)

    assert (patient.state, patient.health.wake_ms) == ("new", None)


def test_a_run_that_says_it_failed_fails_the_tracker_and_the_next_good_one_recovers_it() -> None:
    patient = Patient(Rules())

    patient.run(NOON, ok=False)
    patient.run(NOON + MINUTE)

    assert patient.story == [("new", "failing", NOON), ("failing", "active", NOON + MINUTE)]
    assert causes(patient) == [Cause.RUN_FAILED, Cause.RECOVERED]
    assert [one.run_id for one in patient.transitions] == [1, 2]
    assert patient.told == [("failed", NOON, ""), ("recovered", NOON + MINUTE, "")]


def test_what_a_run_says_does_not_fail_where_that_is_switched_off() -> None:
    patient = Patient(Rules(fail_on_status=False))

    patient.run(NOON, ok=False)

    assert patient.state == "active"


def test_a_broken_assertion_fails_a_run_that_says_it_went_well() -> None:
    rules = Rules(assertions=[Assertion("items_processed", Operator.GREATER_THAN, 0)])
    patient = Patient(rules)

    judged = patient.run(NOON, items_processed=0)

    assert judged.outcome is Outcome.FAILED
    assert patient.story == [("new", "failing", NOON)]
    assert patient.transitions[0].cause is Cause.ASSERTION
    assert patient.transitions[0].message == "items_processed is 0, expected more than 0"


@pytest.mark.parametrize(
    ("arrives", "state"),
    [
        (THREE - 1, "active"),
        (THREE, "late"),
        (THREE + 10 * MINUTE - 1, "late"),
        (THREE + 10 * MINUTE, "failing"),
    ],
)
def test_a_ping_is_late_from_its_moment_on_and_missing_after_the_grace(
    arrives: int, state: str
) -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)

    patient.wait(arrives)

    assert patient.state == state
    assert patient.health.due_ms == THREE


def test_what_was_missed_is_dated_when_it_was_due_however_late_it_is_noticed() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)

    patient.tick(THREE + 5 * HOUR)

    missed = THREE + 10 * MINUTE
    assert patient.story[1:] == [("active", "late", THREE), ("late", "failing", missed)]
    assert causes(patient)[1:] == [Cause.LATE, Cause.MISSED]
    assert patient.transitions[-1].message == (
        "no ping came that was expected at 2026-11-20T01:00:00.000Z, grace 10 minutes"
    )
    assert patient.told == [("failed", THREE + 5 * HOUR, "")]


def test_a_late_ping_makes_the_tracker_active_and_nobody_is_told() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + MINUTE)

    patient.run(THREE + MINUTE)

    assert patient.story[1:] == [("active", "late", THREE), ("late", "active", THREE + MINUTE)]
    assert patient.health.due_ms == THREE + DAY
    assert patient.alerts == []


def test_a_missed_tracker_recovers_with_the_next_good_run() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + HOUR)

    patient.run(THREE + HOUR)

    assert patient.story[-1] == ("failing", "active", THREE + HOUR)
    assert patient.transitions[-1].message == "it works again, after 50 minutes"
    assert patient.health.due_ms == THREE + DAY


def test_a_delayed_run_from_before_the_miss_is_a_sign_of_life() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + HOUR)

    patient.run(THREE + 2 * HOUR, ended_ms=THREE + SECOND)

    assert patient.state == "active"


@pytest.mark.parametrize(
    ("early_ms", "due_ms"),
    [
        (1, THREE + DAY),
        (1 * SECOND, THREE + DAY),
        (60 * SECOND, THREE + DAY),
        (60 * SECOND + 1, THREE),
        (HOUR, THREE),
    ],
)
def test_a_ping_up_to_a_minute_early_counts_for_the_moment_that_comes(
    early_ms: int, due_ms: int
) -> None:
    patient = Patient(NIGHTLY)

    patient.run(THREE - early_ms)

    assert patient.health.due_ms == due_ms


def test_a_run_that_began_long_before_the_moment_does_not_count_for_it() -> None:
    patient = Patient(NIGHTLY)

    patient.run(THREE - SECOND, took_ms=5 * MINUTE)

    assert patient.health.due_ms == THREE


def test_early_is_at_most_a_quarter_of_the_time_between_two_moments() -> None:
    every_minute = Rules(schedule=Schedule("* * * * *", grace_s=10))
    early, punctual = Patient(every_minute), Patient(every_minute)

    early.run(NOON - 15 * SECOND)
    punctual.run(NOON - 16 * SECOND)

    assert (early.health.due_ms, punctual.health.due_ms) == (NOON + MINUTE, NOON)


def test_with_an_interval_the_next_ping_is_expected_so_long_after_the_last_one() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON)
    patient.run(NOON + 5 * MINUTE)

    assert patient.health.due_ms == NOON + 5 * MINUTE + HOUR


def test_a_failed_run_is_a_sign_of_life_as_well() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON)

    patient.run(NOON + HOUR, ok=False)

    assert (patient.state, patient.health.due_ms) == ("failing", NOON + 2 * HOUR)


def test_a_tracker_fails_after_so_many_failures_in_a_row() -> None:
    patient = Patient(Rules(failures_to_fail=3))

    for minute, ok in enumerate([False, False, True, False, False]):
        patient.run(NOON + minute * MINUTE, ok=ok)
    before = patient.state
    patient.run(NOON + 5 * MINUTE, ok=False)

    assert (before, patient.state) == ("active", "failing")
    assert patient.transitions[-1].message.startswith("3 runs in a row failed: ")


def test_a_tracker_recovers_after_so_many_successes_in_a_row() -> None:
    patient = Patient(Rules(successes_to_recover=2))

    for minute, ok in enumerate([False, True, False, True]):
        patient.run(NOON + minute * MINUTE, ok=ok)
    before = patient.state
    patient.run(NOON + 4 * MINUTE)

    assert (before, patient.state) == ("failing", "active")
    assert patient.told == [("failed", NOON, ""), ("recovered", NOON + 4 * MINUTE, "")]


def test_after_a_missing_ping_the_successes_are_counted_anew() -> None:
    patient = Patient(Rules(schedule=Schedule(interval_s=3600, grace_s=60), successes_to_recover=2))
    patient.run(NOON)
    patient.run(NOON + MINUTE)
    patient.wait(NOON + 2 * HOUR)

    patient.run(NOON + 2 * HOUR)
    before = patient.state
    patient.run(NOON + 2 * HOUR + MINUTE)

    assert (before, patient.state) == ("failing", "active")


def test_an_old_failure_does_not_spare_the_successes_after_a_missing_ping() -> None:
    rules = Rules(schedule=Schedule(interval_s=3600, grace_s=60), successes_to_recover=2)
    patient = Patient(rules)
    patient.run(NOON)
    patient.wait(NOON + 2 * HOUR)

    patient.run(NOON + 2 * HOUR, ok=False, ended_ms=NOON - DAY)
    patient.run(NOON + 2 * HOUR + MINUTE)
    one = patient.state
    patient.run(NOON + 2 * HOUR + 2 * MINUTE)

    assert (one, patient.state) == ("failing", "active")


def test_rules_that_ask_for_fewer_successes_count_at_once() -> None:
    schedule = Schedule(interval_s=3600, grace_s=60)
    patient = Patient(Rules(schedule=schedule, successes_to_recover=3))
    patient.run(NOON)
    patient.wait(NOON + 2 * HOUR)

    patient.change(NOON + 2 * HOUR, Rules(schedule=schedule))
    patient.run(NOON + 3 * HOUR)

    assert patient.state == "active"


def test_what_was_owed_is_forgotten_with_other_rules() -> None:
    patient = Patient(Rules(schedule=Schedule(interval_s=3600, grace_s=60), successes_to_recover=2))
    patient.run(NOON)
    patient.wait(NOON + 2 * HOUR)
    patient.change(NOON + 2 * HOUR, Rules(successes_to_recover=2))

    assert (patient.state, patient.memory.owed, patient.memory.missed) == ("active", 0, False)


def test_of_two_runs_that_ended_together_the_failed_one_is_the_later_one() -> None:
    first, second = Patient(Rules()), Patient(Rules())
    first.run(NOON, ok=False)
    first.run(NOON + SECOND, ended_ms=NOON)
    second.run(NOON)
    second.run(NOON + SECOND, ok=False, ended_ms=NOON)

    assert (first.state, second.state) == ("failing", "failing")


def test_a_miss_while_failing_makes_no_second_transition_and_no_second_alert() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON, ok=False)

    patient.wait(NOON + 10 * HOUR)

    assert patient.story == [("new", "failing", NOON)]
    assert [event for event, _, _ in patient.told] == ["failed"]
    assert patient.memory.missed
    assert patient.health.wake_ms is None


def test_a_run_that_arrives_late_is_counted_where_it_ended() -> None:
    patient = Patient(Rules(failures_to_fail=2))
    patient.run(NOON, ok=False)
    patient.run(NOON + 2 * MINUTE, ok=False, ended_ms=NOON + 2 * MINUTE)
    failing_first = patient.state
    other = Patient(Rules(failures_to_fail=2))
    other.run(NOON, ok=False)
    other.run(NOON + MINUTE, ended_ms=NOON + MINUTE)
    other.run(NOON + 2 * MINUTE, ok=False)

    patient.run(NOON + 3 * MINUTE, ended_ms=NOON + MINUTE)

    assert (failing_first, patient.state, other.state) == ("failing", "failing", "active")
    assert [ran.failed for ran in patient.memory.recent] == [
        ran.failed for ran in other.memory.recent
    ]


def test_an_old_success_does_not_recover_a_tracker_whose_latest_run_failed() -> None:
    patient = Patient(Rules())
    patient.run(NOON, ok=False)

    patient.run(NOON + MINUTE, ended_ms=NOON - HOUR)

    assert patient.state == "failing"


def test_an_old_failure_does_not_fail_a_tracker_whose_latest_run_went_well() -> None:
    patient = Patient(Rules())
    patient.run(NOON)

    patient.run(NOON + MINUTE, ok=False, ended_ms=NOON - HOUR)

    assert patient.state == "active"


# ---- starts ------------------------------------------------------------------------------------

BOUNDED = Rules(max_duration_ms=10 * MINUTE)


def test_a_start_without_an_end_fails_the_tracker_when_it_has_taken_too_long() -> None:
    patient = Patient(BOUNDED)
    patient.run(NOON - HOUR)
    patient.start(NOON, key="a")

    patient.tick(NOON + HOUR)

    stuck = NOON + 10 * MINUTE
    assert patient.story[-1] == ("active", "failing", stuck)
    assert patient.transitions[-1].cause is Cause.STUCK
    assert patient.transitions[-1].message == (
        "the run that began at 2026-11-20T12:00:00.000Z has not ended within 10 minutes"
    )


def test_an_end_in_time_keeps_the_tracker_active() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")

    patient.wait(NOON + 9 * MINUTE)
    patient.run(NOON + 9 * MINUTE, key="a")
    patient.wait(NOON + DAY)

    assert patient.story == [("new", "active", NOON + 9 * MINUTE)]
    assert patient.memory.begun == ()


def test_the_end_of_a_run_that_took_too_long_fails_although_it_went_well() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")
    patient.wait(NOON + 20 * MINUTE)

    judged = patient.run(NOON + 20 * MINUTE, key="a")
    still = patient.state
    patient.run(NOON + HOUR, key="b", took_ms=MINUTE)

    assert (judged.cause, judged.message) == (
        Cause.TOO_LONG,
        "the run took 1,200 s, more than 600 s",
    )
    assert (still, patient.state) == ("failing", "active")


def test_a_run_that_is_too_short_fails() -> None:
    patient = Patient(Rules(min_duration_ms=1500))

    judged = patient.run(NOON, took_ms=400)

    assert (judged.cause, judged.message) == (
        Cause.TOO_SHORT,
        "the run took 0.4 s, less than 1.5 s",
    )


def test_a_run_took_as_long_as_its_senders_clock_says_also_when_its_end_is_delayed() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")

    judged = patient.run(NOON + 11 * MINUTE, ended_ms=NOON + 9 * MINUTE, key="a")

    assert not judged.failed


def test_what_the_payload_says_of_the_duration_goes_before_the_start() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")

    judged = patient.run(NOON + 11 * MINUTE, key="a", took_ms=9 * MINUTE)

    assert not judged.failed


def test_ends_find_their_own_start_among_several() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")
    patient.start(NOON + 8 * MINUTE, key="b")

    first = patient.run(NOON + 9 * MINUTE, key="b")
    second = patient.run(NOON + 11 * MINUTE, key="a")

    assert (first.failed, second.failed) == (False, True)


def test_a_start_without_a_key_takes_the_place_of_the_one_before() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON)
    patient.start(NOON + 5 * MINUTE)

    patient.wait(NOON + 14 * MINUTE)
    patient.run(NOON + 14 * MINUTE)
    patient.wait(NOON + DAY)

    assert patient.story == [("new", "active", NOON + 14 * MINUTE)]


def test_an_end_without_a_key_ends_the_latest_start_before_it() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")
    patient.start(NOON + 5 * MINUTE, key="b")
    patient.start(NOON + 11 * MINUTE, started_ms=NOON + 11 * MINUTE, key="c")

    judged = patient.run(NOON + 11 * MINUTE, ended_ms=NOON + 10 * MINUTE)

    assert not judged.failed
    assert [begun.key for begun in patient.memory.begun] == ["a", "c"]


def test_starts_from_before_a_run_are_forgotten_where_nothing_is_judged_by_them() -> None:
    patient = Patient(Rules())
    for key in ("a", "b", "c"):
        patient.start(NOON + ord(key) * SECOND, key=key)

    patient.run(NOON + HOUR, key="b")

    assert [begun.key for begun in patient.memory.begun] == ["c"]


def test_no_more_than_some_starts_are_remembered() -> None:
    patient = Patient(BOUNDED)
    for minute in range(100):
        patient.start(NOON + minute, key=str(minute))
        patient.run(NOON + minute, key=f"other {minute}")

    assert [begun.key for begun in patient.memory.begun] == [str(n) for n in range(84, 100)]
    assert len(patient.memory.ended) == 4


def test_a_start_that_arrives_after_its_end_waits_for_nothing() -> None:
    keyed, keyless = Patient(BOUNDED), Patient(BOUNDED)
    keyed.run(NOON, key="a", took_ms=MINUTE)
    keyless.run(NOON, took_ms=MINUTE)

    keyed.start(NOON + SECOND, started_ms=NOON - MINUTE, key="a")
    keyless.start(NOON + SECOND, started_ms=NOON - MINUTE)
    keyed.wait(NOON + DAY)
    keyless.wait(NOON + DAY)

    assert (keyed.state, keyless.state) == ("active", "active")


@pytest.mark.parametrize("wrong_ms", [-HOUR, -2 * SECOND, 0, 2 * SECOND, HOUR])
def test_without_keys_a_start_and_its_end_find_each_other_whatever_the_senders_clock_says(
    wrong_ms: int,
) -> None:
    patient = Patient(BOUNDED)
    for hour in range(3):
        patient.start(NOON + hour * HOUR)
        ended = NOON + hour * HOUR + SECOND
        judged = patient.run(ended, ended_ms=ended + wrong_ms)
        assert patient.memory.begun == ()
        assert judged.failed is (wrong_ms == HOUR)
    patient.wait(NOON + DAY)

    assert Cause.STUCK not in causes(patient)


def test_a_start_of_now_is_going_although_the_last_end_was_dated_ahead() -> None:
    patient = Patient(BOUNDED)
    patient.run(NOON, ended_ms=NOON + MINUTE)

    patient.start(NOON + SECOND)
    patient.wait(NOON + DAY)

    assert patient.state == "failing"


def test_two_clocks_do_not_make_a_run_too_short() -> None:
    patient = Patient(Rules(min_duration_ms=5 * SECOND))
    patient.start(NOON)

    judged = patient.run(NOON + 10 * SECOND, ended_ms=NOON - SECOND)

    assert not judged.failed


def test_a_start_that_was_delayed_has_its_time_from_its_arrival_on() -> None:
    patient = Patient(BOUNDED)
    patient.run(NOON - DAY)
    patient.start(NOON, started_ms=NOON - HOUR, key="a")

    patient.wait(NOON + 10 * MINUTE - 1)
    before = patient.state
    patient.wait(NOON + 10 * MINUTE)

    assert (before, patient.state) == ("active", "failing")


def test_runs_that_overlap_fail_the_tracker_where_they_must_not() -> None:
    strict = Patient(Rules(overlap=Overlap.FAIL))
    lenient = Patient(Rules())
    for patient in (strict, lenient):
        patient.run(NOON - HOUR)
        patient.start(NOON, key="a")
        patient.start(NOON + MINUTE, key="b")

    assert (strict.state, lenient.state) == ("failing", "active")
    assert strict.transitions[-1].cause is Cause.OVERLAP
    strict.run(NOON + 2 * MINUTE, key="a")
    assert strict.state == "active"


def test_a_start_that_is_sent_again_does_not_overlap_with_itself() -> None:
    patient = Patient(Rules(overlap=Overlap.FAIL))
    patient.run(NOON - HOUR)
    patient.start(NOON, key="a")

    patient.start(NOON + SECOND, key="a")
    once = patient.state
    patient.start(NOON + MINUTE, key="b")

    assert (once, patient.state) == ("active", "failing")


def test_a_run_that_was_told_to_be_stuck_overlaps_with_nothing() -> None:
    patient = Patient(Rules(overlap=Overlap.FAIL, max_duration_ms=10 * MINUTE))
    patient.start(NOON, key="a")
    patient.wait(NOON + HOUR)
    patient.run(NOON + HOUR, took_ms=MINUTE, key="b")

    patient.start(NOON + 2 * HOUR, key="c")

    assert patient.state == "active"


def test_a_start_in_time_gives_the_run_until_the_next_moment() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.start(THREE + SECOND, key="a")

    patient.wait(THREE + HOUR)
    going = patient.state
    patient.wait(THREE + DAY + 11 * MINUTE)

    assert going == "active"
    assert patient.story[1:] == [
        ("active", "late", THREE + DAY),
        ("late", "failing", THREE + DAY + 10 * MINUTE),
    ]


def test_a_job_that_dies_after_its_start_every_night_is_noticed() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    for night in range(3):
        patient.wait(THREE + night * DAY)
        patient.start(THREE + night * DAY + SECOND, key=f"night {night}")

    assert patient.state == "failing"


def test_where_the_duration_is_bounded_that_bound_alone_decides_how_long_a_run_may_take() -> None:
    patient = Patient(Rules(schedule=Schedule("0 * * * *", grace_s=60), max_duration_ms=3 * HOUR))
    patient.run(NOON - 2 * MINUTE, took_ms=MINUTE)
    patient.start(NOON + SECOND, key="a")

    patient.wait(NOON + 2 * HOUR)
    going = patient.state
    patient.wait(NOON + 4 * HOUR)

    assert going == "active"
    assert patient.story[-1] == ("active", "failing", NOON + 3 * HOUR + SECOND)


def test_a_start_makes_a_late_tracker_active() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + MINUTE)

    patient.start(THREE + MINUTE, key="a")

    assert patient.story[-1] == ("late", "active", THREE + MINUTE)


def test_a_scheduled_tracker_whose_first_run_never_ends_is_noticed() -> None:
    patient = Patient(HOURLY)
    patient.start(NOON)

    patient.wait(NOON + 3 * HOUR)

    assert patient.story == [
        ("new", "late", NOON + HOUR),
        ("late", "failing", NOON + HOUR + 5 * MINUTE),
    ]


@pytest.mark.parametrize("schedule", [Schedule("*/10 * * * *"), Schedule(interval_s=600)])
def test_starts_that_take_each_others_place_do_not_put_off_the_first_ones_bound(
    schedule: Schedule,
) -> None:
    patient = Patient(Rules(schedule=schedule, max_duration_ms=HOUR))
    patient.run(NOON)
    for minutes in range(10, 120, 10):
        patient.wait(NOON + minutes * MINUTE)
        patient.start(NOON + minutes * MINUTE)

    assert patient.story[-1] == (
        "late",
        "failing",
        NOON + 10 * MINUTE + 5 * MINUTE + HOUR + 5 * MINUTE,
    )


def test_a_run_that_began_within_its_interval_has_time_until_the_next_one_ends() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON + 5 * MINUTE)
    patient.start(NOON + HOUR)

    patient.wait(NOON + HOUR + 50 * MINUTE)
    going = patient.state
    patient.wait(NOON + 3 * HOUR)

    assert going == "active"
    assert patient.story[1:] == [
        ("active", "late", NOON + 2 * HOUR + 5 * MINUTE),
        ("late", "failing", NOON + 2 * HOUR + 10 * MINUTE),
    ]


def test_a_run_that_began_before_the_last_one_ended_is_no_sign_of_the_next() -> None:
    patient = Patient(HOURLY)
    patient.start(NOON, key="a")
    patient.run(NOON + MINUTE, key="b")

    patient.wait(NOON + 2 * HOUR)

    assert patient.story[-1] == ("late", "failing", NOON + HOUR + 6 * MINUTE)


# ---- the server's own troubles -----------------------------------------------------------------


def test_a_ping_is_not_missing_while_the_server_was_down() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.up_since_ms = up = THREE + 9 * MINUTE

    patient.tick(up + MINUTE)
    patient.wait(up + 10 * MINUTE - 1)
    waiting = patient.state
    patient.run(up + 10 * MINUTE - 1)

    assert waiting == "late"
    assert patient.state == "active"


def test_after_downtime_a_tracker_has_its_grace_from_then_on_and_a_minute_at_least() -> None:
    slow, quick = Patient(NIGHTLY), Patient(Rules(schedule=Schedule(interval_s=60, grace_s=1)))
    slow.run(THREE - DAY)
    quick.run(THREE - 50 * SECOND)
    for patient in (slow, quick):
        patient.up_since_ms = THREE + HOUR
        patient.tick(THREE + HOUR)
        patient.wait(THREE + 2 * HOUR)

    assert slow.story[-1] == ("late", "failing", THREE + HOUR + 10 * MINUTE)
    assert quick.story[-1] == ("late", "failing", THREE + HOUR + MINUTE)


def test_a_server_that_was_up_from_the_moment_on_has_seen_enough() -> None:
    patient = Patient(Rules(schedule=Schedule("0 3 * * *", timezone="Europe/Riga", grace_s=10)))
    patient.run(THREE - DAY)
    patient.up_since_ms = THREE

    patient.tick(THREE + 10 * SECOND)

    assert patient.state == "failing"


def test_a_run_is_not_stuck_while_its_end_could_not_arrive() -> None:
    patient = Patient(BOUNDED)
    patient.start(NOON, key="a")
    patient.up_since_ms = NOON + 20 * MINUTE

    patient.tick(NOON + 20 * MINUTE)
    before = patient.state
    patient.wait(NOON + 21 * MINUTE)

    assert (before, patient.state) == ("new", "failing")


def test_a_clock_that_is_set_back_fires_nothing_twice() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + HOUR)
    told = list(patient.told)

    for minute in range(120):
        patient.tick(THREE - HOUR + minute * MINUTE)

    assert patient.told == told
    assert [after for _, after, _ in patient.story] == ["active", "late", "failing"]


def test_a_good_run_recovers_also_after_the_clock_was_set_back() -> None:
    patient = Patient(Rules())
    patient.run(NOON, ok=False)

    patient.run(NOON - HOUR)

    assert patient.state == "active"


# ---- people ------------------------------------------------------------------------------------


def test_a_paused_tracker_records_and_judges_nothing() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON)
    patient.pause(NOON + MINUTE)

    judged = patient.run(NOON + 2 * MINUTE, ok=False)
    patient.start(NOON + 3 * MINUTE)
    patient.tick(NOON + 5 * DAY)

    assert judged.outcome is Outcome.UNJUDGED
    assert (patient.state, patient.health.due_ms, patient.health.wake_ms) == ("paused", None, None)
    assert patient.alerts == []


def test_a_resumed_tracker_begins_anew() -> None:
    patient = Patient(HOURLY)
    patient.run(NOON, ok=False)
    patient.pause(NOON + MINUTE)

    patient.resume(NOON + DAY)

    assert patient.story[-2:] == [
        ("failing", "paused", NOON + MINUTE),
        ("paused", "active", NOON + DAY),
    ]
    assert patient.health.due_ms == NOON + DAY + HOUR
    patient.wait(NOON + DAY + 2 * HOUR)
    assert patient.state == "failing"


def test_pausing_and_resuming_twice_changes_nothing() -> None:
    patient = Patient(HOURLY)
    patient.pause(NOON)
    patient.pause(NOON + MINUTE)
    patient.resume(NOON + HOUR)
    patient.resume(NOON + HOUR)

    assert patient.story == [("new", "paused", NOON), ("paused", "new", NOON + HOUR)]


def test_a_tracker_that_is_paused_again_before_its_next_run_still_expects_it() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    for hour in (1, 2):
        patient.pause(THREE - DAY + hour * HOUR)
        patient.resume(THREE - DAY + hour * HOUR + MINUTE)

    patient.wait(THREE + HOUR)

    assert patient.story[-3:] == [
        ("paused", "active", THREE - DAY + 2 * HOUR + MINUTE),
        ("active", "late", THREE),
        ("late", "failing", THREE + 10 * MINUTE),
    ]


def test_a_tracker_whose_first_run_came_while_it_was_paused_expects_the_next_one() -> None:
    patient = Patient(NIGHTLY)
    patient.pause(THREE - DAY - HOUR)
    patient.run(THREE - DAY, ok=False)

    patient.resume(THREE - DAY + HOUR)

    assert (patient.state, patient.health.due_ms) == ("active", THREE)


def test_rules_that_do_not_concern_the_schedule_leave_a_late_tracker_late() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + MINUTE)

    patient.change(THREE + 2 * MINUTE, Rules(schedule=NIGHTLY.schedule, failures_to_fail=3))
    patient.wait(THREE + HOUR)

    assert patient.story[1:] == [
        ("active", "late", THREE),
        ("late", "failing", THREE + 10 * MINUTE),
    ]


def test_rules_that_do_not_concern_the_schedule_keep_what_an_early_ping_counted_for() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - SECOND)

    patient.change(THREE - SECOND, Rules(schedule=NIGHTLY.schedule, failures_to_fail=3))

    assert patient.health.due_ms == THREE + DAY


def test_a_longer_grace_counts_at_once() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + MINUTE)

    patient.change(
        THREE + MINUTE, Rules(schedule=Schedule("0 3 * * *", timezone="Europe/Riga", grace_s=3600))
    )
    patient.wait(THREE + HOUR - 1)

    assert patient.state == "late"


def test_another_schedule_expects_pings_from_now_on() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + HOUR)

    patient.change(THREE + 2 * HOUR, HOURLY)

    assert patient.story[-1] == ("failing", "active", THREE + 2 * HOUR)
    assert patient.transitions[-1].cause is Cause.RULES_CHANGED
    assert patient.told[-1] == ("recovered", THREE + 2 * HOUR, "")
    assert patient.health.due_ms == THREE + 3 * HOUR


def test_a_tracker_whose_runs_fail_goes_on_failing_under_another_schedule() -> None:
    patient, missed = Patient(NIGHTLY), Patient(NIGHTLY)
    patient.run(THREE - DAY, ok=False)
    missed.run(THREE - DAY, ok=False)
    missed.wait(THREE + HOUR)

    patient.change(THREE, HOURLY)
    missed.change(THREE + HOUR, HOURLY)

    assert (patient.state, patient.health.due_ms) == ("failing", THREE + HOUR)
    assert (missed.state, missed.health.due_ms) == ("failing", THREE + 2 * HOUR)


def test_a_tracker_whose_run_never_ended_goes_on_failing_under_another_schedule() -> None:
    patient = Patient(Rules(schedule=NIGHTLY.schedule, max_duration_ms=MINUTE))
    patient.run(THREE - DAY)
    patient.start(THREE, key="a")
    patient.wait(THREE + HOUR)

    patient.change(THREE + HOUR, Rules(schedule=HOURLY.schedule, max_duration_ms=MINUTE))

    assert patient.state == "failing"


def test_after_an_overlap_another_schedule_forgives_the_missing_ping_alone() -> None:
    rules = Rules(schedule=NIGHTLY.schedule, overlap=Overlap.FAIL)
    patient = Patient(rules)
    patient.run(THREE - DAY)
    patient.start(THREE, key="a")
    patient.start(THREE + MINUTE, key="b")
    patient.wait(THREE + 2 * DAY)
    missed = patient.memory.missed

    patient.change(THREE + 2 * DAY, replace(rules, schedule=HOURLY.schedule))
    changed = patient.state
    patient.run(THREE + 2 * DAY + MINUTE)

    assert (missed, changed, patient.state) == (True, "failing", "active")


@pytest.mark.parametrize("how", ["stuck", "failed runs"])
def test_what_has_not_recovered_yet_does_not_by_a_missing_ping_that_is_forgiven(how: str) -> None:
    rules = Rules(
        schedule=NIGHTLY.schedule, max_duration_ms=HOUR, failures_to_fail=1, successes_to_recover=2
    )
    patient = Patient(rules)
    patient.run(THREE - DAY)
    if how == "stuck":
        patient.start(THREE, key="a")
        patient.wait(THREE + 2 * HOUR)
    else:
        patient.run(THREE, ok=False)
    patient.run(THREE + 3 * HOUR, key="b")
    patient.wait(THREE + 2 * DAY)
    missed = patient.memory.missed

    patient.change(THREE + 2 * DAY, replace(rules, schedule=HOURLY.schedule))

    assert (missed, patient.state) == (True, "failing")


def test_without_a_schedule_nothing_is_expected_any_more() -> None:
    patient = Patient(NIGHTLY)
    patient.run(THREE - DAY)
    patient.wait(THREE + MINUTE)

    patient.change(THREE + 2 * MINUTE, Rules())
    patient.wait(THREE + 30 * DAY)

    assert (patient.state, patient.health.due_ms, patient.health.wake_ms) == ("active", None, None)


# ---- maintenance -------------------------------------------------------------------------------


def test_a_ping_expected_within_maintenance_is_not_missed() -> None:
    rules = Rules(
        schedule=Schedule("0 * * * *", grace_s=300), maintenance=[Window("30 12 * * *", 2 * 3600)]
    )
    patient = Patient(rules)

    patient.run(NOON + MINUTE)

    assert patient.health.due_ms == NOON + 3 * HOUR


def test_a_ping_expected_at_the_end_of_maintenance_is_expected() -> None:
    rules = Rules(schedule=Schedule("0 * * * *"), maintenance=[Window("30 12 * * *", 5400)])
    patient = Patient(rules)

    patient.run(NOON + MINUTE)

    assert patient.health.due_ms == NOON + 2 * HOUR


def test_an_interval_that_would_end_within_maintenance_begins_anew_after_it() -> None:
    rules = Rules(schedule=Schedule(interval_s=3600), maintenance=[Window("30 12 * * *", 2 * 3600)])
    patient = Patient(rules)

    patient.run(NOON)

    assert patient.health.due_ms == NOON + 2 * HOUR + 30 * MINUTE + HOUR


@pytest.mark.parametrize(
    ("cron", "windows"),
    [
        ("*/5 * * * *", [Window("0 */2 * * *", 3600), Window("0 1-23/2 * * *", 3600)]),
        ("0 2 * * *", [Window("0 2 * * *", 3600)]),
    ],
)
def test_what_maintenance_covers_for_ever_is_never_expected(
    cron: str, windows: list[Window]
) -> None:
    rules = Rules(schedule=Schedule(cron), maintenance=windows)

    assert judge_of(write(rules)).after(NOON) is None


def test_a_window_on_working_days_leaves_the_moment_of_the_weekend() -> None:
    rules = Rules(schedule=Schedule("5 * * * *"), maintenance=[Window("0 * * * 1-5", 600)])
    patient = Patient(rules)

    patient.run(at("2026-11-23T00:30"))

    assert patient.health.due_ms == at("2026-11-28T00:05")


def test_an_interval_that_always_ends_within_maintenance_is_not_put_off_for_ever() -> None:
    rules = Rules(schedule=Schedule(interval_s=3000), maintenance=[Window("0 * * * *", 900)])
    patient = Patient(rules)

    patient.run(NOON + 20 * MINUTE)

    assert patient.health.due_ms == NOON + 20 * HOUR + 15 * MINUTE


def test_a_grace_that_would_end_within_maintenance_begins_anew_after_it() -> None:
    window = [Window("0 12 * * *", 3600)]
    silent = Patient(
        Rules(
            schedule=Schedule(interval_s=600, grace_s=300), max_duration_ms=HOUR, maintenance=window
        )
    )
    hanging = Patient(Rules(max_duration_ms=10 * MINUTE, maintenance=window))
    silent.run(NOON - 11 * MINUTE)
    hanging.start(NOON - 5 * MINUTE)

    for patient in (silent, hanging):
        patient.wait(NOON + DAY)

    assert silent.story[-1] == ("late", "failing", NOON + HOUR + 5 * MINUTE)
    assert hanging.story == [("new", "failing", NOON + HOUR + MINUTE)]
    assert silent.told == [("failed", NOON + HOUR + 5 * MINUTE, "")]
