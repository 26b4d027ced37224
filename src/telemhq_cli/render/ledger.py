"""What a check of the ledger found, as a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.amounts import AMOUNT_FIELDS
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from telemhq_agents.ledger.verifying import Difference, Findings

FILE, SUM, UNTOLD, STRAY = "file", "sum", "untold", "ping"
_TO_DO = {
    FILE: "telemhq ledger verify --repair replaces it",
    SUM: "telemhq ledger verify --repair recomputes it",
    UNTOLD: "telemhq ledger verify --repair has it sent",
    STRAY: "telemhq agent outbox shows it; --drop ID forgets it",
}
COLUMNS = (
    Column("what", "What"),
    Column("where", "Where"),
    Column("problem", "Problem"),
    Column("state", "State"),
    Column("to_do", "What to do", spare=1),
)


def findings_table(found: Findings, left: Findings, *, repaired: bool) -> Table:
    """Return what was wrong, and what still is after a repair."""
    still = set(_problems(left))
    rows = [
        (*one, "wrong" if one in still else "repaired", _TO_DO[one[0]] if one in still else "")
        for one in _problems(found)
    ]
    rows += [(*one, "wrong", _TO_DO[one[0]]) for one in still - set(_problems(found))]
    whole = (
        f"The ledger is whole: {counted(left.facts, 'response')} and {counted(left.turns, 'turn')} "
        "come to its sums."
    )
    notes = (whole,) if repaired and left.is_clean else ()
    return Table(COLUMNS, rows, notes=notes, empty=whole)


def as_document(found: Findings, left: Findings, *, repaired: bool) -> dict[str, Any]:
    """Return the same for programs."""
    table = findings_table(found, left, repaired=repaired)
    counts = {"responses": left.facts, "turns": left.turns}
    return {"whole": left.is_clean, **counts, "findings": table.records()}


def _problems(found: Findings) -> list[tuple[str, str, str]]:
    return [
        *((FILE, "", message) for message in found.file),
        *((SUM, _place(one), _figures(one)) for one in found.sums),
        *((UNTOLD, f"row {row}", "differs from its sums, nothing is due") for row in found.untold),
        *((STRAY, "", message) for message in found.strays),
    ]


def _place(one: Difference) -> str:
    key = one.key
    where = (key.source, key.session_id, key.turn_key, key.model, key.project)
    return " ".join((*where, to_iso(max(key.quarter_ms, 0))))


def _figures(one: Difference) -> str:
    pairs = zip(AMOUNT_FIELDS, one.held.values(), one.derived.values(), strict=True)
    return ", ".join(f"{name} {held}, not {right}" for name, held, right in pairs if held != right)
