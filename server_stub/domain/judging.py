"""Judging a run: rules made ready for use, and what they make of a payload. Pure."""

from __future__ import annotations

import logging
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.domain import schedule
from server_stub.domain.assertion import prepared, unreadable
from server_stub.domain.rule_error import RuleError
from server_stub.domain.rules import read
from telemhq_agents.clock import told_ms
from telemhq_agents.contract.rules import Cause, Severity, Verdict, Verdicted

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.domain.run import RunFacts
    from telemhq_agents.contract.rules import Assertion, Rules, Schedule

    Asserted = Callable[[dict[str, Any]], Verdict]

LOG = logging.getLogger("telemhq.server")
JUDGES_KEPT = 4096
EARLY_MS = 60_000
"""A ping counts for the moment that it is at most so much early for; see `Judge.expected`."""

A_QUARTER = 4
ANSWERS_KEPT = 8


class Outcome(StrEnum):
    """What is stored with a run; "" stands for one that was not judged."""

    UNJUDGED = ""
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


class Judged(msgspec.Struct, frozen=True):
    """What the rules make of one run: `message` says why it failed, "" where it did not."""

    failed: bool
    warned: bool = False
    cause: Cause | None = None
    message: str = ""
    verdicts: tuple[Verdict, ...] = ()
    outcome: Outcome = Outcome.PASSED


PASSED = Judged(failed=False)
SAID_SO = Judged(
    failed=True, cause=Cause.RUN_FAILED, message="the run failed", outcome=Outcome.FAILED
)
UNJUDGED = Judged(failed=False, outcome=Outcome.UNJUDGED)


