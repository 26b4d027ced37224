"""What this machine used: `telemhq usage` without a server.

The report that is asked for most takes no value of any option, and comes here without Typer, whose
import takes as long as reading what is new in the logs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from telemhq_agents.usage import Source
from telemhq_cli.commands import period, scanning
from telemhq_cli.mending import on_a_whole_ledger
from telemhq_cli.render.output import Form, show_json, show_table, show_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_cli.render import usage as shown

DEFAULT_GROUPS = ("project", "model")

_PLAIN = {
    frozenset[str](): Form.TEXT,
    frozenset({"--json"}): Form.JSON,
    frozenset({"--csv"}): Form.CSV,
}
_THE_DEFAULT = frozenset({"--local"})


@dataclass(frozen=True, slots=True)
class Filters:
    """What of all usage a report is about."""

    source: Source | None = None
    since: str | None = None
    until: str | None = None
    timezone: str | None = None

    def as_query(self) -> dict[str, str]:
        """Return the filters as the server's query parameters."""
        given = {
            "source": self.source.value if self.source else None,
            "since": self.since,
            "until": self.until,
            "timezone": self.timezone,
        }
        return {name: value for name, value in given.items() if value is not None}


def plain_form(options: Sequence[str]) -> Form | None:
    """Return the form of a report of all there is, None where the options ask for anything else."""
    return _PLAIN.get(frozenset(options) - _THE_DEFAULT)


def run(form: Form) -> int:
    """Report all there is; return 0. What is wrong is raised, as by `tree.run`."""
    on_a_whole_ledger(lambda: show_own((), form, Filters()))
    return 0


def show_own(
    groups: tuple[str, ...],
    form: Form,
    filters: Filters,
    *,
    reprice: bool = False,
    with_background: bool = False,
) -> None:
    """Read what is new in the logs and report what the ledger holds."""
    zone = period.zone_in_use(filters.timezone)
    since_ms = period.since_ms(filters.since, zone)
    until_ms = period.until_ms(filters.until, zone)
    sources = tuple(Source) if filters.source is None else (filters.source,)
    with scanning.read_logs(sources) as ledger:
        from telemhq_cli.render import usage as shown  # noqa: PLC0415 - the readers start first

        during = period.During(since_ms, until_ms, zone.key, filters.source)
        if reprice:
            from telemhq_cli.commands import repricing  # noqa: PLC0415 - for --reprice alone

            repricing.show(ledger, groups, form, during)
            return

        def report(group_by: tuple[str, ...]) -> UsageReport:
            return ledger.usage(group_by, **asdict(during))

        guessed = ledger.estimates(since_ms=since_ms, until_ms=until_ms, source=filters.source)
        if with_background:
            from telemhq_cli.commands import background  # noqa: PLC0415 - for this option alone

            background.show(ledger, during, report, groups or DEFAULT_GROUPS, form, guessed)
            return
        empty = shown.nothing_in(scanning.places(sources))
        show(report, groups or DEFAULT_GROUPS, form, shown.without_price, empty, guessed)


def show(  # noqa: PLR0917 - what a report has beside its figures
    report: shown.Report,
    groups: tuple[str, ...],
    form: Form,
    told: shown.Footnote,
    empty: str = "",
    estimates: Sequence[Estimate] | None = None,
) -> None:
    """Print a report by these groups; `empty` is said of one without rows."""
    from telemhq_cli.render import usage as shown  # noqa: PLC0415 - the readers start first

    asked = report(groups)
    match form:
        case Form.JSON:
            show_json(shown.document(report, asked, estimates))
        case Form.CSV:
            show_table(shown.for_programs(asked, shown.by_model(report, asked)), form)
        case Form.TEXT:
            table = shown.with_notes(report, asked, told, empty=empty or shown.NO_USAGE)
            show_text(replace(table, notes=(*table.notes, *shown.estimated(estimates or ()))))
