"""Assertions: what stands at a path of a payload, compared with a value. Pure.

docs/reference/rules.md is the user's page: which values are the same, and what a missing path means.
"""

from __future__ import annotations

import json
import math
import re
from itertools import cycle
from typing import TYPE_CHECKING, Any

import msgspec
import re2  # type: ignore[import-untyped]  # - it has none

from server_stub.domain.dot_path import MISSING, find, parsed, walk
from server_stub.domain.rule_error import RuleError
from telemhq_agents.contract.rules import Assertion, Operator, Verdict, Verdicted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Compare = Callable[[Any], bool]
    Number = int | float

__all__ = ["MISSING", "check", "find", "prepared", "same", "shown", "suggested", "unreadable"]

MOST_CHOICES = 100
LARGEST_VALUE = 2_000
LONGEST_PATTERN = 500
LARGEST_PROGRAM = 1_500
"""RE2 instructions. With `LONGEST_TEXT` it bounds what the worst pattern costs: milliseconds."""

LONGEST_TEXT = 4_096
LONGEST_SHOWN = 80
LONGEST_REASON = 200
NUMBER_TEXT = re.compile(
    r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)
WHOLE_TEXT = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)

NEEDS: dict[Operator, str] = {
    Operator.EQUALS: "{shown}",
    Operator.NOT_EQUALS: "anything but {shown}",
    Operator.GREATER_THAN: "more than {shown}",
    Operator.GREATER_OR_EQUAL: "at least {shown}",
    Operator.LESS_THAN: "less than {shown}",
    Operator.LESS_OR_EQUAL: "at most {shown}",
    Operator.ONE_OF: "one of {shown}",
    Operator.REGEX: "a text that matches {shown}",
}
USUAL: tuple[tuple[str, Operator, object], ...] = (
    ("status", Operator.EQUALS, "success"),
    ("items_processed", Operator.GREATER_THAN, 0),
    ("items_failed", Operator.EQUALS, 0),
    ("records_processed", Operator.GREATER_THAN, 0),
    ("errors", Operator.EQUALS, 0),
    ("cost_usd", Operator.LESS_OR_EQUAL, None),
    ("eval_score", Operator.GREATER_OR_EQUAL, 0.8),
)
"""What is suggested; None stands for a bound that is taken from what was seen."""

NEARLY_ALL = 0.9
SMALLEST_BUDGET = 0.01
LARGEST_BUDGET = 1e12

ORDERS: dict[Operator, Callable[[Number, Number], bool]] = {
    Operator.GREATER_THAN: lambda found, bound: found > bound,
    Operator.GREATER_OR_EQUAL: lambda found, bound: found >= bound,
    Operator.LESS_THAN: lambda found, bound: found < bound,
    Operator.LESS_OR_EQUAL: lambda found, bound: found <= bound,
}


def check(assertion: Assertion) -> None:
    """Raise RuleError where an assertion cannot be judged by."""
    parsed(assertion.path)
    value = assertion.value
    _check_kept(value)
    operator = assertion.operator
    _check_finite(value)
    if operator in ORDERS and number_of(value) is None:
        raise RuleError("value", f"{operator.value} compares numbers, and this is {shown(value)}")
    if operator is Operator.ONE_OF:
        _check_choices(value)
    if operator is Operator.REGEX:
        _pattern(value)


def _check_kept(value: object) -> None:
    """Refuse what would not come back from the store as it is, such as NaN."""
    try:
        text = msgspec.json.encode(value)
        kept = msgspec.json.decode(text)
    except (ValueError, OverflowError, TypeError, RecursionError):
        raise RuleError("value", "holds what JSON cannot: NaN, or a number that large") from None
    if kept != value:
        raise RuleError("value", "holds what JSON cannot: NaN, or a number that large")
    if len(text) > LARGEST_VALUE:
        raise RuleError("value", f"must not be longer than {LARGEST_VALUE:,} bytes of JSON")


