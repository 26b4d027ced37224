"""What a file of trackers changes, without any database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.tracker_file import (
    KnownTracker,
    ambiguous,
    changes,
    difference,
    file_tracker,
    rules_of,
    twice,
    with_known_ids,
)
from telemhq_agents.contract.judging import FieldChange
from telemhq_agents.contract.rules import (
    Alerting,
    Assertion,
    Channel,
    ChannelKind,
    Operator,
    Rules,
    Schedule,
    Severity,
    Window,
)

NIGHTLY = Schedule("0 3 * * *")


def asserted(path: str = "items", value: Any = 0, assertion_id: str = "", **more: Any) -> Assertion:
    operator = more.pop("operator", Operator.GREATER_THAN)
    return Assertion(path, operator, value, id=assertion_id, **more)


def shown(path: str, value: Any, severity: str = "fail") -> dict[str, Any]:
    return {"path": path, "operator": "greater_than", "value": value, "severity": severity}


SLACK = Channel(ChannelKind.SLACK, "https://hooks.example.com/a")
SLACK_SHOWN = {"kind": "slack", "target": "https://hooks.example.com/a"}
SCHEDULE_SHOWN = {"cron": "0 3 * * *", "interval_s": 0, "timezone": "UTC", "grace_s": 300}

CHANGES: list[tuple[Rules, Rules, list[FieldChange]]] = [
    (Rules(), Rules(), []),
    (Rules(), Rules(failures_to_fail=2), [FieldChange("failures_to_fail", 1, 2)]),
    (Rules(), Rules(schedule=NIGHTLY), [FieldChange("schedule", None, SCHEDULE_SHOWN)]),
    (Rules(schedule=NIGHTLY), Rules(), [FieldChange("schedule", SCHEDULE_SHOWN, None)]),
    (
        Rules(schedule=NIGHTLY),
        Rules(schedule=replace(NIGHTLY, grace_s=60, timezone="Europe/Riga")),
        [
            FieldChange("schedule.timezone", "UTC", "Europe/Riga"),
            FieldChange("schedule.grace_s", 300, 60),
        ],
    ),
    (
        Rules(),
        Rules(alerting=Alerting(muted=True, channels=[SLACK])),
        [
            FieldChange("alerting.muted", before=False, after=True),
            FieldChange("alerting.channels", after=SLACK_SHOWN),
        ],
    ),
    (
        Rules(maintenance=[Window("0 2 * * 0", 60)]),
        Rules(),
        [
            FieldChange(
                "maintenance", before={"cron": "0 2 * * 0", "length_s": 60, "timezone": "UTC"}
            )
        ],
    ),
    (
        Rules(assertions=[asserted(assertion_id="a")]),
        Rules(assertions=[asserted(value=5, assertion_id="a")]),
        [FieldChange("assertions", shown("items", 0), shown("items", 5))],
    ),
    (
        Rules(assertions=[asserted(assertion_id="a")]),
        Rules(assertions=[asserted("errors")]),
        [
            FieldChange("assertions", before=shown("items", 0)),
            FieldChange("assertions", after=shown("errors", 0)),
        ],
    ),
    (
        Rules(assertions=[asserted(value=1, assertion_id="a")]),
        Rules(assertions=[asserted(value=True, assertion_id="a")]),
        [FieldChange("assertions", shown("items", 1), shown("items", value=True))],
    ),
    (
        Rules(assertions=[asserted(assertion_id="a"), asserted("b", assertion_id="b")]),
        Rules(assertions=[asserted("b", assertion_id="b"), asserted(assertion_id="a")]),
        [],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_changes_are_told_field_by_field(
    before: Rules, after: Rules, expected: list[FieldChange]
) -> None:
    assert changes(before, after) == expected


def test_true_and_one_are_a_difference_though_python_calls_them_equal() -> None:
    [change] = changes(
        Rules(assertions=[asserted(value=1, assertion_id="a")]),
        Rules(assertions=[asserted(value=True, assertion_id="a")]),
    )

    assert isinstance(change.after, dict)
    assert change.after["value"] is True


IDS: list[tuple[list[Assertion], list[Assertion], list[str]]] = [
    ([asserted()], [], [""]),
    ([asserted()], [asserted(assertion_id="a")], ["a"]),
    ([asserted(value=9)], [asserted(assertion_id="a")], ["a"]),
    ([asserted("other")], [asserted(assertion_id="a")], [""]),
    ([asserted(operator=Operator.LESS_THAN)], [asserted(assertion_id="a")], [""]),
    ([asserted(assertion_id="mine")], [asserted(assertion_id="a")], ["mine"]),
    # The equal one wins over the like one, wherever it stands.
    (
        [asserted(value=9), asserted(value=1)],
        [asserted(value=1, assertion_id="one"), asserted(value=2, assertion_id="two")],
        ["two", "one"],
    ),
    # No id is given twice.
    ([asserted(value=8), asserted(value=9)], [asserted(assertion_id="a")], ["a", ""]),
    ([asserted(value=8), asserted(assertion_id="a")], [asserted(assertion_id="a")], ["", "a"]),
    ([asserted(severity=Severity.WARN)], [asserted(assertion_id="a")], ["a"]),
]


@pytest.mark.parametrize(("wanted", "known", "ids"), IDS)
def test_an_assertion_keeps_the_id_of_its_like(
    wanted: list[Assertion], known: list[Assertion], ids: list[str]
) -> None:
    given = with_known_ids(Rules(assertions=wanted), known).assertions

    assert [one.id for one in given] == ids
    assert [replace(one, id="") for one in given] == [replace(one, id="") for one in wanted]


def tracker(name: str, rules: Rules | None = None, **more: Any) -> KnownTracker:
    return KnownTracker(more.pop("number", 1), name, "ada@example.com", rules or Rules(), **more)


def test_trackers_are_matched_by_their_names() -> None:
    known = [tracker("same"), tracker("other", Rules(failures_to_fail=2)), tracker("left")]
    wanted = [("same", Rules()), ("other", Rules()), ("new", Rules(failures_to_fail=3))]

    found = difference(known, wanted, prune=False)

    assert [name for name, _ in found.added] == ["new"]
    assert [one.tracker.name for one in found.changed] == ["other"]
    assert found.changed[0].fields == (FieldChange("failures_to_fail", 2, 1),)
    assert [one.name for one in found.unchanged] == ["same"]
    assert found.pruned == ()


def test_pruning_takes_what_the_file_does_not_name_and_never_a_devices_tracker() -> None:
    known = [tracker("kept"), tracker("old"), tracker("Codex on laptop", of_device=True)]

    found = difference(known, [("kept", Rules())], prune=True)

    assert [one.name for one in found.pruned] == ["old"]


def test_names_that_stand_for_several_trackers_are_found() -> None:
    known = [tracker("twin"), tracker("twin"), tracker("alone")]

    assert ambiguous(known, ["twin", "alone", "new"]) == ("twin",)
    assert twice(["a", "b", "a", "c", "a", "b"]) == ("a", "b")


def test_a_trackers_rules_come_back_from_a_file_as_they_were_but_for_ids() -> None:
    rules = Rules(
        schedule=NIGHTLY,
        assertions=[asserted(assertion_id="a")],
        alerting=Alerting(channels=[SLACK]),
        max_duration_ms=5,
    )

    back = rules_of(file_tracker("nightly", rules))

    assert back == replace(rules, assertions=[asserted()])
    assert changes(rules, with_known_ids(back, rules.assertions)) == []


plain = st.one_of(st.booleans(), st.integers(0, 2), st.sampled_from(["0", "a"]), st.none())
some_assertions = st.lists(
    st.builds(
        Assertion,
        path=st.sampled_from(["a", "b"]),
        operator=st.sampled_from([Operator.EQUALS, Operator.NOT_EQUALS]),
        value=plain,
        severity=st.sampled_from(Severity),
    ),
    max_size=5,
)
some_rules = st.builds(
    Rules,
    schedule=st.one_of(st.none(), st.builds(Schedule, cron=st.just("@daily"), grace_s=plain)),
    assertions=some_assertions,
    failures_to_fail=st.integers(1, 3),
    maintenance=st.lists(st.builds(Window, cron=st.sampled_from("ab"), length_s=st.just(1))),
)


def stored(rules: Rules) -> Rules:
    """Give every assertion an id, as the store has it."""
    given_ids = [replace(one, id=f"i{at}") for at, one in enumerate(rules.assertions)]
    return replace(rules, assertions=given_ids)


@given(some_rules)
def test_rules_that_went_through_a_file_are_no_difference(rules: Rules) -> None:
    before = stored(rules)

    back = with_known_ids(rules_of(file_tracker("x", before)), before.assertions)

    assert changes(before, back) == []
    assert back == before


@given(some_rules, some_rules)
def test_what_is_told_as_no_difference_says_the_same(one: Rules, other: Rules) -> None:
    before = stored(one)
    after = with_known_ids(other, before.assertions)
    ids = [assertion.id for assertion in after.assertions if assertion.id]

    assert len(ids) == len(set(ids))
    if not changes(before, after):
        assert Counter(map(said, one.assertions)) == Counter(map(said, other.assertions))
        assert (one.schedule is None, one.failures_to_fail) == (
            other.schedule is None,
            other.failures_to_fail,
        )


def said(assertion: Assertion) -> bytes:
    return msgspec.json.encode(replace(assertion, id=""))
