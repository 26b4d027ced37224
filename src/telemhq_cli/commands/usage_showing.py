"""A usage report, from where it lies to how it is shown: in order, beside earlier ones, its top."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import to_iso
from telemhq_cli.commands import period
from telemhq_cli.commands.reporting import Scope
from telemhq_cli.render import usage as told
from telemhq_cli.render import usage_document as documents
from telemhq_cli.render import usage_table as tables
from telemhq_cli.render.output import Form, show_csv, show_json, show_text
from telemhq_cli.reports import comparing
from telemhq_cli.reports.lines import shown_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.estimates import Estimate
    from telemhq_cli.commands.reporting import Reporting
    from telemhq_cli.render.table import Table
    from telemhq_cli.reports.lines import Shown

DEFAULT_GROUPS = ("project", "model")
DEFAULT_TEAM_GROUPS = ("member", *DEFAULT_GROUPS)
TEAM_TABLES = (("member",), ("project",), ("model",))

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a report is shown: by what, in which form, in which order, how much, beside what."""

    groups: tuple[str, ...] = ()
    form: Form = Form.TEXT
    sort: str | None = None
    top: int | None = None
    is_compared: bool = False


def show(found: Reporting, wanted: Wanted) -> None:
    """Print the report; a team's without groups is one table each by member, project and model."""
    default = DEFAULT_TEAM_GROUPS if found.scope is Scope.TEAM else DEFAULT_GROUPS
    groups = wanted.groups or default
    match wanted.form:
        case Form.JSON:
            show_json(document_of(found, wanted, groups))
        case Form.CSV:
            show_csv(rows_of(found, wanted, groups))
        case Form.TEXT if wanted.groups or found.scope is not Scope.TEAM:
            show_text(table_of(found, wanted, groups))
        case Form.TEXT:
            titled = [(keys, f"{found.whose}, by {keys[0]}") for keys in TEAM_TABLES]
            show_text(*(table_of(found, wanted, *one) for one in titled))


def document_of(found: Reporting, wanted: Wanted, groups: Keys) -> dict[str, Any]:
    """Return the report as `telemhq.usage/1`, with the window that it is about."""
    asked = found.report(groups)
    shown = _arranged(found, wanted, asked)
    document = documents.document(shown, told.by_model(found.report, asked), estimates(found))
    ends = {"since": _iso(found.since_ms), "until": _iso(found.until_ms)}
    document["window"] = ends | {"timezone": found.zone.key}
    if wanted.is_compared:
        since_ms, until_ms = found.window_before()
        document["window_before"] = {"since": _iso(since_ms), "until": _iso(until_ms)}
    return document


def rows_of(found: Reporting, wanted: Wanted, groups: Keys) -> Table:
    """Return the report as rows of CSV."""
    asked = found.report(groups)
    shown = _arranged(found, wanted, asked)
    by_model = told.by_model(found.report, asked)
    return documents.table_of(shown, by_model, knows_estimates=found.ledger is not None)


def table_of(found: Reporting, wanted: Wanted, groups: Keys, title: str = "") -> Table:
    """Return the report as a table for people, with notes on what has no price or is a guess."""
    asked = found.report(groups)
    shown = _arranged(found, wanted, asked)
    notes = [_unpriced(found, found.report, asked)]
    if wanted.is_compared:
        if shown.total.before is not None and shown.total.before.unpriced_tokens:
            note = _unpriced(found, found.before, found.before(groups))
            notes.append(note if note in notes else note.replace("* ", "* Before: ", 1))
        title = f"{title}: {_compared(found)}" if title else _compared(found)
    notes += told.estimated(estimates(found) or ())
    kept = tuple(dict.fromkeys(note for note in notes if note))
    return tables.table_of(shown, title=title, notes=kept, empty=found.empty)


def _arranged(found: Reporting, wanted: Wanted, asked: UsageReport) -> Shown:
    groups = asked.group_by
    shown = shown_of(asked, _estimated(found, groups, found.since_ms, found.until_ms))
    if wanted.is_compared:
        days = found.days_before()
        comparing.check_groups(groups, days)
        was_estimated = _estimated(found, groups, *found.window_before())
        before = comparing.moved(found.before(groups), days or 0)
        moved = {comparing.later(groups, keys, days or 0) for keys in was_estimated}
        shown = comparing.compared(shown, before, moved)
    if wanted.sort is not None:
        from telemhq_cli.reports import ordering  # noqa: PLC0415 - for --sort alone

        sort = ordering.sort_of(wanted.sort, groups, is_compared=wanted.is_compared)
        shown = ordering.ordered(shown, sort)
    if wanted.top is not None:
        from telemhq_cli.reports.topping import topped  # noqa: PLC0415 - for --top alone

        shown = topped(shown, wanted.top)
    return shown


def _unpriced(found: Reporting, report: Callable[[Keys], UsageReport], asked: UsageReport) -> str:
    """Say what of a report has no price; "" where all of it has."""
    if not asked.total.unpriced_tokens:
        return ""
    say = told.without_price if found.scope is Scope.LOCAL else told.sent_without_cost
    return say(told.by_model(report, asked))


def estimates(found: Reporting) -> list[Estimate] | None:
    """Return what is no exact figure; None where nobody knows."""
    if found.ledger is None:
        return None
    during = found.during()
    return found.ledger.estimates(
        since_ms=during.since_ms,
        until_ms=during.until_ms,
        source=during.source,
        projects=during.projects,
        models=during.models,
    )


def _estimated(
    found: Reporting, groups: Sequence[str], since_ms: int | None, until_ms: int | None
) -> frozenset[Keys]:
    if found.ledger is None:
        return frozenset()
    from telemhq_agents.ledger.estimates import estimated_groups  # noqa: PLC0415 - as the ledger

    during = asdict(found.during()) | {"since_ms": since_ms, "until_ms": until_ms}
    with found.ledger.lent() as connection:
        return estimated_groups(connection, groups, **during)


def _compared(found: Reporting) -> str:
    """Say which times stand beside each other."""
    now = period.in_words(*found.window_so_far(), found.zone)
    before = period.in_words(*found.window_before(), found.zone)
    return f"{now} beside {before} ({found.zone.key})"


def _iso(ms: int | None) -> str | None:
    return None if ms is None else to_iso(ms)
