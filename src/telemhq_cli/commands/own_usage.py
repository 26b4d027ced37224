"""What this machine used: `telemhq usage` without a server.

The report that is asked for most takes no value of any option, and comes here without Typer, whose
import takes as long as reading what is new in the logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.commands.reporting import Filters, Scope, opened
from telemhq_cli.mending import on_a_whole_ledger
from telemhq_cli.render import screen
from telemhq_cli.render.output import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.commands.reporting import Reporting

_PLAIN = {
    frozenset[str](): Form.TEXT,
    frozenset({"--json"}): Form.JSON,
    frozenset({"--csv"}): Form.CSV,
}
_THE_DEFAULT = frozenset({"--local"})


def plain_form(options: Sequence[str]) -> Form | None:
    """Return the form of a report of all there is, None where the options ask for anything else."""
    return _PLAIN.get(frozenset(options) - _THE_DEFAULT)


def run(form: Form) -> int:
    """Report all there is; return 0. What is wrong is raised, as by `tree.run`."""
    screen.forget()
    on_a_whole_ledger(lambda: _show_all(form))
    return 0


def _show_all(form: Form) -> None:
    """Read what is new in the logs and report what the ledger holds."""
    with opened(Scope.LOCAL, Filters()) as found:
        from telemhq_cli.commands import usage_showing  # noqa: PLC0415 - the readers start first

        usage_showing.show(found, usage_showing.Wanted(form=form))


def show_repriced(found: Reporting, groups: tuple[str, ...], form: Form) -> None:
    """Report frozen costs beside what the present prices make of them."""
    from telemhq_cli.commands import repricing  # noqa: PLC0415 - for --reprice alone

    if found.ledger is not None:
        repricing.show(found.ledger, groups, form, found.during())


def show_with_background(found: Reporting, groups: tuple[str, ...], form: Form) -> None:
    """Report what sessions used in the background beside what is counted."""
    from telemhq_cli.commands import background, usage_showing  # noqa: PLC0415 - same

    if found.ledger is not None:
        background.show(found.ledger, found, groups or usage_showing.DEFAULT_GROUPS, form)