class Judge:
    """A tracker's rules, ready for use: assertions compiled, moments remembered."""

    __slots__ = (
        "_all_held",
        "_outside",
        "asserted",
        "grace_ms",
        "interval_ms",
        "is_bounded",
        "is_plain",
        "is_scheduled",
        "kept",
        "pairs",
        "rules",
        "snoozed_ms",
        "timetable",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.asserted = tuple(asserted(assertion) for assertion in rules.assertions)
        self.is_bounded = bool(rules.min_duration_ms or rules.max_duration_ms)
        self.is_plain = not (self.asserted or self.is_bounded)
        self._all_held: Judged | None = None
        self._outside: dict[int, int | None] = {}
        self.kept = max(rules.failures_to_fail, rules.successes_to_recover)
        self.pairs = rules.max_duration_ms > 0 or rules.overlap != "allow"
        self.snoozed_ms = told_ms(rules.snoozed_until)
        self.interval_ms = rules.schedule.interval_s * 1000 if rules.schedule else 0
        self.grace_ms = rules.schedule.grace_s * 1000 if rules.schedule else 0
        self.timetable = _timetable(rules.schedule)
        self.is_scheduled = self.timetable is not None or self.interval_ms > 0

    def all_held(self, verdicts: tuple[Verdict, ...]) -> Judged:
        """Return what a run is that held every assertion: the same record each time."""
        if self._all_held is None:
            self._all_held = Judged(failed=False, verdicts=verdicts)
        return self._all_held

    def after(self, moment_ms: int) -> int | None:
        """Return the next moment of the schedule outside of maintenance, None where there is none.

        An interval that would end within maintenance begins anew when that ends. Where one window
        after the other covers the next moment, the search is given up: nothing is then expected of
        a cron expression, and a ping of an interval at the end of the last window looked at.
        """
        due_ms = self._after(moment_ms)
        if due_ms is None or not self.rules.maintenance:
            return due_ms
        if self.interval_ms:
            return self._out_of_maintenance(due_ms, schedule.MOST_IN_TURN)
        if due_ms not in self._outside:  # all pings between two moments have the same answer
            found_ms = self._out_of_maintenance(due_ms, schedule.MOST_COVERED)
            kept = list(self._outside.items())[1 - ANSWERS_KEPT :]
            self._outside = {**dict(kept), due_ms: found_ms}
            return found_ms
        return self._outside[due_ms]

    def _out_of_maintenance(self, due_ms: int, most: int) -> int | None:
        return schedule.first_outside(
            self.rules.maintenance,
            due_ms,
            self._after,
            most,
            is_interval=bool(self.interval_ms),
        )

    def _after(self, moment_ms: int) -> int | None:
        if self.interval_ms:
            return moment_ms + self.interval_ms
        return None if self.timetable is None else self.timetable.after(moment_ms)

    def expected(self, received_ms: int, began_ms: int) -> int | None:
        """Return when a ping is expected after one that came now, of a run that began then.

        A run that began less than a minute before a moment of its cron expression (less than a
        quarter of the time to the one after it, where that is shorter) counts for that moment:
        a job on a clock that is ahead is not expected again a second later.
        """
        due_ms = self.after(received_ms)
        if due_ms is None or self.timetable is None:
            return due_ms
        return self.after(due_ms) if began_ms >= due_ms - self.early_ms(due_ms) else due_ms

    def early_ms(self, due_ms: int) -> int:
        """Return how much too early a run may begin to count for a moment of the schedule."""
        if self.timetable is None:
            return 0
        next_ms = self.timetable.after(due_ms)
        return EARLY_MS if next_ms is None else min(EARLY_MS, (next_ms - due_ms) // A_QUARTER)


@lru_cache(maxsize=JUDGES_KEPT)
def judge_of(rules_json: str) -> Judge:
    """Return the judge of rules as the store keeps them; the same text is read once.

    What could be judged by when it was saved and can no more (a time zone that is gone) is logged;
    the rest of the rules goes on. Raises msgspec.ValidationError where the text holds no rules.
    """
    return Judge(read(rules_json))


def judged(judge: Judge, facts: RunFacts, fields: dict[str, Any], elapsed_ms: int | None) -> Judged:
    """Judge one run. `elapsed_ms` is how long it took where it does not say so itself."""
    said = facts.amounts.failures > 0 and judge.rules.fail_on_status
    if judge.is_plain and not said:
        return PASSED
    verdicts = tuple([verdict_of(fields) for verdict_of in judge.asserted])
    broken = [verdict for verdict in verdicts if verdict.verdict is Verdicted.BROKEN]
    if not (broken or said or judge.is_bounded):
        return judge.all_held(verdicts)
    warned = any(verdict.severity is Severity.WARN for verdict in broken)
    reason = _why(judge, facts, said=said, broken=broken, elapsed_ms=elapsed_ms)
    if reason is not None:
        cause, message = reason
        return Judged(
            failed=True,
            warned=warned,
            cause=cause,
            message=message,
            verdicts=verdicts,
            outcome=Outcome.FAILED,
        )
    outcome = Outcome.WARNED if warned else Outcome.PASSED
    return Judged(failed=False, warned=warned, verdicts=verdicts, outcome=outcome)


def _why(
    judge: Judge, facts: RunFacts, *, said: bool, broken: list[Verdict], elapsed_ms: int | None
) -> tuple[Cause, str] | None:
    """Return why a run failed, None where it did not: what it says itself comes first."""
    if said:
        return Cause.RUN_FAILED, f"the run says that it failed: {facts.shown_status[:80]}"
    breaking = [verdict for verdict in broken if verdict.severity is Severity.FAIL]
    if breaking:
        more = f" (and {len(breaking) - 1} more)" if len(breaking) > 1 else ""
        return Cause.ASSERTION, breaking[0].message + more
    took_ms = facts.amounts.duration_ms if facts.has_duration else elapsed_ms
    return None if took_ms is None else _wrong_length(judge.rules, took_ms)


def _wrong_length(rules: Rules, took_ms: int) -> tuple[Cause, str] | None:
    if took_ms < rules.min_duration_ms:
        bound = f"less than {seconds(rules.min_duration_ms)}"
        return Cause.TOO_SHORT, f"the run took {seconds(took_ms)}, {bound}"
    if took_ms > rules.max_duration_ms > 0:
        bound = f"more than {seconds(rules.max_duration_ms)}"
        return Cause.TOO_LONG, f"the run took {seconds(took_ms)}, {bound}"
    return None


def seconds(milliseconds: int) -> str:
    """Write a time as seconds, without zeros that say nothing: `1.5 s`."""
    return f"{milliseconds / 1000:,.3f}".rstrip("0").rstrip(".") + " s"


def asserted(assertion: Assertion) -> Asserted:
    """Return an assertion as a function to its verdict: broken, where it can be judged by no more."""
    try:
        return prepared(assertion)
    except RuleError as error:
        LOG.exception("an assertion can be judged by no more")
        broken = unreadable(assertion, error)
        return lambda _payload: broken


def _timetable(due: Schedule | None) -> schedule.Timetable | None:
    if due is None or not due.cron:
        return None
    try:
        return schedule.timetable(due.cron, due.timezone)
    except RuleError:
        LOG.exception("a schedule can be followed no more")
        return None
