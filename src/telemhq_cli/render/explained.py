"""What of a session was counted, line by line, and how that adds up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock
from telemhq_agents.collecting import FIGURES, Explained, Verdict
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.usage import REASONS
from telemhq_cli.render.words import counted, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemhq_agents.contract.amounts import Amounts

SCHEMA = "telemhq.explanation/1"
EQUAL = "The ledger holds the same."
GONE = "The log is gone; the ledger holds {facts} of it."
MORE_IN_LEDGER = (
    "The ledger holds {facts} more than the logs tell: one was deleted, or a copy of it tells less."
)
MORE_IN_LOGS = (
    "The logs tell of {facts} more than the ledger holds of this session: it has them in the session"
    " that they were copied from."
)
OTHER_FIGURES = "The ledger holds the same responses with other figures."


@dataclass(frozen=True, slots=True)
class Sums:
    """Responses and their tokens. Figures as in `UsageFact`."""

    responses: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """All lines of a session that speak of usage, and what the ledger holds of it."""

    source: str
    session: str
    lines: Sequence[Explained]
    ledger: Sums

    def counted(self) -> Sums:
        """Add up what the lines say was counted; a fact that grew counts as it is at last."""
        return _sums(self._facts())

    def estimates(self) -> list[str]:
        """Return why some of what was counted is no more than an estimate."""
        reasons = {line.estimate for line in self._facts() if line.estimate}
        return sorted(REASONS.get(reason, reason) for reason in reasons)

    def _facts(self) -> Iterable[Explained]:
        told = (line for line in self.lines if line.verdict is not Verdict.SKIPPED)
        return {line.fact_key: line for line in told}.values()

    def note(self) -> str:
        """Say how the sum compares with the ledger's."""
        ours, theirs = self.counted(), self.ledger
        missing = theirs.responses - ours.responses
        facts = counted(abs(missing), "response")
        if ours == theirs:
            return EQUAL
        if not self.lines:
            return GONE.format(facts=facts)
        if missing:
            return (MORE_IN_LEDGER if missing > 0 else MORE_IN_LOGS).format(facts=facts)
        return OTHER_FIGURES


def held(amounts: Amounts) -> Sums:
    """Return what the ledger's sums say in the same terms."""
    return Sums(*(getattr(amounts, field.name) for field in fields(Sums)))


def as_json(told: Explanation) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.explanation/1`."""
    counted_sums = told.counted()
    return {
        "schema": SCHEMA,
        "source": told.source,
        "session": told.session,
        "lines": line_table(told).records(),
        "rules": rule_table(told).records(),
        "counted": _by_name(counted_sums),
        "ledger": _by_name(told.ledger),
        "is_equal": counted_sums == told.ledger,
        "note": told.note(),
    }


def line_table(told: Explanation) -> Table:
    """Return a row for each line."""
    columns = (
        Column("where", "Line"),
        Column("path", "", is_detail=True),
        Column("line", "", is_detail=True),
        Column("at", "Time", _second, spare=2),
        Column("verdict", "Verdict"),
        Column("rule", "Rule"),
        Column("model", "Model", spare=3),
        Column("input_tokens", "Input", whole, is_figure=True),
        Column("cached_input_tokens", "Cached", whole, is_figure=True, spare=1),
        Column("cache_write_tokens", "", is_detail=True),
        Column("output_tokens", "Output", whole, is_figure=True),
        Column("reasoning_tokens", "", is_detail=True),
        Column("estimate", "", is_detail=True),
        Column("session", "", is_detail=True),
        Column("fact", "", is_detail=True),
    )
    title = f"{told.source.capitalize()} session {told.session}, line by line"
    return Table(columns, [_cells(line) for line in told.lines], title=title, empty="No line.")


def rule_table(told: Explanation) -> Table:
    """Return a row for each verdict and rule, and how the counted ones compare with the ledger."""
    groups: dict[tuple[str, str], list[Explained]] = {}
    for line in told.lines:
        groups.setdefault((line.verdict.value, line.rule), []).append(line)
    columns = (
        Column("verdict", "Verdict"),
        Column("rule", "Rule"),
        Column("lines", "Lines", whole, is_figure=True),
        *(
            Column(
                name, _TITLES.get(name, ""), whole, is_figure=True, is_detail=name not in _TITLES
            )
            for name in FIGURES
        ),
    )
    rows = [
        (*names, len(lines), *(sum(getattr(line, name) for line in lines) for name in FIGURES))
        for names, lines in sorted(groups.items())
    ]
    return Table(columns, rows, title="By rule", empty="No line.")


def sum_table(told: Explanation) -> Table:
    """Return what was counted beside what the ledger holds."""
    columns = (
        Column("of", ""),
        Column("responses", "Responses", whole, is_figure=True),
        *(Column(name, title, whole, is_figure=True) for name, title in _TITLES.items()),
    )
    rows = [
        (name, sums.responses, *(getattr(sums, figure) for figure in _TITLES))
        for name, sums in (("counted in logs", told.counted()), ("ledger", told.ledger))
    ]
    notes = (told.note(), *(f"Estimate: {reason}." for reason in told.estimates()))
    return Table(columns, rows, title="Together", notes=notes)


_TITLES = {"input_tokens": "Input", "cached_input_tokens": "Cached", "output_tokens": "Output"}


def _cells(line: Explained) -> tuple[object, ...]:
    return (
        f"{line.path.name}:{line.line}",
        str(line.path),
        line.line,
        clock.to_iso(line.at_ms) if line.at_ms else None,
        line.verdict.value,
        line.rule,
        line.model,
        line.input_tokens,
        line.cached_input_tokens,
        line.cache_write_tokens,
        line.output_tokens,
        line.reasoning_tokens,
        line.estimate,
        line.session_id,
        line.fact_key,
    )


def _sums(lines: Iterable[Explained]) -> Sums:
    told = list(lines)
    return Sums(len(told), *(sum(getattr(line, name) for line in told) for name in FIGURES))


def _by_name(sums: Sums) -> dict[str, int]:
    return {field.name: getattr(sums, field.name) for field in fields(Sums)}


def _second(iso: str | None) -> str:
    return f"{iso[:10]} {iso[11:19]}Z" if iso else ""
