"""Rules as they are checked, written and read again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server_stub.domain.rules import RulesError, check_rules, read, write
from telemhq_agents.contract.rules import (
    Alerting,
    Assertion,
    Channel,
    ChannelKind,
    Every,
    Operator,
    Overlap,
    Rules,
    Schedule,
    Severity,
    Summary,
    Window,
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOOK = Channel(ChannelKind.WEBHOOK, "https://hooks.example.com/in")
ASSERTED = Assertion("items_processed", Operator.GREATER_THAN, 0)


def refused(rules: Rules) -> list[str]:
    with pytest.raises(RulesError) as error:
        check_rules(rules)
    assert error.value.problem.status == 422
    assert [one.field for one in error.value.problem.errors] == [
        one.field for one in error.value.errors
    ]
    return [one.field for one in error.value.errors]


def test_no_rules_at_all_are_written_as_an_empty_object() -> None:
    assert write(check_rules(Rules())) == "{}"
    assert read("{}") == Rules()


def test_only_what_differs_from_its_default_is_written() -> None:
    rules = Rules(schedule=Schedule("0 3 * * *"), alerting=Alerting(muted=True))

    assert write(rules) == '{"schedule":{"cron":"0 3 * * *"},"alerting":{"muted":true}}'


def test_values_of_an_assertion_keep_their_kind() -> None:
    values: list[Any] = [0, False, "", None, 1.0, "5", ["a", 1], {"a": None}]
    rules = Rules(assertions=[Assertion("x", Operator.EQUALS, value) for value in values])

    kept = [one.value for one in read(write(rules)).assertions]

    assert [(type(value), value) for value in kept] == [(type(value), value) for value in values]


RULES = st.builds(
    Rules,
    schedule=st.none()
    | st.builds(Schedule, cron=st.just("0 3 * * *"), grace_s=st.integers(0, 9))
    | st.builds(Schedule, interval_s=st.integers(1, 9), timezone=st.just("Asia/Kolkata")),
    assertions=st.lists(
        st.builds(
            Assertion,
            path=st.just("a.b"),
            operator=st.sampled_from([Operator.EQUALS, Operator.NOT_EQUALS]),
            value=st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            severity=st.sampled_from(list(Severity)),
        ),
        max_size=3,
    ),
    fail_on_status=st.booleans(),
    failures_to_fail=st.integers(1, 50),
    successes_to_recover=st.integers(1, 50),
    max_duration_ms=st.integers(0, 10**9),
    overlap=st.sampled_from(list(Overlap)),
    snoozed_until=st.sampled_from(["", "2026-11-20T12:00:00Z", "2026-11-20T12:00:00+02:00"]),
    maintenance=st.lists(st.just(Window("0 2 * * *", 60)), max_size=2),
    alerting=st.builds(
        Alerting,
        muted=st.booleans(),
        repeat_s=st.sampled_from([0, 60, 3600]),
        channels=st.sampled_from([[], [HOOK]]),
    ),
    summary=st.builds(Summary, st.sampled_from(list(Every)), st.integers(0, 23)),
)


@UNHURRIED
@given(RULES)
def test_checked_rules_survive_being_written_read_and_checked_again(rules: Rules) -> None:
    checked = check_rules(rules)

    again = read(write(checked))

    assert again == checked
    assert check_rules(again) == checked
    assert write(check_rules(again)) == write(checked)


def test_each_assertion_gets_an_id_of_its_own_that_saying_the_same_gives_again() -> None:
    other = Assertion("errors", Operator.EQUALS, 0)
    first = check_rules(Rules(assertions=[ASSERTED, other, ASSERTED]))
    second = check_rules(Rules(assertions=[other, ASSERTED]))

    ids = [one.id for one in first.assertions]
    assert len(set(ids)) == 3
    assert [one.id for one in second.assertions] == [ids[1], ids[0]]


def test_an_id_that_was_given_is_kept_and_not_given_again() -> None:
    derived = check_rules(Rules(assertions=[ASSERTED])).assertions[0].id
    named = Assertion("x", Operator.EQUALS, 1, id=derived)

    ids = [one.id for one in check_rules(Rules(assertions=[ASSERTED, named])).assertions]

    assert ids == [f"{derived}-2", derived]


def test_a_snooze_is_kept_in_utc() -> None:
    checked = check_rules(Rules(snoozed_until="2026-11-20T12:00:00+02:00"))

    assert checked.snoozed_until == "2026-11-20T10:00:00.000Z"


def test_channels_are_cleaned() -> None:
    mail = Channel(ChannelKind.EMAIL, " Ops@Example.com ")

    checked = check_rules(Rules(alerting=Alerting(channels=[mail])))

    assert checked.alerting.channels == [Channel(ChannelKind.EMAIL, "ops@example.com")]


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        (Rules(schedule=Schedule("0 0 30 2 *")), ["schedule.cron"]),
        (Rules(schedule=Schedule("0 0 * * *", timezone="Moon")), ["schedule.timezone"]),
        (Rules(failures_to_fail=0), ["failures_to_fail"]),
        (Rules(successes_to_recover=51), ["successes_to_recover"]),
        (Rules(min_duration_ms=-1), ["min_duration_ms"]),
        (Rules(min_duration_ms=2, max_duration_ms=1), ["max_duration_ms"]),
        (Rules(snoozed_until="tomorrow"), ["snoozed_until"]),
        (Rules(snoozed_until="0001-01-01T00:00:00+12:00"), ["snoozed_until"]),
        (Rules(maintenance=[Window("0 2 * * *", 60)] * 11), ["maintenance"]),
        (
            Rules(maintenance=[Window("0 2 * * *", 60), Window("* * * * *", 60)]),
            ["maintenance[1].length_s"],
        ),
        (
            Rules(schedule=Schedule("0 2 * * *"), maintenance=[Window("0 2 * * *", 60)]),
            ["schedule", "maintenance"],
        ),
        (
            Rules(
                schedule=Schedule("30 2 * * mon-fri", timezone="Europe/Riga"),
                maintenance=[
                    Window("0 0 * * 1-3", 4 * 3600, "Europe/Riga"),
                    Window("0 0 * * 4,5", 6 * 3600, "Europe/Riga"),
                ],
            ),
            ["schedule", "maintenance"],
        ),
        (Rules(assertions=[ASSERTED] * 51), ["assertions"]),
        (Rules(assertions=[Assertion("x", Operator.REGEX, "a")] * 11), ["assertions"]),
        (
            Rules(assertions=[ASSERTED, Assertion("a..b", Operator.EQUALS, 1)]),
            ["assertions[1].path"],
        ),
        (
            Rules(assertions=[Assertion("a", Operator.REGEX, "(", id="no spaces")]),
            ["assertions[0].value", "assertions[0].id"],
        ),
        (
            Rules(assertions=[Assertion("a", Operator.EQUALS, n, id="same") for n in (1, 2)]),
            ["assertions[1].id"],
        ),
        (Rules(alerting=Alerting(repeat_s=59)), ["alerting.repeat_s"]),
        (Rules(alerting=Alerting(least_gap_s=-1)), ["alerting.least_gap_s"]),
        (Rules(alerting=Alerting(timezone="Moon")), ["alerting.timezone"]),
        (Rules(alerting=Alerting(quiet_from="22:00")), ["alerting.quiet_from"]),
        (
            Rules(alerting=Alerting(quiet_from="22:00", quiet_until="22:00")),
            ["alerting.quiet_until"],
        ),
        (
            Rules(alerting=Alerting(quiet_from="9:00", quiet_until="24:00")),
            ["alerting.quiet_from", "alerting.quiet_until"],
        ),
        (
            Rules(alerting=Alerting(channels=[Channel(ChannelKind.EMAIL, "nobody"), HOOK, HOOK])),
            ["alerting.channels[0].target", "alerting.channels[2]"],
        ),
        (Rules(alerting=Alerting(channels=[HOOK] * 11)), ["alerting.channels"]),
        (Rules(summary=Summary(Every.DAY, 24, "Moon")), ["summary.hour", "summary.timezone"]),
        (
            Rules(schedule=Schedule("never"), failures_to_fail=0, snoozed_until="x"),
            ["schedule.cron", "failures_to_fail", "snoozed_until"],
        ),
    ],
)
def test_every_field_that_cannot_be_as_it_is_is_named_at_once(
    rules: Rules, fields: list[str]
) -> None:
    assert refused(rules) == fields


@pytest.mark.parametrize(
    ("due", "window"),
    [
        (Schedule("30 2 * * *"), Window("0 2 * * 1-6", 3600)),
        (Schedule("* * * * *"), Window("0 0 * * *", 23 * 3600)),
        (Schedule("0 2 * * *", timezone="Europe/Riga"), Window("30 23 * * *", 3600)),
        (Schedule(interval_s=3000), Window("0 * * * *", 900)),
        (None, Window("0 0 * * *", 23 * 3600)),
    ],
)
def test_maintenance_that_leaves_some_moments_is_taken(
    due: Schedule | None, window: Window
) -> None:
    checked = check_rules(Rules(schedule=due, maintenance=[window]))

    assert checked.maintenance == [window]
