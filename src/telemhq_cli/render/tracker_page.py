"""A tracker in words: how it does, what it is judged by and how that came out, what to do. Pure."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Assertion, Cause, Verdicted
from telemhq_cli.render.judging import sentence
from telemhq_cli.render.words import moment, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemhq_agents.contract.judging import Transition
    from telemhq_agents.contract.resources import Run, Tracker
    from telemhq_agents.contract.rules import Rules, Verdict

UNTRIED = "untried"
_MINUTE_MS = 60_000
_SECOND_MS = 1000
_BY_RUNS = {Cause.RUN_FAILED, Cause.ASSERTION, Cause.TOO_SHORT, Cause.TOO_LONG}
_MARKS = {Verdicted.HELD.value: "held", UNTRIED: "no run tried it yet"}


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """How an assertion came out in the latest run that tried it.

    `verdict` is held, broken, or untried where no run was asked; then `run` is null.
    """

    assertion: Assertion
    verdict: str
    message: str = ""
    run: str | None = None
    ended_at: str | None = None


def last_verdicts(assertions: Sequence[Assertion], runs: Sequence[Run]) -> list[LastVerdict]:
    """Return each assertion's verdict in the newest of these runs, newest first, that has one."""
    return [_last_verdict(one, runs) for one in assertions]


def _last_verdict(assertion: Assertion, runs: Sequence[Run]) -> LastVerdict:
    for run in runs:
        said = _said_of(assertion, run.verdicts)
        if said is not None:
            return LastVerdict(assertion, said.verdict.value, said.message, run.id, run.ended_at)
    return LastVerdict(assertion, UNTRIED)


def _said_of(assertion: Assertion, verdicts: Iterable[Verdict]) -> Verdict | None:
    return next((one for one in verdicts if one.assertion == assertion.id), None)


def state_in_words(one: Tracker, judged_by: Rules, now_ms: int) -> str:
    """Say how a tracker does: the state, since when and why where that is bad."""
    match one.state:
        case TrackerState.NEW:
            return "new: no run has come yet"
        case TrackerState.ACTIVE:
            return "active: all is well" if one.last_run_at else "active"
        case TrackerState.LATE:
            return f"late: no ping yet, failing after {_end_of_grace(one, judged_by)}"
        case TrackerState.FAILING:
            return _failing(one, now_ms)
        case TrackerState.PAUSED:
            return "paused: runs are recorded and judge nothing"


def _failing(one: Tracker, now_ms: int) -> str:
    since = ""
    if one.failing_since:
        since = f" since {moment(one.failing_since)}, for {_about(now_ms - from_iso(one.failing_since))}"
    return f"failing{since}: {one.cause}" if one.cause else f"failing{since}"


def _end_of_grace(one: Tracker, judged_by: Rules) -> str:
    if one.due_at is None or judged_by.schedule is None:
        return "its grace"
    from telemhq_agents.clock import to_iso  # noqa: PLC0415 - for late ones alone

    return moment(to_iso(from_iso(one.due_at) + judged_by.schedule.grace_s * _SECOND_MS))


def due_in_words(one: Tracker, now_ms: int) -> str:
    """Say when a ping is expected, and how far off that is; "" where none is."""
    if one.due_at is None:
        return ""
    left = from_iso(one.due_at) - now_ms
    off = f"in {_about(left)}" if left >= 0 else f"{_about(-left)} ago"
    return f"{moment(one.due_at)}, {off}"


def _about(ms: int) -> str:
    """Write a span in its two largest units."""
    whole_minutes = max(ms, 0) // _MINUTE_MS * _MINUTE_MS
    if not whole_minutes:
        return "less than a minute"
    return " ".join(span(whole_minutes).split(" ")[:4])


def assertion_lines(found: Sequence[LastVerdict], width: int) -> list[str]:
    """Say each assertion and how it came out, in lines that fit."""
    if not found:
        return []
    said = [sentence(one.assertion) for one in found]
    left = min(max(map(len, said)), max(width // 2 - 4, 1))
    lines = ["Assertions, and how the latest run came out:"]
    for text, one in zip(said, found, strict=True):
        lines += _two_columns(text, left, _outcome(one), width)
    return lines


def _outcome(one: LastVerdict) -> str:
    if one.verdict in _MARKS:
        return _MARKS[one.verdict]
    return f"broken: {one.message}" if one.message else "broken"


def transition_lines(found: Sequence[Transition], width: int) -> list[str]:
    """Say each change of state and what caused it, in lines that fit."""
    if not found:
        return []
    lines = ["Latest changes of its state:"]
    for one in found:
        change = f"{one.from_state.value} to {one.to_state.value}"
        why = f"{one.cause.value}: {one.message}" if one.message else one.cause.value
        untold = f" (nobody was told: {one.untold})" if one.untold else ""
        when = moment(one.at)
        lines += _two_columns(when, len(when), f"{change}; {why}{untold}", width)
    return lines


def _two_columns(left: str, left_width: int, right: str, width: int) -> list[str]:
    """Put two texts side by side, each folded in its own column."""
    room = max(width - left_width - 4, 20)
    first, second = wrap(left, left_width) or [""], wrap(right, room) or [""]
    rows = max(len(first), len(second))
    first += [""] * (rows - len(first))
    second += [""] * (rows - len(second))
    return [f"  {a:<{left_width}}  {b}".rstrip() for a, b in zip(first, second, strict=True)]


def next_step(one: Tracker) -> str:
    """Return the command that goes on from here."""
    name = shlex.quote(one.name)
    match one.state:
        case TrackerState.NEW:
            return f"telemhq ping {name} -- COMMAND"
        case TrackerState.PAUSED:
            return f"telemhq tracker resume {name}"
        case TrackerState.LATE:
            return f"telemhq tracker runs {name} --follow"
        case TrackerState.FAILING if one.cause in _BY_RUNS:
            return f"telemhq tracker runs {name} --failed"
        case TrackerState.FAILING:
            return f"telemhq tracker runs {name}"
        case TrackerState.ACTIVE:
            return f"telemhq tracker chart {name}"


def document(
    one: Tracker,
    judged_by: Rules,
    found: Sequence[Transition],
    verdicts: Sequence[LastVerdict],
) -> dict[str, Any]:
    """Return all of it for programs."""
    return {
        **asdict(one),
        "rules": judged_by,
        "transitions": list(found),
        "verdicts": list(verdicts),
        "next_step": next_step(one),
    }
