"""Summaries in words: the same figures always make the same mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from server_stub.domain.usage_window import find_zone
from server_stub.reports.pages import rendered
from server_stub.reports.words import (
    change,
    counted,
    length,
    money,
    number,
    share,
    written_day,
)
from telemhq_agents.contract.amounts import Amounts, usd
from telemhq_agents.contract.rules import Every, Severity
from telemhq_agents.contract.series import FieldKind

if TYPE_CHECKING:
    from server_stub.reports.summary_facts import FieldFigures, Standout, SummaryFacts
    from telemhq_agents.contract.series import Number

MOST_ROWS = 10
_ADDED_UP = frozenset(
    {FieldKind.TOKENS, FieldKind.COST, FieldKind.DURATION, FieldKind.BYTES, FieldKind.COUNT}
)
"""Kinds of which a total says something; of scores and ratios only the average does."""

_RULE = (
    "A run stands out when its figure is above the upper quartile by more than three times the"
    " distance between the quartiles, and above twice the median (of 20 runs or more)."
)


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines under a title; each is a name and what is said of it."""

    title: str
    rows: Sequence[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A summary in words. `html` is what goes into a page's body."""

    subject: str
    text: str
    html: str

    def content(self) -> dict[str, Any]:
        """Return what a delivery is born with."""
        return {"subject": self.subject, "text": self.text, "html": self.html}


def summary_letter(facts: SummaryFacts) -> Letter:
    """Write a summary. It tells sums, averages and names of fields, and no payload."""
    sections = [section for section in _sections(facts) if section.rows]
    words = {
        "heading": f"{facts.to.name}: {_period_words(facts)}",
        "span": _span_words(facts),
        "sections": sections,
        "width": max(len(name) for section in sections for name, _ in section.rows),
        "command": f"telemhq tracker show {facts.to.tracker_id}",
    }
    # The page that a mail is put into ends the line.
    text = rendered("summary.txt", **words).rstrip("\n")
    return Letter(_subject(facts), text, rendered("summary.html", **words).rstrip("\n"))


def summary_figures(facts: SummaryFacts) -> dict[str, Number | None]:
    """Return a summary's main figures, for programs."""
    sums, told, durations = facts.sums, facts.told, facts.durations
    return {
        "runs": sums.runs,
        "runs_before": facts.before.runs,
        "runs_kept": told.kept,
        "failed": told.failed,
        "failure_rate": told.failed / told.kept if told.kept else None,
        "total_tokens": sums.total_tokens,
        "total_tokens_before": facts.before.total_tokens,
        "input_tokens": sums.input_tokens,
        "cached_input_tokens": sums.cached_input_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "output_tokens": sums.output_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
        "unpriced_tokens": sums.unpriced_tokens,
        "cost_usd": usd(sums.cost_nano),
        "cost_usd_before": usd(facts.before.cost_nano),
        "cache_efficiency": (
            sums.cached_input_tokens / sums.input_tokens if sums.input_tokens else None
        ),
        "duration_ms_average": None if durations is None else durations.average,
        "duration_ms_median": None if durations is None else durations.median,
        "duration_ms_p95": None if durations is None else durations.p95,
        "broken_assertions": sum(one.runs for one in facts.broken),
        "times_failing": facts.failing[0],
        "failing_s": facts.failing[1] // 1000,
    }


def _subject(facts: SummaryFacts) -> str:
    sums = facts.sums
    said = [counted(sums.runs, "run")]
    if facts.told.failed:
        said.append(f"{facts.told.failed:,} failed")
    if sums.cost_nano:
        said.append(money(sums.cost_nano))
    when = facts.period.key if facts.period.every is Every.DAY else f"week {facts.period.key[-2:]}"
    return f"{facts.to.name}, {when}: {', '.join(said)}"


def _period_words(facts: SummaryFacts) -> str:
    first = facts.period.first
    if facts.period.every is Every.DAY:
        return written_day(first)
    last = first + timedelta(days=6)
    return f"week {facts.period.key[-2:]}, {written_day(first)} to {written_day(last)}"


def _span_words(facts: SummaryFacts) -> str:
    zone = facts.to.summary.timezone
    return f"{_local(facts.period.start_ms, zone)} to {_local(facts.period.end_ms, zone)}, {zone}"


def _local(ms: int, zone: str) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC).astimezone(find_zone(zone))
    return f"{moment:%Y-%m-%d %H:%M}"


def _sections(facts: SummaryFacts) -> list[Section]:
    return [
        Section("", _main(facts)),
        Section("Tokens", _token_mix(facts.sums)),
        Section("Models", _models(facts)),
        Section("Providers", _providers(facts)),
        Section("Assertions that did not hold", _assertions(facts)),
        Section("Other figures", [_field(one) for one in facts.fields], _kept_note(facts)),
        Section("Runs that stand out", [_standout(one, facts) for one in facts.standouts], _RULE),
    ]


def _main(facts: SummaryFacts) -> list[tuple[str, str]]:
    sums, before = facts.sums, facts.before
    return [
        ("Runs", _with(f"{sums.runs:,}", change(sums.runs, before.runs))),
        ("Failed", _failed(facts)),
        ("State", _state(facts)),
        ("Tokens", _with(f"{sums.total_tokens:,}", change(sums.total_tokens, before.total_tokens))),
        ("Cost", _cost(sums, before)),
        *_average(facts),
    ]


