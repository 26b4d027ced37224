"""Rules, assertions, changes of state and what a file of trackers changes, as tables. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.rules import ChannelKind, Operator, Rules, Severity
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import counted, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemhq_agents.contract.judging import (
        AssertionReplay,
        FieldChange,
        ScheduleExplanation,
        TrackerChange,
        TrackerFileChanges,
        Transition,
    )
    from telemhq_agents.contract.rules import Assertion

SYMBOLS = {
    Operator.EQUALS: "=",
    Operator.NOT_EQUALS: "!=",
    Operator.GREATER_THAN: ">",
    Operator.GREATER_OR_EQUAL: ">=",
    Operator.LESS_THAN: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.ONE_OF: "in",
    Operator.REGEX: "~",
}
ADDED, CHANGED, PRUNED, ARROW = "+", "~", "\N{MINUS SIGN}", "\N{RIGHTWARDS ARROW}"
LONGEST_VALUE = 60
NO_SUGGESTIONS = "Nothing to suggest: no usual field was in nearly all runs, or each has its rule."


def rules(judged_by: Rules, in_words: str) -> list[tuple[str, object]]:
    """Return a tracker's rules as pairs: its schedule, and what is not as it is by default."""
    plain = Rules()
    return [
        ("Schedule", _schedule(judged_by, in_words)),
        *_thresholds(judged_by, plain),
        *_silences(judged_by),
        *_alerting(judged_by),
    ]


def _schedule(judged_by: Rules, in_words: str) -> str:
    if judged_by.schedule is None:
        return "none: a ping is never missed"
    return f"{in_words}; grace {span(judged_by.schedule.grace_s * 1000)}"


def _thresholds(judged_by: Rules, plain: Rules) -> Iterable[tuple[str, object]]:
    if judged_by.failures_to_fail != plain.failures_to_fail:
        yield "Fails after", counted(judged_by.failures_to_fail, "failure") + " in a row"
    if judged_by.successes_to_recover != plain.successes_to_recover:
        yield "Recovers after", _successes(judged_by.successes_to_recover)
    if not judged_by.fail_on_status:
        yield "Run's own status", "fails nothing; assertions do"
    if judged_by.min_duration_ms:
        yield "Shortest run", span(judged_by.min_duration_ms)
    if judged_by.max_duration_ms:
        yield "Longest run", span(judged_by.max_duration_ms)
    if judged_by.overlap != plain.overlap:
        yield "Overlapping runs", judged_by.overlap


def _successes(number: int) -> str:
    return f"{number} {'success' if number == 1 else 'successes'} in a row"


def _silences(judged_by: Rules) -> Iterable[tuple[str, object]]:
    if judged_by.snoozed_until:
        yield "Snoozed until", moment(judged_by.snoozed_until)
    for window in judged_by.maintenance:
        yield "Maintenance", f"{window.cron} ({window.timezone}), {span(window.length_s * 1000)}"


def _alerting(judged_by: Rules) -> Iterable[tuple[str, object]]:
    alerting, summary = judged_by.alerting, judged_by.summary
    if alerting.muted:
        yield "Alerts", "muted"
    if alerting.repeat_s:
        yield "Alerts again every", span(alerting.repeat_s * 1000)
    if alerting.least_gap_s:
        yield "Alerts at least apart", span(alerting.least_gap_s * 1000)
    if alerting.quiet_from:
        quiet = f"{alerting.quiet_from}-{alerting.quiet_until} ({alerting.timezone})"
        yield "Quiet hours", quiet
    for channel in alerting.channels:
        yield "Alerts go to", f"{channel.kind}: {channel.target}"
    kinds = {channel.kind for channel in alerting.channels}
    if kinds and ChannelKind.EMAIL not in kinds:
        yield "Alerts go to", "email: its owner"
    if summary.every != Rules().summary.every:
        yield "Summary", f"{summary.every} at {summary.hour:02}:00 ({summary.timezone})"


def assertions(found: Sequence[Assertion], empty: str = "No assertions.") -> Table:
    """Return assertions as a table."""
    columns = (
        Column("id", "Id", copied=True),
        Column("path", "Path"),
        Column("operator", "Must be", _symbol),
        Column("value", "Value", _value),
        Column("severity", "Else", lambda severity: f"{severity}s"),
    )
    rows = [(a.id, a.path, a.operator.value, _cell(a.value), a.severity.value) for a in found]
    return Table(columns, rows, empty=empty)


def suggestions(found: Sequence[Assertion]) -> Table:
    """Return suggested assertions as a table, which have no ids yet."""
    return assertions(found, NO_SUGGESTIONS).without("id")


def sentence(assertion: Assertion) -> str:
    """Say an assertion in its short form: items_processed > 0."""
    said = f"{assertion.path} {SYMBOLS[assertion.operator]} {_written(assertion.value)}"
    return said if assertion.severity is Severity.FAIL else f"{said} (warns)"


