"""`telemhq usage --reprice`: frozen costs beside what the present prices would make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import locations
from telemhq_cli.render.output import Form, show_json, show_table
from telemhq_cli.render.progress import patience

if TYPE_CHECKING:
    from telemhq_agents.ledger.store import Ledger
    from telemhq_cli.commands.period import During


def show(ledger: Ledger, groups: tuple[str, ...], form: Form, during: During) -> None:
    """Print the comparison; the ledger stays as it is."""
    from telemhq_agents.ledger.repricing import reprice  # noqa: PLC0415 - for --reprice alone
    from telemhq_agents.pricing import Prices  # noqa: PLC0415 - same
    from telemhq_cli.render.repriced import repriced_table  # noqa: PLC0415 - same

    ours = locations.ours()
    prices = Prices.load(ours.own_prices, ours.downloaded_prices)
    with patience("Pricing again …"):
        report = reprice(
            ledger,
            prices,
            groups,
            since_ms=during.since_ms,
            until_ms=during.until_ms,
            timezone=during.timezone,
            source=during.source,
            projects=during.projects,
            models=during.models,
        )
    if form is Form.JSON:
        show_json(report.as_json())
    else:
        show_table(repriced_table(report), form)