def _check_finite(value: object) -> None:
    """Refuse a text that is written like a number beyond all that can be compared, such as 1e999."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and _reads_as_number(one) and number_of(one) is None:
            raise RuleError("value", f"{shown(one)} is beyond any number that can be compared")


def _check_choices(value: object) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_CHOICES:
        raise RuleError("value", f"one_of takes a list of 1 to {MOST_CHOICES} values")
    if any(isinstance(choice, dict | list) for choice in value):
        raise RuleError("value", "one_of takes texts, numbers, true, false and null")


def _pattern(value: object) -> Any:  # noqa: ANN401 - re2 has no types
    """Compile a pattern for RE2, whose time grows with the text and nothing else.

    (https://github.com/google/re2/wiki/Syntax; a hostile pattern cannot stall it.)
    """
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_PATTERN:
        raise RuleError("value", f"regex takes a pattern of 1 to {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(value, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise RuleError(
            "value", f"RE2 cannot read the pattern: {reason[:LONGEST_REASON]}"
        ) from None
    except UnicodeEncodeError:
        raise RuleError("value", "the pattern holds half a character") from None
    if pattern.programsize > LARGEST_PROGRAM:
        raise RuleError("value", "the pattern is too large: fewer or shorter repetitions")
    return pattern


def prepared(assertion: Assertion) -> Callable[[dict[str, Any]], Verdict]:
    """Return an assertion as a function from a payload to its verdict.

    Raises RuleError where it cannot be judged by.
    """
    check(assertion)
    steps = parsed(assertion.path)
    holds = _comparison(assertion)
    when_missing = assertion.operator is Operator.NOT_EQUALS
    held = _verdict(assertion, Verdicted.HELD, "")
    wanted = NEEDS[assertion.operator].format(shown=_shown_wanted(assertion))

    def judge(payload: dict[str, Any]) -> Verdict:
        found = walk(steps, payload)
        if when_missing if found is MISSING else holds(found):
            return held
        message = f"{assertion.path} is {_seen(found, assertion.operator)}, expected {wanted}"
        return _verdict(assertion, Verdicted.BROKEN, message)

    return judge


def unreadable(assertion: Assertion, error: RuleError) -> Verdict:
    """Return the verdict of an assertion that could be judged by once and can no more."""
    return _verdict(assertion, Verdicted.BROKEN, f"{assertion.path} cannot be judged: {error}")


def _verdict(assertion: Assertion, verdict: Verdicted, message: str) -> Verdict:
    return Verdict(
        assertion.id, assertion.path, assertion.operator, assertion.severity, verdict, message
    )


def _comparison(assertion: Assertion) -> Compare:
    value = assertion.value
    match assertion.operator:
        case Operator.EQUALS:
            return lambda found: same(found, value)
        case Operator.NOT_EQUALS:
            return lambda found: not same(found, value)
        case Operator.ONE_OF:
            return lambda found: any(same(found, choice) for choice in value)
        case Operator.REGEX:
            return _matches(_pattern(value))
        case _:
            return _is_in_order(assertion)


def _is_in_order(assertion: Assertion) -> Compare:
    in_order = ORDERS[assertion.operator]
    bound = number_of(assertion.value)

    def compare(found: object) -> bool:
        number = number_of(found)
        return number is not None and bound is not None and in_order(number, bound)

    return compare


def _matches(pattern: Any) -> Compare:  # noqa: ANN401 - re2 has no types
    def search(found: object) -> bool:
        if isinstance(found, int | float) and not isinstance(found, bool):
            found = json.dumps(found)
        if not isinstance(found, str) or len(found) > LONGEST_TEXT:
            return False
        return pattern.search(found) is not None

    return search


def number_of(value: object) -> Number | None:
    """Return a number, or a text that is written like one, as a number; None for anything else.

    What is written like a number beyond 1.8e308 is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if WHOLE_TEXT.fullmatch(text):
        return int(text)
    if not NUMBER_TEXT.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _reads_as_number(text: str) -> bool:
    return NUMBER_TEXT.fullmatch(text.strip()) is not None


def same(found: object, value: object) -> bool:
    """Tell whether two values of JSON are the same, as assertions see it.

    A number and a text that is written like one are compared as numbers; true and false are the
    same as the texts that say so, in any case of letters, and never the same as numbers.
    """
    match found, value:
        case (bool(), bool()) | (str(), str()):
            return found == value
        case (bool(), str()) | (str(), bool()):
            return str(found).strip().lower() == str(value).strip().lower()
        case (bool(), _) | (_, bool()) | (None, _) | (_, None):
            return found is value
        case (list(), list()):
            return len(found) == len(value) and all(map(same, found, value))
        case (dict(), dict()):
            return found.keys() == value.keys() and all(same(found[key], value[key]) for key in found)  # fmt: skip
    one, other = number_of(found), number_of(value)
    return one is not None and one == other


def shown(value: object) -> str:
    """Show a value in at most `LONGEST_SHOWN` characters; objects and lists only by their kind."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return _cut(_written(value))


def _seen(found: object, operator: Operator) -> str:
    if found is MISSING:
        return "missing"
    if operator is Operator.REGEX and isinstance(found, str) and len(found) > LONGEST_TEXT:
        return f"longer than {LONGEST_TEXT:,} characters"
    return shown(found)


def _shown_wanted(assertion: Assertion) -> str:
    if assertion.operator is Operator.ONE_OF:
        return _cut(", ".join(map(_written, assertion.value)))
    return shown(assertion.value)


def _written(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except ValueError:
        return "a number that long"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def suggested(payloads: Sequence[dict[str, Any]]) -> list[Assertion]:
    """Return the usual assertions that nearly all of a tracker's recent payloads hold.

    A field that most of them lack is left alone. Bounds are round numbers beyond what was seen.
    """
    found = (_suggestion(path, operator, value, payloads) for path, operator, value in USUAL)
    return [assertion for assertion in found if assertion is not None]


def _suggestion(
    path: str, operator: Operator, value: object, payloads: Sequence[dict[str, Any]]
) -> Assertion | None:
    there = [payload for payload in payloads if find(path, payload) is not MISSING]
    if not payloads or len(there) < NEARLY_ALL * len(payloads):
        return None
    assertion = Assertion(path, operator, value)
    if value is None:
        numbers = [number_of(find(path, payload)) for payload in there]
        seen = [number for number in numbers if number is not None]
        assertion = Assertion(path, operator, budget(max(seen, default=0)))
    judge = prepared(assertion)
    holding = sum(judge(payload).verdict is Verdicted.HELD for payload in payloads)
    return assertion if holding >= NEARLY_ALL * len(payloads) else None


def budget(largest: Number) -> Number:
    """Return a round bound at least twice the largest value seen: 1, 2 or 5 times a power of ten."""
    wanted = max(2 * largest, SMALLEST_BUDGET)
    bound = SMALLEST_BUDGET
    for factor in cycle((2, 2.5, 2)):
        if bound >= wanted or bound > LARGEST_BUDGET:
            break
        bound *= factor
    rounded = round(bound, 2)
    return int(rounded) if rounded.is_integer() else rounded