def replay(found: AssertionReplay) -> Table:
    """Return the runs of which assertions would not have held, a row for each verdict."""
    columns = (
        Column("run", "Run", copied=True),
        Column("ended_at", "Ended", moment, copied=True),
        Column("severity", "Would", {"fail": "fail", "warn": "warn"}.__getitem__),
        Column("assertion", "Assertion", is_detail=True),
        Column("message", "Because"),
    )
    rows = [
        (one.run, one.ended_at, verdict.severity.value, verdict.assertion, verdict.message)
        for one in found.broken
        for verdict in one.verdicts
    ]
    return Table(columns, rows, notes=(replayed(found),), empty=replayed(found))


def replayed(found: AssertionReplay) -> str:
    """Say what a replay came to."""
    if not found.runs:
        return "There are no runs yet to try it on."
    if not found.assertions:
        return "There are no assertions to try."
    looked = f"Of the latest {counted(found.runs, 'run')}"
    if not found.broken:
        return f"{looked} all would have passed."
    warned = f", {found.warned} would have warned" if found.warned else ""
    return f"{looked} {found.failed} would have failed{warned}."


def transitions(found: Sequence[Transition]) -> Table:
    """Return changes of state as a table, in the order they come."""
    columns = (
        Column("at", "When", moment, copied=True),
        Column("from_state", "From", spare=1),
        Column("to_state", "To"),
        Column("cause", "Why"),
        Column("message", "What was seen"),
        Column("untold", "Not told", is_detail=not any(t.untold for t in found)),
        Column("noted_at", "Noted", is_detail=True),
        Column("run", "Run", is_detail=True),
        Column("id", "Id", is_detail=True),
    )
    rows = [
        (
            *(t.at, t.from_state.value, t.to_state.value, t.cause.value, t.message, t.untold),
            *(t.noted_at, t.run, t.id),
        )
        for t in found
    ]
    return Table(columns, rows, empty="Its state has not changed yet.")


def upcoming(explained: ScheduleExplanation) -> Table:
    """Return the next moments of a schedule as a table."""
    columns = (
        Column("local", f"Local ({explained.schedule.timezone})", _local, copied=True),
        Column("at", "UTC", moment, copied=True),
    )
    return Table(columns, [(one.local, one.at) for one in explained.upcoming])


def difference(changes: TrackerFileChanges) -> list[str]:
    """Say what a file of trackers changes, a line each, and what that comes to."""
    lines = [f"{ADDED} {one.name}" for one in changes.added]
    for one in changes.changed:
        lines.append(f"{CHANGED} {one.name}")
        lines += [f"    {_field(field)}" for field in one.fields]
    lines += [f"{PRUNED} {one.name}  ({one.owner})" for one in changes.pruned]
    return [*lines, *([""] if lines else []), _summary(changes)]


def _summary(changes: TrackerFileChanges) -> str:
    would = "" if changes.applied else "would be "
    counts = (
        (len(changes.added), "added"),
        (len(changes.changed), "changed"),
        (len(changes.pruned), "deleted"),
    )
    done = ", ".join(f"{number} {would}{what}" for number, what in counts if number)
    left = counted(len(changes.unchanged), "tracker") + " unchanged"
    return f"{done}, {left}." if done else f"Nothing to change: {left}."


def differences(changes: TrackerFileChanges) -> Table:
    """Return what a file of trackers changes as a table for programs, a row for each field."""
    columns = (
        Column("change", "Change"),
        Column("name", "Tracker"),
        Column("id", "Id"),
        Column("field", "Field"),
        Column("before", "Before"),
        Column("after", "After"),
    )
    rows = [
        *_rows("added", changes.added),
        *_rows("changed", changes.changed),
        *_rows("deleted", changes.pruned),
        *_rows("unchanged", changes.unchanged),
    ]
    return Table(columns, rows)


def _rows(what: str, changed: Iterable[TrackerChange]) -> Iterable[tuple[object, ...]]:
    for one in changed:
        if not one.fields:
            yield what, one.name, one.id, "", "", ""
        for field in one.fields:
            yield what, one.name, one.id, field.field, _cell(field.before), _cell(field.after)


def _field(change: FieldChange) -> str:
    if isinstance(change.before, dict) or isinstance(change.after, dict):
        return "; ".join(_items(change))
    return f"{change.field}: {_written(change.before)} {ARROW} {_written(change.after)}"


def _items(change: FieldChange) -> Iterable[str]:
    for sign, item in ((PRUNED, change.before), (ADDED, change.after)):
        if item is not None:
            yield f"{sign} {change.field}: {_item(item)}"


def _item(item: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(item, dict):
        return _written(item)
    if "operator" in item:
        warns = " (warns)" if item.get("severity") == Severity.WARN else ""
        said = f"{item['path']} {SYMBOLS[Operator(item['operator'])]} {_written(item['value'])}"
        return said + warns
    return " ".join(str(value) for value in item.values() if value not in {"", 0})


def _symbol(operator: str) -> str:
    return SYMBOLS[Operator(operator)]


def _cell(value: Any) -> Any:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(cell: str) -> str:
    return cell if len(cell) <= LONGEST_VALUE else f"{cell[: LONGEST_VALUE - 1]}…"


def _written(value: Any) -> str:  # noqa: ANN401 - JSON
    return _value(json.dumps(value, ensure_ascii=False)) if not isinstance(value, str) else value


def _local(iso: str) -> str:
    return f"{iso[:10]} {iso[11:16]} {iso[19:]}"
