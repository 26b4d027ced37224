"""What a summary is about: a tracker's day or week in figures, from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from server_stub.domain.dot_path import parsed
from server_stub.domain.numeric_field import Meaning, found_fields, meaning_of, numbers_at
from server_stub.domain.spread import Outlier, Spread, outliers, spread
from server_stub.domain.status_days import failing_spells
from server_stub.domain.summary_period import Period, period_before
from server_stub.store import field_choices, public, summaries
from server_stub.store.summaries import RunFigures, Subscriber, Told
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.rules import Verdict, Verdicted
from telemhq_agents.contract.series import Choice, Number

if TYPE_CHECKING:
    from server_stub.store.engine import Store

MOST_RUNS = 100_000
"""Runs whose payloads are looked at; sums are of all."""

LOOKED_AT = 200
MOST_FIELDS = 12
SUMMED_ELSEWHERE = frozenset(
    {
        *("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens"),
        *("reasoning_tokens", "total_tokens", "cost_usd", "duration_ms", "latency_ms", "duration"),
        *("responses", "unpriced_tokens", "runs", "failures", "exit_code"),
    }
)
"""Fields of the ping contract that the sums show."""


@dataclass(frozen=True, slots=True)
class FieldFigures:
    """A payload's field over the runs that have it."""

    field: str
    meaning: Meaning
    runs: int
    total: Number
    least: Number
    most: Number


@dataclass(frozen=True, slots=True)
class Broken:
    """An assertion that did not hold, in so many runs."""

    path: str
    expected: str
    severity: str
    runs: int


@dataclass(frozen=True, slots=True)
class Standout:
    """A run that stands out by `measure` (cost, tokens, duration)."""

    measure: str
    run_id: int
    ended_ms: int
    value: int
    usual: float


@dataclass(frozen=True, slots=True)
class SummaryFacts:
    """Everything that a summary tells.

    Sums hold corrections; `told` and what follows is of runs that are still kept, as they were sent.
    """

    to: Subscriber
    period: Period
    by_model: Mapping[str, Amounts]
    before: Amounts
    told: Told
    told_before: Told
    providers: Mapping[str, int]
    durations: Spread | None
    broken: Sequence[Broken]
    failing: tuple[int, int]
    fields: Sequence[FieldFigures]
    standouts: Sequence[Standout]

    @property
    def sums(self) -> Amounts:
        """All models together."""
        return sum(self.by_model.values(), Amounts())


def summary_facts(store: Store, to: Subscriber, period: Period) -> SummaryFacts:
    """Return what a summary of a period tells, all of it from one snapshot."""
    earlier = period_before(period, to.summary)
    place = to.place
    with store.read() as connection:
        by_model = summaries.sums_by_model(connection, place, period)
        before = summaries.sums_by_model(connection, place, earlier)
        told = summaries.told(connection, place, period)
        told_before = summaries.told(connection, place, earlier)
        sample = summaries.payloads(connection, place, period, LOOKED_AT)
        choices = field_choices.of_user(connection, to.account_id, to.owner_id, to.tracker_id)
        paths = _paths(sample, choices)
        names = list(dict.fromkeys(parsed(path)[0] for path in paths))
        runs, values = summaries.figures(connection, place, period, names, MOST_RUNS)
        turns = public.turns(connection, to.account_id, to.tracker_id, period.start_ms)
    return SummaryFacts(
        to=to,
        period=period,
        by_model=by_model,
        before=sum(before.values(), Amounts()),
        told=told,
        told_before=told_before,
        providers=Counter(run.provider for run in runs if run.provider),
        durations=spread([run.duration_ms for run in runs if run.duration_ms is not None]),
        broken=_broken(runs),
        failing=failing_spells(turns, period.start_ms, period.end_ms),
        fields=_fields(paths, names, values),
        standouts=_standouts(runs),
    )


def _paths(sample: Sequence[Mapping[str, Any]], choices: Mapping[str, Choice]) -> list[str]:
    """Return the fields that are worth a line: those charted, then the most frequent others."""
    found = found_fields(sample, choices)
    return [
        one.path
        for one in found
        if one.choice is not Choice.HIDDEN and one.runs and one.path not in SUMMED_ELSEWHERE
    ][:MOST_FIELDS]


def _fields(
    paths: Sequence[str], names: Sequence[str], values: Sequence[list[Any]]
) -> list[FieldFigures]:
    found = []
    for path in paths:
        first, *rest = parsed(path)
        there = [
            number
            for number in numbers_at(values[names.index(first)], tuple(rest), path)
            if number is not None
        ]
        if there:
            extremes = (min(there), max(there))
            found.append(FieldFigures(path, meaning_of(path), len(there), sum(there), *extremes))
    return found


def _broken(runs: Sequence[RunFigures]) -> list[Broken]:
    decode = msgspec.json.Decoder(list[Verdict]).decode
    counts: Counter[tuple[str, str, str]] = Counter()
    for run in runs:
        for verdict in decode(run.verdicts) if run.verdicts else ():
            if verdict.verdict is Verdicted.BROKEN:
                # What was found is the payload's; what was expected is the rule's.
                expected = verdict.message.rpartition(", expected ")[2]
                counts[verdict.path, expected, verdict.severity.value] += 1
    rows = [Broken(*key, count) for key, count in counts.items()]
    return sorted(rows, key=lambda one: (-one.runs, one.path, one.expected, one.severity))


def _standouts(runs: Sequence[RunFigures]) -> list[Standout]:
    measures = {
        "cost": [(run, run.cost_nano) for run in runs if run.cost_nano is not None],
        "tokens": [(run, run.total_tokens) for run in runs if run.total_tokens],
        "duration": [(run, run.duration_ms) for run in runs if run.duration_ms is not None],
    }
    return [
        _standout(measure, measured[outlier.place][0], outlier)
        for measure, measured in measures.items()
        for outlier in outliers([value for _, value in measured])
    ]


def _standout(measure: str, run: RunFigures, outlier: Outlier) -> Standout:
    return Standout(measure, run.id, run.ended_ms, outlier.value, outlier.usual)
