"""Whether what an assertion holds can be kept and compared: plain JSON of bearable size. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemhq_agents.contract.rules import Assertion, Rules

DEEPEST = 20
LARGEST_WHOLE = (1 << 63) - 1


def fault_of_value(value: Any) -> str:  # noqa: ANN401 - JSON is what it is
    """Say what is wrong with a value, "" where nothing is."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        fault = _fault(one, depth)
        if fault:
            return fault
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for pair in one.items() for part in pair]
        elif isinstance(one, list):
            waiting += [(item, depth + 1) for item in one]
    return ""


def _fault(one: Any, depth: int) -> str:  # noqa: ANN401 - JSON is what it is
    match one:
        case float() if not math.isfinite(one):
            return f"{one} is no number of JSON"
        case int() if abs(one) > LARGEST_WHOLE:
            return "a whole number has more than 63 bits"
        case str() if not one.isascii() and any("\ud800" <= letter <= "\udfff" for letter in one):
            return "a text holds half a character"
        case dict() | list() if depth > DEEPEST:
            return f"it is nested more than {DEEPEST} deep"
    return ""


def fault_of_assertion(assertion: Assertion) -> str:
    """Say what is wrong with an assertion's value, "" where nothing is."""
    fault = fault_of_value(assertion.value)
    return f"value: {fault}" if fault else ""


def fault_of_rules(rules: Rules) -> str:
    """Say what is wrong with the first assertion that cannot be kept, "" where all can."""
    for at, assertion in enumerate(rules.assertions):
        fault = fault_of_assertion(assertion)
        if fault:
            return f"assertions[{at}].{fault}"
    return ""
