"""A tracker's rules: checked whole, and kept as the shortest JSON that says the same. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.domain import assertion as assertions
from server_stub.domain import channel, schedule
from server_stub.domain.rule_error import RuleError, RulesError
from telemhq_agents.clock import to_iso, told_ms
from telemhq_agents.contract.problem import FieldProblem
from telemhq_agents.contract.rules import (
    MOST_ASSERTIONS,
    Alerting,
    Assertion,
    Channel,
    Operator,
    Rules,
    Summary,
)
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MOST_ASSERTIONS", "RuleError", "RulesError", "check_rules", "read", "write"]

MOST_PATTERNS = 10
MOST_WINDOWS = 10
MOST_CHANNELS = 10
MOST_IN_A_ROW = 50
LONGEST_MS = schedule.LONGEST_S * 1000
LEAST_REPEAT_S = 60
ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
LAST_HOUR = 23


class _Findings:
    """What is wrong with rules, by the path of the field."""

    def __init__(self) -> None:
        self.errors: list[FieldProblem] = []

    def note(self, field: str, message: str) -> None:
        self.errors.append(FieldProblem(field, message))

    def check(self, field: str, checking: Callable[[], None]) -> None:
        """Run a check of one part, whose own field names continue `field`."""
        try:
            checking()
        except RuleError as error:
            self.note(f"{field}.{error.field}" if error.field else field, error.message)

    def bound(self, field: str, value: int, least: int, most: int) -> None:
        if not least <= value <= most:
            self.note(field, f"must be from {least:,} to {most:,}")


def check_rules(rules: Rules) -> Rules:
    """Return rules as they are kept: channels cleaned, each assertion with an id of its own.

    Raises RulesError that names every field which cannot be as it is.
    """
    findings = _Findings()
    if rules.schedule is not None:
        due = rules.schedule
        findings.check("schedule", lambda: schedule.check(due))
    _check_counts(findings, rules)
    _check_snooze(findings, rules.snoozed_until)
    _check_windows(findings, rules)
    _check_assertions(findings, rules.assertions)
    _check_alerting(findings, rules.alerting)
    _check_summary(findings, rules.summary)
    channels = _clean_channels(findings, rules.alerting.channels)
    if findings.errors:
        raise RulesError(findings.errors)
    return replace(
        rules,
        assertions=identified(rules.assertions),
        snoozed_until=to_iso(told_ms(rules.snoozed_until)) if rules.snoozed_until else "",
        alerting=replace(rules.alerting, channels=channels),
    )


def _check_counts(findings: _Findings, rules: Rules) -> None:
    findings.bound("failures_to_fail", rules.failures_to_fail, 1, MOST_IN_A_ROW)
    findings.bound("successes_to_recover", rules.successes_to_recover, 1, MOST_IN_A_ROW)
    findings.bound("min_duration_ms", rules.min_duration_ms, 0, LONGEST_MS)
    findings.bound("max_duration_ms", rules.max_duration_ms, 0, LONGEST_MS)
    if 0 < rules.max_duration_ms < rules.min_duration_ms:
        findings.note("max_duration_ms", "must not be less than min_duration_ms")


def _check_snooze(findings: _Findings, snoozed_until: str) -> None:
    if not snoozed_until:
        return
    if not told_ms(snoozed_until):
        findings.note("snoozed_until", "must be an RFC 3339 time such as 2026-01-31T08:00:00Z")


def _check_windows(findings: _Findings, rules: Rules) -> None:
    if len(rules.maintenance) > MOST_WINDOWS:
        findings.note("maintenance", f"must not be more than {MOST_WINDOWS} windows")
        return
    for place, window in enumerate(rules.maintenance):
        findings.check(f"maintenance[{place}]", partial(schedule.check_window, window))
    due = rules.schedule
    if due is not None and not findings.errors and schedule.is_covered(due, rules.maintenance):
        findings.note("schedule", "lies wholly within maintenance: no ping would ever be expected")
        findings.note("maintenance", "covers every moment of the schedule; leave out some of them")


def _check_assertions(findings: _Findings, asserted: Sequence[Assertion]) -> None:
    if len(asserted) > MOST_ASSERTIONS:
        findings.note("assertions", f"must not be more than {MOST_ASSERTIONS}")
        return
    if sum(one.operator is Operator.REGEX for one in asserted) > MOST_PATTERNS:
        findings.note("assertions", f"must not have more than {MOST_PATTERNS} regex among them")
    ids: set[str] = set()
    for place, one in enumerate(asserted):
        findings.check(f"assertions[{place}]", partial(assertions.check, one))
        if one.id and not ID.fullmatch(one.id):
            findings.note(f"assertions[{place}].id", "must be 1 to 40 letters, digits, _ or -")
        if one.id and one.id in ids:
            findings.note(f"assertions[{place}].id", f"{one.id} stands there twice")
        ids.add(one.id)


def _check_alerting(findings: _Findings, alerting: Alerting) -> None:
    findings.bound("alerting.least_gap_s", alerting.least_gap_s, 0, schedule.LONGEST_S)
    if alerting.repeat_s:
        findings.bound(
            "alerting.repeat_s", alerting.repeat_s, LEAST_REPEAT_S, schedule.LONGEST_S
        )  # fmt: skip
    findings.check("alerting", lambda: schedule.check_timezone(alerting.timezone))
    for name in ("quiet_from", "quiet_until"):
        value = getattr(alerting, name)
        if value and not TIME_OF_DAY.fullmatch(value):
            findings.note(f"alerting.{name}", "must be a time of day such as 22:00")
    if bool(alerting.quiet_from) != bool(alerting.quiet_until):
        findings.note("alerting.quiet_from", "quiet hours need quiet_from and quiet_until")
    elif alerting.quiet_from and alerting.quiet_from == alerting.quiet_until:
        findings.note("alerting.quiet_until", "must differ from quiet_from: mute alerts instead")


def _check_summary(findings: _Findings, summary: Summary) -> None:
    findings.bound("summary.hour", summary.hour, 0, LAST_HOUR)
    findings.check("summary", lambda: schedule.check_timezone(summary.timezone))


def _clean_channels(findings: _Findings, channels: Sequence[Channel]) -> list[Channel]:
    if len(channels) > MOST_CHANNELS:
        findings.note("alerting.channels", f"must not be more than {MOST_CHANNELS}")
        return []
    cleaned: list[Channel] = []
    for place, one in enumerate(channels):
        try:
            clean = channel.clean(one)
        except UsageError as error:
            findings.note(f"alerting.channels[{place}].target", error.message)
            continue
        if clean in cleaned:
            findings.note(f"alerting.channels[{place}]", "stands there twice")
        cleaned.append(clean)
    return cleaned


def identified(asserted: Sequence[Assertion]) -> list[Assertion]:
    """Give an id to each assertion that has none: what says the same gets the same one again."""
    taken = {one.id for one in asserted if one.id}
    given: list[Assertion] = []
    for one in asserted:
        name = one.id or _id_of(one, taken)
        taken.add(name)
        given.append(replace(one, id=name))
    return given


def _id_of(one: Assertion, taken: set[str]) -> str:
    said = json.dumps([one.path, one.operator.value, one.value, one.severity.value])
    name = hashlib.sha256(said.encode()).hexdigest()[:8]
    count = 1
    while (numbered := name if count == 1 else f"{name}-{count}") in taken:
        count += 1
    return numbered


def read(text: str) -> Rules:
    """Read rules that the store kept. Raises msgspec.ValidationError where they are none."""
    return msgspec.json.decode(text, type=Rules)


def write(rules: Rules) -> str:
    """Write rules for the store: what has its default is left out, no rules at all are `{}`."""
    return msgspec.json.encode(sparse(rules)).decode()


def sparse(record: object) -> Any:  # noqa: ANN401 - JSON is what it is
    """Return a record as JSON's own kinds, without the fields that have their default."""
    if isinstance(record, list):
        return [sparse(item) for item in record]
    # Texts first: asking a member of an enumeration whether it is a record takes long.
    if isinstance(record, str) or not is_dataclass(record):
        return record
    kept: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if default is MISSING or value != default or type(value) is not type(default):
            kept[field.name] = sparse(value)
    return kept