def _with(figure: str, *notes: str) -> str:
    said = "; ".join(note for note in notes if note)
    return f"{figure} ({said})" if said else figure


def _failed(facts: SummaryFacts) -> str:
    told, before = facts.told, facts.told_before
    if not told.kept:
        return "0"
    kept = told.kept < facts.sums.runs
    rate = f"{share(told.failed, told.kept)} of {told.kept:,}{' that are kept' if kept else ''}"
    known = before.kept and before.kept >= facts.before.runs
    earlier = f"{share(before.failed, before.kept)} before" if known else ""
    return _with(f"{told.failed:,}", rate, earlier)


def _state(facts: SummaryFacts) -> str:
    times, failing_ms = facts.failing
    if not failing_ms:
        return "never failing"
    began = f"began to fail {counted(times, 'time')}" if times else "was failing before"
    return f"{began}, failing for {length(failing_ms)}"


def _cost(sums: Amounts, before: Amounts) -> str:
    unpriced = f"{sums.unpriced_tokens:,} tokens have no price" if sums.unpriced_tokens else ""
    return _with(money(sums.cost_nano), change(sums.cost_nano, before.cost_nano), unpriced)


def _average(facts: SummaryFacts) -> list[tuple[str, str]]:
    sums, durations = facts.sums, facts.durations
    rows = []
    if sums.runs and (sums.total_tokens or sums.cost_nano):
        tokens = f"{sums.total_tokens / sums.runs:,.0f} tokens"
        rows.append(("Average run", f"{tokens}, {money(sums.cost_nano / sums.runs)}"))
    if durations is not None:
        said = f"{length(durations.average)} on average, median {length(durations.median)}"
        rows.append(("Duration", f"{said}, 95 % within {length(durations.p95)}"))
    return rows


def _token_mix(sums: Amounts) -> list[tuple[str, str]]:
    fresh = sums.input_tokens - sums.cached_input_tokens - sums.cache_write_tokens
    kinds = [
        ("Input, not cached", fresh),
        ("Input from the cache", sums.cached_input_tokens),
        ("Input into the cache", sums.cache_write_tokens),
        ("Output", sums.output_tokens - sums.reasoning_tokens),
        ("Output, reasoning", sums.reasoning_tokens),
    ]
    rows = [
        (name, _with(f"{tokens:,}", share(tokens, sums.input_tokens + sums.output_tokens)))
        for name, tokens in kinds
        if tokens
    ]
    if sums.input_tokens:
        efficiency = f"{share(sums.cached_input_tokens, sums.input_tokens)} of the input was cached"
        rows.append(("Cache efficiency", efficiency))
    return rows


def _models(facts: SummaryFacts) -> list[tuple[str, str]]:
    total = facts.sums.total_tokens
    named = [(model, sums) for model, sums in facts.by_model.items() if sums and model]
    named.sort(key=lambda one: (-one[1].total_tokens, one[0]))
    return _shortened([(model, _model(sums, total)) for model, sums in named], "models")


def _model(sums: Amounts, total: int) -> str:
    tokens = _with(f"{sums.total_tokens:,} tokens", share(sums.total_tokens, total))
    return f"{tokens}, {money(sums.cost_nano)}, {counted(sums.runs, 'run')}"


def _providers(facts: SummaryFacts) -> list[tuple[str, str]]:
    named = sorted(facts.providers.items(), key=lambda one: (-one[1], one[0]))
    return _shortened([(name, counted(runs, "run")) for name, runs in named], "providers")


def _assertions(facts: SummaryFacts) -> list[tuple[str, str]]:
    rows = []
    for one in facts.broken:
        only = ", which only warns" if one.severity == Severity.WARN.value else ""
        rows.append((one.path, f"{counted(one.runs, 'run')} (expected {one.expected}{only})"))
    return _shortened(rows, "assertions")


def _field(one: FieldFigures) -> tuple[str, str]:
    unit = f" {one.meaning.unit}" if one.meaning.unit else ""
    average = f"{number(one.total / one.runs)}{unit} on average"
    total = f"{number(one.total)}{unit} in all, " if one.meaning.kind in _ADDED_UP else ""
    extremes = f"from {number(one.least)} to {number(one.most)}"
    return one.field, f"{total}{average}, {extremes} ({counted(one.runs, 'run')})"


def _kept_note(facts: SummaryFacts) -> str:
    kept, runs = facts.told.kept, facts.sums.runs
    return f"Of the {counted(kept, 'run')} that are still kept." if kept < runs else ""


def _standout(one: Standout, facts: SummaryFacts) -> tuple[str, str]:
    write = {
        "cost": money,
        "tokens": lambda tokens: f"{tokens:,.0f} tokens",
        "duration": length,
    }[one.measure]
    when = _local(one.ended_ms, facts.to.summary.timezone)
    return (
        when,
        f"{one.measure} {write(one.value)}, usually up to {write(one.usual)}, run {one.run_id}",
    )


def _shortened(rows: list[tuple[str, str]], noun: str) -> list[tuple[str, str]]:
    if len(rows) <= MOST_ROWS:
        return rows
    return [*rows[:MOST_ROWS], ("…", f"{len(rows) - MOST_ROWS} more {noun}")]
