"""`telemhq usage --with-background`: beside the report, what sessions used in the background."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from telemhq_agents.background import Kind
from telemhq_cli.commands import usage_showing
from telemhq_cli.render import usage as shown
from telemhq_cli.render import usage_document as documents
from telemhq_cli.render.output import Form, show_json, show_table, show_text
from telemhq_cli.reports.lines import shown_of

if TYPE_CHECKING:
    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.store import Ledger
    from telemhq_cli.commands.reporting import Reporting


def show(ledger: Ledger, found: Reporting, groups: tuple[str, ...], form: Form) -> None:
    """Print the report, and beside it the rests, which are in none of its sums."""

    def rest_of(kind: Kind) -> shown.Report:
        def rest(group_by: tuple[str, ...]) -> UsageReport:
            return ledger.background(group_by, **asdict(found.during()))[kind]

        return rest

    wanted = usage_showing.Wanted(groups, form)
    rests = [(kind, rest_of(kind), rest_of(kind)(groups)) for kind in Kind]
    match form:
        case Form.JSON:
            beside = {
                kind.value: documents.document(shown_of(one), shown.by_model(rest, one))
                for kind, rest, one in rests
            }
            show_json(usage_showing.document_of(found, wanted, groups) | beside)
        case Form.CSV:
            tables = {"counted": usage_showing.rows_of(found, wanted, groups)}
            tables |= {
                kind.value: documents.table_of(
                    shown_of(one), shown.by_model(rest, one), knows_estimates=True
                )
                for kind, rest, one in rests
            }
            show_table(shown.by_kind(tables), form)
        case Form.TEXT:
            others = [shown.beside(kind, rest, one) for kind, rest, one in rests if one.rows]
            main = usage_showing.table_of(found, wanted, groups)
            show_text(main, *(others or [shown.nothing_beside()]))
