"""`telemhq usage --explain SESSION`: what was counted of it, line by line, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from telemhq_agents import locations
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import scanning
from telemhq_cli.render.output import Form, show_csv, show_json, show_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.collecting import Explained
    from telemhq_agents.ledger.store import Ledger

NEXT_STEP = "telemhq usage --local --by session"
MOST_NAMED = 5


def show(prefix: str, form: Form) -> None:
    """Print the explanation of the session or thread whose id begins with `prefix`.

    Raises UsageError where none does, or several do.
    """
    from telemhq_cli.render import explained  # noqa: PLC0415 - for --explain alone

    with scanning.read_logs(tuple(Source)) as ledger:
        known = _known(ledger)
        source, name = _chosen(prefix, set(known) | set(_in_logs()))
        held = explained.held(known.get((source, name), Amounts()))
    told = explained.Explanation(source.value, name, list(_explain(source, name)), held)
    match form:
        case Form.JSON:
            show_json(explained.as_json(told))
        case Form.CSV:
            show_csv(explained.line_table(told))
        case Form.TEXT:
            tables = (explained.line_table, explained.rule_table, explained.sum_table)
            show_text(*(table(told) for table in tables))


def _known(ledger: Ledger) -> dict[tuple[Source, str], Amounts]:
    """Return what the ledger holds of each thread and session; a session is all of its threads."""
    found = {}
    for kind in ("thread", "session"):
        for row in ledger.usage(("source", kind)).rows:
            source, name = row.keys
            found[Source(source), name] = row.amounts
    return found


def _in_logs() -> Iterator[tuple[Source, str]]:
    """Yield the sessions and threads that logs tell of, those without any usage included."""
    from codex_watcher.explain import sessions  # noqa: PLC0415 - for --explain alone

    for name in sessions(locations.codex_home()):
        yield Source.CODEX, name


def _chosen(prefix: str, names: set[tuple[Source, str]]) -> tuple[Source, str]:
    exact = [(source, name) for source, name in names if name == prefix]
    matching = exact or [(source, name) for source, name in names if name.startswith(prefix)]
    match sorted(matching):
        case []:
            raise UsageError(f"No session or thread begins with {prefix!r}.", NEXT_STEP)
        case [only]:
            return only
        case several:
            some = ", ".join(name for _, name in several[:MOST_NAMED])
            more = ", …" if len(several) > MOST_NAMED else ""
            raise UsageError(f"{prefix!r} may be any of {some}{more}.", NEXT_STEP)


def _explain(source: Source, name: str) -> Iterator[Explained]:
    match source:
        case Source.CODEX:
            from codex_watcher.explain import explain as explain_codex  # noqa: PLC0415 - as above

            return explain_codex(name, locations.codex_home())
        case Source.CLAUDE:
            from claude_code_hooks.explain import (  # noqa: PLC0415 - as above
                explain as explain_claude,
            )

            return explain_claude(name, locations.claude_homes())
        case _:
            assert_never(source)
