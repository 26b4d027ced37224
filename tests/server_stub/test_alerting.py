"""Who is told, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server_stub.domain.alerting import quiet_end
from telemhq_agents.contract.rules import Alerting, Rules, Schedule, Window
from tests.server_stub.patient import DAY, HOUR, MINUTE, NOON, Patient, at

RIGA = "Europe/Riga"


def alerting(**settings: object) -> Rules:
    return Rules(alerting=replace(Alerting(), **settings))  # type: ignore[arg-type]  # - any of its fields


def test_nobody_is_told_of_a_muted_tracker() -> None:
    patient = Patient(alerting(muted=True, repeat_s=60))
    patient.run(NOON, ok=False)
    patient.wait(NOON + HOUR)
    patient.run(NOON + HOUR)

    assert patient.told == [("failed", NOON, "muted"), ("recovered", NOON + HOUR, "muted")]


def test_who_is_no_longer_muted_is_told_what_still_fails() -> None:
    patient = Patient(alerting(muted=True))
    patient.run(NOON, ok=False)

    patient.change(NOON + HOUR, Rules())
    patient.wait(NOON + HOUR)
    patient.wait(NOON + DAY)

    assert patient.told == [("failed", NOON, "muted"), ("failed", NOON + HOUR, "")]
    assert patient.alerts[1].transition is None
    assert patient.alerts[1].message == "it has been failing since 2026-11-20T12:00:00.000Z"


def test_at_the_end_of_a_snooze_the_tracker_that_still_fails_is_told_of() -> None:
    patient = Patient(Rules(snoozed_until="2026-11-20T14:00:00Z"))
    patient.run(NOON, ok=False)

    patient.wait(NOON + DAY)

    assert patient.told == [("failed", NOON, "snoozed"), ("failed", NOON + 2 * HOUR, "")]


def test_what_failed_and_recovered_within_a_snooze_is_told_to_nobody() -> None:
    patient = Patient(Rules(snoozed_until="2026-11-20T14:00:00Z"))
    patient.run(NOON, ok=False)
    patient.run(NOON + HOUR)
    patient.wait(NOON + DAY)

    assert patient.told == [
        ("failed", NOON, "snoozed"),
        ("recovered", NOON + HOUR, "nobody was told that it failed"),
    ]


def test_a_recovery_that_people_wait_for_is_told_when_the_snooze_is_over() -> None:
    patient = Patient(Rules())
    patient.run(NOON, ok=False)
    patient.change(NOON + MINUTE, Rules(snoozed_until="2026-11-20T14:00:00Z"))

    patient.run(NOON + HOUR)

    assert patient.told[-1] == ("recovered", NOON + 2 * HOUR, "")


def test_a_recovery_that_still_waits_when_the_tracker_fails_again_is_not_told() -> None:
    patient = Patient(Rules())
    patient.run(NOON, ok=False)
    patient.change(NOON + MINUTE, Rules(snoozed_until="2026-11-20T14:00:00Z"))
    patient.run(NOON + HOUR)

    patient.run(NOON + HOUR + MINUTE, ok=False)
    patient.wait(NOON + DAY)

    end = NOON + 2 * HOUR
    assert patient.told[1:] == [("recovered", end, ""), ("failed", end, "")]  # the store takes both
    patient.run(NOON + DAY)
    assert patient.told[-1] == ("recovered", NOON + DAY, "")


def test_an_alert_that_waits_when_its_tracker_is_muted_is_taken_back() -> None:
    night = {"quiet_from": "11:00", "quiet_until": "14:00"}
    patient = Patient(alerting(**night))
    patient.run(NOON, ok=False)
    patient.change(NOON + MINUTE, alerting(muted=True, **night))

    patient.run(NOON + HOUR)

    end = NOON + 2 * HOUR
    assert patient.told == [("failed", end, "muted"), ("recovered", NOON + HOUR, "muted")]


def test_within_maintenance_alerts_are_withheld_until_its_end() -> None:
    patient = Patient(Rules(maintenance=[Window("0 12 * * *", 3600)]))
    patient.run(NOON + MINUTE, ok=False)

    patient.wait(NOON + DAY - 1)

    assert patient.told == [
        ("failed", NOON + MINUTE, "maintenance"),
        ("failed", NOON + HOUR, ""),
    ]


def test_in_quiet_hours_alerts_wait_for_the_morning() -> None:
    night = at("2026-11-20T23:00", RIGA)
    patient = Patient(alerting(quiet_from="22:00", quiet_until="07:00", timezone=RIGA))

    patient.run(night, ok=False)

    assert patient.told == [("failed", at("2026-11-21T07:00", RIGA), "")]


def test_what_recovers_before_its_alert_went_out_shares_its_moment() -> None:
    night = at("2026-11-20T23:00", RIGA)
    patient = Patient(alerting(quiet_from="22:00", quiet_until="07:00", timezone=RIGA))
    patient.run(night, ok=False)

    patient.run(night + HOUR)

    morning = at("2026-11-21T07:00", RIGA)
    assert patient.told == [("failed", morning, ""), ("recovered", morning, "")]
    assert patient.memory.waiting_ms is None


def test_between_two_alerts_lies_the_least_gap() -> None:
    patient = Patient(alerting(least_gap_s=600))
    patient.run(NOON, ok=False)
    patient.run(NOON + MINUTE)

    assert patient.told == [("failed", NOON, ""), ("recovered", NOON + 10 * MINUTE, "")]


def test_after_two_alerts_that_undid_each_other_the_gap_counts_from_the_last_one_sent() -> None:
    patient = Patient(alerting(least_gap_s=600))
    patient.run(NOON, ok=False)
    patient.run(NOON + MINUTE)
    patient.run(NOON + 2 * MINUTE, ok=False)
    patient.run(NOON + 12 * MINUTE)

    assert [deliver_ms for _, deliver_ms, _ in patient.told] == [
        NOON,
        NOON + 10 * MINUTE,
        NOON + 10 * MINUTE,
        NOON + 12 * MINUTE,
    ]


def test_an_alert_is_repeated_while_the_tracker_fails() -> None:
    patient = Patient(alerting(repeat_s=3600))
    patient.run(NOON, ok=False)

    patient.wait(NOON + 2 * HOUR + MINUTE)
    patient.run(NOON + 2 * HOUR + MINUTE)
    patient.wait(NOON + DAY)

    assert patient.told == [
        ("failed", NOON, ""),
        ("still_failing", NOON + HOUR, ""),
        ("still_failing", NOON + 2 * HOUR, ""),
        ("recovered", NOON + 2 * HOUR + MINUTE, ""),
    ]


def test_a_repeated_alert_says_what_is_missing() -> None:
    rules = replace(alerting(repeat_s=3600), schedule=Schedule(interval_s=3600, grace_s=60))
    patient = Patient(rules)
    patient.run(NOON)

    patient.wait(NOON + 2 * HOUR + MINUTE)

    assert patient.alerts[-1].message == (
        "it has been failing since 2026-11-20T13:01:00.000Z;"
        " no ping came that was expected at 2026-11-20T13:00:00.000Z"
    )


def test_a_server_that_slept_repeats_an_alert_once() -> None:
    patient = Patient(alerting(repeat_s=60))
    patient.run(NOON, ok=False)

    patient.tick(NOON + DAY)

    assert patient.told == [("failed", NOON, ""), ("still_failing", NOON + DAY, "")]


def test_a_repeated_alert_waits_for_quiet_hours_snoozes_and_the_least_gap() -> None:
    quiet = Patient(alerting(repeat_s=3600, quiet_from="12:30", quiet_until="15:00"))
    gap = Patient(alerting(repeat_s=60, least_gap_s=7200))
    snoozed = Patient(alerting(repeat_s=3600))
    for patient in (quiet, gap, snoozed):
        patient.run(NOON, ok=False)
    snoozed.change(
        NOON + MINUTE, replace(alerting(repeat_s=3600), snoozed_until="2026-11-20T16:00:00Z")
    )
    for patient in (quiet, gap, snoozed):
        patient.wait(NOON + 4 * HOUR)

    assert [moment for _, moment, _ in quiet.told] == [NOON, NOON + 3 * HOUR, NOON + 4 * HOUR]
    assert [moment for _, moment, _ in gap.told] == [NOON, NOON + 2 * HOUR, NOON + 4 * HOUR]
    assert [moment for _, moment, _ in snoozed.told] == [NOON, NOON + 4 * HOUR]


def test_a_repeated_alert_comes_again_after_the_clock_was_set_back() -> None:
    patient = Patient(alerting(repeat_s=3600))
    patient.run(NOON, ok=False)

    patient.tick(NOON - DAY)
    patient.wait(NOON - DAY + 2 * HOUR)

    assert patient.told[1:] == [
        ("still_failing", NOON - DAY + HOUR, ""),
        ("still_failing", NOON - DAY + 2 * HOUR, ""),
    ]


def test_a_pause_does_not_shorten_the_gap_between_alerts() -> None:
    patient = Patient(alerting(least_gap_s=600))
    patient.run(NOON, ok=False)
    patient.pause(NOON + MINUTE)
    patient.resume(NOON + 2 * MINUTE)

    patient.run(NOON + 3 * MINUTE, ok=False)

    assert patient.told[-1] == ("failed", NOON + 10 * MINUTE, "")


def test_a_pause_ends_what_was_to_be_repeated() -> None:
    patient = Patient(alerting(repeat_s=3600))
    patient.run(NOON, ok=False)
    patient.pause(NOON + MINUTE)

    patient.tick(NOON + DAY)

    assert patient.told == [("failed", NOON, "")]


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "end"),
    [
        ("22:00-07:00", RIGA, "2026-11-20T21:59", None),
        ("22:00-07:00", RIGA, "2026-11-20T22:00", "2026-11-21T07:00"),
        ("22:00-07:00", RIGA, "2026-11-21T06:59", "2026-11-21T07:00"),
        ("22:00-07:00", RIGA, "2026-11-21T07:00", None),
        ("12:00-13:00", RIGA, "2026-11-20T12:30", "2026-11-20T13:00"),
        ("12:00-13:00", RIGA, "2026-11-20T11:30", None),
        ("12:00-13:00", "Asia/Kathmandu", "2026-11-20T12:30", "2026-11-20T13:00"),
        # On 28 March 2021 03:00 becomes 04:00: the end is the moment that takes its place.
        ("22:00-03:30", RIGA, "2021-03-28T02:00", "2021-03-28T04:30"),
        # On 31 October 2021 the hour from 03:00 comes twice: the end is the first 03:30.
        ("22:00-03:30", RIGA, "2021-10-31T02:00", "2021-10-31T03:30"),
    ],
)
def test_quiet_hours_end_where_their_clock_says(
    hours: str, zone: str, moment: str, end: str | None
) -> None:
    begins, ends = hours.split("-")
    quiet = Alerting(quiet_from=begins, quiet_until=ends, timezone=zone)
    at_ms = at(moment, zone)

    assert quiet_end(quiet, at_ms) == (at_ms if end is None else at(end, zone))


def test_in_the_hour_that_comes_twice_quiet_hours_end_twice() -> None:
    quiet = Alerting(quiet_from="02:00", quiet_until="03:30", timezone=RIGA)
    second_pass = at("2021-10-31T03:30", RIGA) + 45 * MINUTE  # 03:15 again

    assert quiet_end(quiet, second_pass) == at("2021-10-31T03:30", RIGA) + HOUR
