"""`telemhq usage --with-background`: beside the report, what sessions used in the background."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from telemhq_agents.background import Kind
from telemhq_cli.render import usage as shown
from telemhq_cli.render.output import Form, show_json, show_table, show_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_agents.ledger.store import Ledger
    from telemhq_cli.commands.period import During


def show(  # noqa: PLR0917 - a report, what makes it, and how it is shown
    ledger: Ledger,
    during: During,
    report: shown.Report,
    groups: tuple[str, ...],
    form: Form,
    estimates: Sequence[Estimate],
) -> None:
    """Print the report, and beside it the rests, which are in none of its sums."""

    def rest_of(kind: Kind) -> shown.Report:
        def rest(group_by: tuple[str, ...]) -> UsageReport:
            return ledger.background(group_by, **asdict(during))[kind]

        return rest

    asked = report(groups)
    found = [(kind, rest_of(kind), rest_of(kind)(groups)) for kind in Kind]
    match form:
        case Form.JSON:
            beside = {kind.value: shown.document(rest, one) for kind, rest, one in found}
            show_json(shown.document(report, asked, estimates) | beside)
        case Form.CSV:
            tables = {"counted": shown.for_programs(asked, shown.by_model(report, asked))}
            tables |= {
                kind.value: shown.for_programs(one, shown.by_model(rest, one))
                for kind, rest, one in found
            }
            show_table(shown.by_kind(tables), form)
        case Form.TEXT:
            main = shown.with_notes(report, asked, shown.without_price)
            main = replace(main, notes=(*main.notes, *shown.estimated(estimates)))
            others = [shown.beside(kind, rest, one) for kind, rest, one in found if one.rows]
            show_text(main, *(others or [shown.nothing_beside()]))
