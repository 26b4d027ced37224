"""What holds of every tracker, whatever happens to it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server_stub.domain.health import Event
from server_stub.domain.remembering import in_a_row
from telemhq_agents.contract.rules import Alerting, Overlap, Rules, Schedule, Window
from tests.server_stub.patient import DAY, HOUR, MINUTE, NOON, SECOND, Patient

if TYPE_CHECKING:
    from collections.abc import Callable

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCHEDULES = st.sampled_from(
    [
        None,
        Schedule(interval_s=600, grace_s=60),
        Schedule(interval_s=7, grace_s=0),
        Schedule("*/10 * * * *", timezone="Asia/Kolkata", grace_s=120),
        Schedule("17 * * * *", grace_s=7200),
        Schedule("30 2 * * *", timezone="Europe/Riga", grace_s=600),
    ]
)
ALERTING = st.builds(
    Alerting,
    muted=st.booleans(),
    repeat_s=st.sampled_from([0, 60, 900]),
    least_gap_s=st.sampled_from([0, 300]),
    quiet_from=st.just("12:30"),
    quiet_until=st.sampled_from(["13:00", "09:15"]),
)
RULES = st.builds(
    Rules,
    schedule=SCHEDULES,
    failures_to_fail=st.integers(1, 3),
    successes_to_recover=st.integers(1, 3),
    max_duration_ms=st.sampled_from([0, 5 * MINUTE, 2 * HOUR]),
    overlap=st.sampled_from(list(Overlap)),
    snoozed_until=st.sampled_from(["", "2026-11-20T12:40:00Z"]),
    maintenance=st.sampled_from([[], [Window("40 * * * *", 900)]]),
    alerting=st.one_of(st.just(Alerting()), ALERTING),
)
KEYS = st.sampled_from(["", "a", "b"])
Happening = tuple[int, "Callable[[Patient, int], object]"]


def runs(ok: bool, late_ms: int, key: str) -> Callable[[Patient, int], object]:
    return lambda patient, now_ms: patient.run(now_ms, ok=ok, ended_ms=now_ms - late_ms, key=key)


def starts(key: str) -> Callable[[Patient, int], object]:
    return lambda patient, now_ms: patient.start(now_ms, key=key)


def changes(rules: Rules) -> Callable[[Patient, int], object]:
    return lambda patient, now_ms: patient.change(now_ms, rules)


def restarts() -> Callable[[Patient, int], object]:
    def restart(patient: Patient, now_ms: int) -> None:
        patient.up_since_ms = now_ms

    return restart


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from([0, SECOND, MINUTE, 10 * MINUTE, HOUR]),
        st.one_of(
            st.builds(runs, st.booleans(), st.sampled_from([0, 0, MINUTE, DAY]), KEYS),
            st.builds(starts, KEYS),
            st.just(lambda patient, now_ms: patient.tick(now_ms)),
            st.just(Patient.pause),
            st.just(Patient.resume),
            st.builds(changes, RULES),
            st.builds(restarts),
        ),
    ),
    max_size=14,
)


def lived(rules: Rules, happenings: list[Happening]) -> tuple[Patient, int]:
    """Return a tracker to which all this happened, watched by the sweep in between."""
    patient, now_ms = Patient(rules), NOON
    for pause_ms, happen in happenings:
        now_ms += pause_ms
        patient.wait(now_ms)
        happen(patient, now_ms)
    return patient, now_ms


@UNHURRIED
@given(RULES, HAPPENINGS)
def test_transitions_follow_each_other_and_never_lead_nowhere(
    rules: Rules, happenings: list[Happening]
) -> None:
    patient, now_ms = lived(rules, happenings)

    patient.wait(now_ms + 2 * HOUR)

    assert all(before != after for before, after, _ in patient.story)
    assert all(one.after is other.before for one, other in pairwise(patient.transitions))


@UNHURRIED
@given(RULES, HAPPENINGS)
def test_every_failure_is_followed_by_one_recovery_or_a_pause_before_the_next(
    rules: Rules, happenings: list[Happening]
) -> None:
    patient, _ = lived(rules, happenings)

    failing = "failing"
    turns = [
        after if after == failing else before
        for before, after, _ in patient.story
        if failing in {before, after}
    ]
    assert turns == [failing] * len(turns)
    told = [one.event for one in patient.alerts if one.transition is not None]
    left = [one for one in patient.transitions if "failing" in {one.before, one.after}]
    assert told == [
        Event.FAILED if one.after == failing else Event.RECOVERED
        for one in left
        if one.after != "paused"
    ]


@UNHURRIED
@given(RULES, HAPPENINGS, st.integers(0, 3 * HOUR))
def test_after_a_tick_the_next_look_lies_ahead(
    rules: Rules, happenings: list[Happening], later_ms: int
) -> None:
    patient, now_ms = lived(rules, happenings)

    patient.tick(now_ms + later_ms)

    assert patient.health.wake_ms is None or patient.health.wake_ms > now_ms + later_ms


@UNHURRIED
@given(
    RULES,
    HAPPENINGS,
    st.integers(0, 2 * DAY),
    st.lists(st.integers(0, 2 * DAY), max_size=8),
)
def test_many_small_looks_find_what_one_large_look_finds(
    rules: Rules, happenings: list[Happening], later_ms: int, looks: list[int]
) -> None:
    seldom, now_ms = lived(rules, happenings)
    often, _ = lived(rules, happenings)

    for look in sorted(look for look in looks if look < later_ms):
        often.tick(now_ms + look)
    often.wait(now_ms + later_ms)
    often.tick(now_ms + later_ms)
    seldom.tick(now_ms + later_ms)

    assert often.story == seldom.story
    assert (often.health.state, often.health.due_ms) == (seldom.health.state, seldom.health.due_ms)
    assert often.memory.missed == seldom.memory.missed


@UNHURRIED
@given(RULES, HAPPENINGS)
def test_looking_again_at_the_same_moment_finds_nothing_new(
    rules: Rules, happenings: list[Happening]
) -> None:
    patient, now_ms = lived(rules, happenings)
    patient.tick(now_ms)
    story, told, health = list(patient.story), list(patient.told), patient.health

    patient.tick(now_ms)

    assert (patient.story, patient.told, patient.health) == (story, told, health)


@UNHURRIED
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_in_any_order_of_arrival_the_same_runs_are_remembered_in_the_same_order(
    fail_after: int, recover_after: int, ended: list[tuple[int, bool]], dice: object
) -> None:
    rules = Rules(failures_to_fail=fail_after, successes_to_recover=recover_after)
    shuffled = list(ended)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # - hypothesis hands out a Random
    in_order, as_it_comes = Patient(rules), Patient(rules)
    for patient, history in ((in_order, sorted(ended)), (as_it_comes, shuffled)):
        for arrival, (second, failed) in enumerate(history):
            ended_ms = NOON - HOUR + second * SECOND
            patient.run(NOON + arrival, ok=not failed, ended_ms=ended_ms)

    remembered = [
        [(ran.ended_ms, ran.failed) for ran in patient.memory.recent]
        for patient in (in_order, as_it_comes)
    ]
    assert remembered[0] == remembered[1]
    for failed in (True, False):
        assert in_a_row(in_order.memory.recent, failed=failed) == in_a_row(
            as_it_comes.memory.recent, failed=failed
        )


@UNHURRIED
@given(RULES, HAPPENINGS)
def test_nothing_goes_out_within_quiet_hours_a_snooze_or_maintenance(
    rules: Rules, happenings: list[Happening]
) -> None:
    unchanged = [one for one in happenings if "changes" not in getattr(one[1], "__qualname__", "")]
    patient, now_ms = lived(rules, unchanged)
    patient.wait(now_ms + HOUR)

    judge = patient.judge
    from server_stub.domain.alerting import released

    for alert in patient.alerts:
        if not alert.withheld:
            assert not rules.alerting.muted
            assert released(judge, alert.deliver_ms) == alert.deliver_ms


@UNHURRIED
@given(RULES, HAPPENINGS)
def test_a_scheduled_tracker_that_had_a_run_and_falls_silent_fails(
    rules: Rules, happenings: list[Happening]
) -> None:
    patient, now_ms = lived(rules, happenings)
    if not patient.memory.has_run:
        patient.run(now_ms)
    patient.resume(now_ms)

    patient.tick(now_ms + 3 * DAY)

    assert patient.rules.schedule is None or patient.state == "failing"
