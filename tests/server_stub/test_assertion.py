"""What assertions hold. The table of docs/reference/rules.md is this one."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server_stub.domain.assertion import (
    MISSING,
    budget,
    check,
    find,
    prepared,
    same,
    shown,
    suggested,
)
from server_stub.domain.rule_error import RuleError
from telemhq_agents.contract.rules import Assertion, Operator, Severity, Verdicted

EQUALS, NOT_EQUALS = Operator.EQUALS, Operator.NOT_EQUALS
MORE, AT_LEAST = Operator.GREATER_THAN, Operator.GREATER_OR_EQUAL
LESS, AT_MOST = Operator.LESS_THAN, Operator.LESS_OR_EQUAL
ONE_OF, REGEX = Operator.ONE_OF, Operator.REGEX

# found, value, whether they are the same
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SAME = [
    (5, 5, True),
    (5, 5.0, True),
    (5, "5", True),
    ("5", 5, True),
    ("5.0", 5, True),
    (" 5 ", 5, True),
    ("5e2", 500, True),
    ("+.5", 0.5, True),
    (2**60 + 1, str(2**60 + 1), True),
    (2**60 + 1, 2**60, False),
    ("5", "5", True),
    ("5", "5.0", False),  # two texts are compared as texts
    ("Success", "success", False),
    ("five", 5, False),
    ("0x5", 5, False),
    ("1_000", 1000, False),
    ("nan", "nan", True),
    ("inf", 1e308, False),
    ("1e999", 1.7e308, False),
    ("\uff15", 5, False),
    ("", 0, False),
    (True, True, True),
    (True, "true", True),
    (True, "TRUE", True),
    ("false", False, True),
    (True, False, False),
    (True, 1, False),
    (False, 0, False),
    (True, "1", False),
    (None, None, True),
    (None, "", False),
    (None, 0, False),
    (None, False, False),
    (None, "null", False),
    ([1, "a"], [1, "a"], True),
    ([1, 2], ["1", 2.0], True),
    ([1], [1, 2], False),
    ([], False, False),
    ({"a": 1}, {"a": "1"}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({"a": True}, {"a": 1}, False),
    ({}, [], False),
    ([5], 5, False),
]

# found, operator, value, whether it holds
COMPARED: list[tuple[Any, Operator, Any, bool]] = [
    (6, MORE, 5, True),
    (5, MORE, 5, False),
    (5, AT_LEAST, 5, True),
    (4, LESS, 5, True),
    (5, LESS, 5, False),
    (5, AT_MOST, 5, True),
    ("6", MORE, 5, True),
    (6, MORE, "5", True),
    ("10", MORE, "9", True),  # as numbers, not as texts
    (0.1, MORE, 0, True),
    (-1, LESS, 0, True),
    (2**63, MORE, 2**63 - 1, True),
    ("many", MORE, 5, False),
    (True, MORE, 0, False),
    (None, LESS, 5, False),
    ([6], MORE, 5, False),
    ({}, MORE, 5, False),
    ("b", ONE_OF, ["a", "b"], True),
    ("c", ONE_OF, ["a", "b"], False),
    ("5", ONE_OF, [5, 6], True),
    (None, ONE_OF, ["a", None], True),
    (True, ONE_OF, [1], False),
    ([1], ONE_OF, [1], False),
    ("v1.20", REGEX, r"^v\d+\.\d+$", True),
    ("1.20", REGEX, r"^v\d+\.\d+$", False),
    ("it went ok", REGEX, "ok", True),  # anywhere in the text
    ("OK", REGEX, "(?i)ok", True),
    (404, REGEX, "^4", True),
    (1.5, REGEX, r"^1\.5$", True),
    (True, REGEX, "true", False),
    (None, REGEX, "null", False),
    (["ok"], REGEX, "ok", False),
    ("Grüße", REGEX, "^Gr.ße$", True),
    ("x" * 4096, REGEX, "x$", True),
    ("x" * 4097, REGEX, "x", False),
    (5, NOT_EQUALS, 6, True),
    ("5", NOT_EQUALS, 5, False),
    (None, NOT_EQUALS, None, False),
    ([1], NOT_EQUALS, [2], True),
]
VALUES = {
    EQUALS: 5,
    NOT_EQUALS: 5,
    MORE: 5,
    AT_LEAST: 5,
    LESS: 5,
    AT_MOST: 5,
    ONE_OF: [5, None],
    REGEX: ".*",
}
PAYLOAD = {
    "usage": {"input_tokens": 5, "a.b": {"c": 1}, "0": "zero"},
    "items": [{"cost": 1.5}, {"cost": 2}, [7, 8]],
    "flat.name": 1,
    "back\\slash": 2,
    "[0]": 3,
    "null": None,
    "": {"": 4},
}
PATHS = [
    ("usage.input_tokens", 5),
    ("usage", PAYLOAD["usage"]),
    (r"usage.a\.b.c", 1),
    ("usage.0", "zero"),
    ("items.0.cost", 1.5),
    ("items[0].cost", 1.5),
    ("items.1.cost", 2),
    ("items[2][1]", 8),
    ("items.2.1", 8),
    (r"flat\.name", 1),
    (r"back\\slash", 2),
    (r"\[0]", 3),
    ("null", None),
    ("flat.name", MISSING),
    ("usage.output_tokens", MISSING),
    ("usage.input_tokens.more", MISSING),
    ("items.3", MISSING),
    ("items[3]", MISSING),
    ("items.-1", MISSING),
    ("items.first", MISSING),
    ("items.\u0660", MISSING),
    ("null.more", MISSING),
    ("usage.a.b.c", MISSING),
]


def verdict(operator: Operator, value: object, payload: dict[str, Any], path: str = "x") -> str:
    return prepared(Assertion(path, operator, value))(payload).verdict.value


@pytest.mark.parametrize(("found", "value", "are"), SAME)
def test_which_values_are_the_same(found: object, value: object, are: bool) -> None:
    assert same(found, value) is are
    assert same(value, found) is are
    assert verdict(EQUALS, value, {"x": found}) == ("held" if are else "broken")
    assert verdict(NOT_EQUALS, value, {"x": found}) == ("broken" if are else "held")


@pytest.mark.parametrize(("found", "operator", "value", "holds"), COMPARED)
def test_what_each_operator_holds(
    found: object, operator: Operator, value: object, holds: bool
) -> None:
    assert verdict(operator, value, {"x": found}) == ("held" if holds else "broken")


@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("payload", [{}, {"y": 5}, {"x": {}}])
def test_a_missing_path_is_broken_but_for_not_equals(
    operator: Operator, payload: dict[str, Any]
) -> None:
    path = "x.y" if "x" in payload else "x"

    came_out = prepared(Assertion(path, operator, VALUES[operator]))(payload)

    assert came_out.verdict is (Verdicted.HELD if operator is NOT_EQUALS else Verdicted.BROKEN)
    assert came_out.message.startswith(f"{path} is missing") or operator is NOT_EQUALS


@pytest.mark.parametrize(("path", "found"), PATHS)
def test_where_a_path_leads(path: str, found: object) -> None:
    assert find(path, PAYLOAD) == found


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[0]b",
        "a.[0]",
        "[0]",
        "a\\",
        "x" * 301,
        "a." * 20 + "a",
        "a\0",
        "\ud800",
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(RuleError) as refused:
        check(Assertion(path, EQUALS, 1))

    assert refused.value.field == "path"


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        (MORE, "many", 'greater_than compares numbers, and this is "many"'),
        (AT_MOST, None, "less_or_equal compares numbers, and this is null"),
        (LESS, True, "less_than compares numbers, and this is true"),
        (ONE_OF, "a,b", "one_of takes a list of 1 to 100 values"),
        (ONE_OF, [], "one_of takes a list of 1 to 100 values"),
        (ONE_OF, [[1]], "one_of takes texts, numbers, true, false and null"),
        (ONE_OF, [0] * 101, "one_of takes a list of 1 to 100 values"),
        (REGEX, 5, "regex takes a pattern of 1 to 500 characters"),
        (REGEX, "", "regex takes a pattern of 1 to 500 characters"),
        (REGEX, "(", "RE2 cannot read the pattern: missing ): ("),
        (REGEX, "(?=a)", "RE2 cannot read the pattern: invalid perl operator: (?="),
        (REGEX, r"(a)\1", r"RE2 cannot read the pattern: invalid escape sequence: \1"),
        (REGEX, "(?:a{1000}){9}", "RE2 cannot read the pattern: "),
        (REGEX, "(a?){500}a{500}", "the pattern is too large"),
        (REGEX, "\ud800", "holds what JSON cannot"),
        (EQUALS, "x" * 2000, "must not be longer than 2,000 bytes of JSON"),
        (EQUALS, float("nan"), "holds what JSON cannot"),
        (MORE, float("inf"), "holds what JSON cannot"),
        (MORE, "1e999", '"1e999" is beyond any number that can be compared'),
        (EQUALS, " -1E400 ", '" -1E400 " is beyond any number that can be compared'),
        (ONE_OF, ["1", "1e999"], '"1e999" is beyond any number that can be compared'),
        (ONE_OF, ["\ud800"], "holds what JSON cannot"),
    ],
)
def test_a_value_that_an_operator_cannot_use_is_refused(
    operator: Operator, value: object, message: str
) -> None:
    with pytest.raises(RuleError) as refused:
        check(Assertion("x", operator, value))

    assert refused.value.field == "value"
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a*)*(a*)*b", "(.*a){20}b", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_a_hostile_pattern_stalls_nobody(pattern: str) -> None:
    judge = prepared(Assertion("x", REGEX, pattern))
    text = {"x": "a" * 4095 + "!"}  # backtracking engines need longer than the world is old
    began = time.process_time()

    judge(text)

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("payload", "assertion", "message"),
    [
        ({}, Assertion("cost_usd", AT_MOST, 5), "cost_usd is missing, expected at most 5"),
        (
            {"status": "error"},
            Assertion("status", EQUALS, "success"),
            'status is "error", expected "success"',
        ),
        ({"n": 0}, Assertion("n", MORE, 0), "n is 0, expected more than 0"),
        ({"n": None}, Assertion("n", AT_LEAST, 1), "n is null, expected at least 1"),
        ({"n": 7}, Assertion("n", LESS, 7), "n is 7, expected less than 7"),
        ({"n": 7}, Assertion("n", NOT_EQUALS, 7), "n is 7, expected anything but 7"),
        (
            {"m": "gpt"},
            Assertion("m", ONE_OF, ["o1", "o2", None]),
            'm is "gpt", expected one of "o1", "o2", null',
        ),
        (
            {"v": "x"},
            Assertion("v", REGEX, "^v"),
            'v is "x", expected a text that matches "^v"',
        ),
        (
            {"v": "v" * 4097},
            Assertion("v", REGEX, "^v"),
            'v is longer than 4,096 characters, expected a text that matches "^v"',
        ),
        ({"o": {"secret": 1}}, Assertion("o", EQUALS, 1), "o is an object, expected 1"),
        ({"o": ["secret"]}, Assertion("o", EQUALS, 1), "o is a list, expected 1"),
    ],
)
def test_a_broken_assertion_says_what_it_found_and_expected(
    payload: dict[str, Any], assertion: Assertion, message: str
) -> None:
    assert prepared(assertion)(payload).message == message


def test_a_held_assertion_says_nothing_and_keeps_what_it_was() -> None:
    assertion = Assertion("n", MORE, 0, Severity.WARN, "abc")

    came_out = prepared(assertion)({"n": 1})

    assert (came_out.assertion, came_out.path, came_out.severity) == ("abc", "n", Severity.WARN)
    assert (came_out.verdict, came_out.message) == (Verdicted.HELD, "")


@UNHURRIED
@given(st.text(max_size=300) | st.integers() | st.floats(allow_nan=False))
def test_what_is_shown_of_a_value_is_short(value: object) -> None:
    assert len(shown(value)) <= 80


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@UNHURRIED
@given(
    st.builds(Assertion, st.text(max_size=12), st.sampled_from(list(Operator)), JSON_VALUES),
    st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=4),
)
def test_any_assertion_is_refused_or_judges_any_payload(
    assertion: Assertion, payload: dict[str, Any]
) -> None:
    try:
        judge = prepared(assertion)
    except RuleError:
        return

    came_out = judge(payload)

    assert msgspec.json.decode(msgspec.json.encode(came_out))["verdict"] in {"held", "broken"}
    assert len(came_out.message) <= 300 + 2 * 80 + 60


@UNHURRIED
@given(JSON_VALUES)
def test_every_value_is_the_same_as_itself_on_the_wire(value: object) -> None:
    assert same(json.loads(json.dumps(value)), value)


# ---- suggestions -------------------------------------------------------------------------------

GOOD = {
    "status": "success",
    "items_processed": 12,
    "items_failed": 0,
    "records_processed": 3,
    "errors": 0,
    "cost_usd": 1.7,
    "eval_score": 0.93,
}


def test_the_usual_rules_are_suggested_where_recent_payloads_hold_them() -> None:
    offered = [(one.path, one.operator.value, one.value) for one in suggested([GOOD] * 10)]

    assert offered == [
        ("status", "equals", "success"),
        ("items_processed", "greater_than", 0),
        ("items_failed", "equals", 0),
        ("records_processed", "greater_than", 0),
        ("errors", "equals", 0),
        ("cost_usd", "less_or_equal", 5),
        ("eval_score", "greater_or_equal", 0.8),
    ]


def test_what_most_payloads_lack_or_break_is_not_suggested() -> None:
    bare: dict[str, Any] = {"status": "success"}
    rare = [GOOD, *[bare] * 9]
    broken = [GOOD | {"items_failed": 3, "eval_score": 0.2}] * 10

    assert [one.path for one in suggested(rare)] == ["status"]
    assert {"items_failed", "eval_score"}.isdisjoint(one.path for one in suggested(broken))


def test_one_odd_payload_in_ten_does_not_hinder_a_suggestion() -> None:
    payloads = [GOOD] * 9 + [GOOD | {"status": "error"}]

    assert "status" in {one.path for one in suggested(payloads)}


def test_nothing_is_suggested_without_payloads_or_known_fields() -> None:
    assert suggested([]) == []
    assert suggested([{}, {"other": 1}]) == []


@pytest.mark.parametrize(
    ("largest", "bound"),
    [(0, 0.01), (0.003, 0.01), (0.006, 0.02), (0.04, 0.1), (1, 2), (1.1, 5), (2.5, 5), (700, 2000)],
)
def test_a_budget_is_a_round_number_of_at_least_twice_what_was_seen(
    largest: float, bound: float
) -> None:
    assert budget(largest) == bound
