"""Sessions and their turns out of what is open to report from: the ledger, or a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.sessions import Outcome, SessionTurn
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from telemhq_agents.contract.resources import Run
    from telemhq_agents.contract.sessions import Session, SessionPage
    from telemhq_agents.ledger.session_list import Asked
    from telemhq_agents.ledger.store import Ledger
    from telemhq_cli.commands.reporting import Reporting

AMBIGUOUS = 6
"""Sessions that are looked for where a beginning may be meant for several."""

_STATES = {"interrupted": Outcome.INTERRUPTED, "running": Outcome.RUNNING}


def _silent(_done: int, _all: int) -> None:
    return


def session_page(
    found: Reporting, limit: int | None, told: Callable[[int, int], None] = _silent
) -> SessionPage:
    """Return the sessions of the window, the one that was active last first."""
    if found.session is not None:
        from telemhq_agents.delivery import sessions  # noqa: PLC0415 - httpx: 90 ms

        return sessions.sessions(found.session.api, found.query(), limit, told)
    from telemhq_agents.ledger import session_list  # noqa: PLC0415 - for a ledger alone

    with _ledger(found).lent() as connection:
        return session_list.page(
            connection, asked_of(found), limit=limit, now_ms=found.now_ms, told=told
        )


def session_ids(found: Reporting) -> list[str]:
    """Return every id that a shortened one must be told apart from, as far as that is known here."""
    if found.ledger is None:
        return []
    from telemhq_agents.ledger import session_list  # noqa: PLC0415 - as above

    with found.ledger.lent() as connection:
        return session_list.ids(connection)


def sessions_named(found: Reporting, prefix: str) -> Sequence[Session]:
    """Return the sessions that a beginning of an id may mean; a whole id means its own alone."""
    if found.session is not None:
        from telemhq_agents.delivery import sessions  # noqa: PLC0415 - as above

        query = {**found.query(), "session": prefix}
        several = sessions.sessions(found.session.api, query, AMBIGUOUS).sessions
        return [one for one in several if one.session == prefix] or several
    from telemhq_agents.ledger import session_list  # noqa: PLC0415 - as above

    with _ledger(found).lent() as connection:
        names = session_list.named(connection, prefix)[:AMBIGUOUS]
        return list(session_list.of_names(connection, names, now_ms=found.now_ms))


def turns_of(found: Reporting, one: Session) -> list[SessionTurn]:
    """Return a session's turns; of a server what pings told of it, in the order it happened."""
    if found.session is not None:
        from telemhq_agents.delivery import sessions  # noqa: PLC0415 - as above

        query = {**found.query(), "member": one.member, "source": one.source}
        runs = sessions.session_runs(found.session.api, one.session, query)
        return [turn_of_run(run, one.session) for run in runs]
    from telemhq_agents.ledger import session_list  # noqa: PLC0415 - as above

    with _ledger(found).lent() as connection:
        name = (one.source, one.session)
        return session_list.turns(connection, name, asked_of(found), now_ms=found.now_ms)


def asked_of(found: Reporting) -> Asked:
    """Return what of the ledger's sessions a report is about."""
    from telemhq_agents.ledger.session_list import Asked  # noqa: PLC0415 - as above

    filters = found.filters
    sources = () if filters.source is None else (filters.source.value,)
    return Asked(found.since_ms, found.until_ms, sources, filters.project, filters.model)


def turn_of_run(run: Run, session_id: str) -> SessionTurn:
    """Return what a ping told as a turn; a correction's figures are differences."""
    payload = run.payload
    is_run = run.kind == "run"
    runs = int(payload.get("primary", True) is not False) if is_run else _whole(payload, "runs")
    failed = run.failed if is_run else _whole(payload, "failures")
    tools = payload.get("tools")
    unpriced = run.total_tokens if run.cost_usd is None and is_run else 0
    return SessionTurn(
        began_at=to_iso(from_iso(run.ended_at) - (run.duration_ms or 0)),
        ended_at=run.ended_at,
        thread="" if run.thread_id == session_id else run.thread_id,
        outcome=Outcome.FAILED if run.failed else _STATES.get(run.status, Outcome.OK),
        failure=_text(payload, "error") if run.failed else "",
        kind=run.kind,
        projects=[run.project] if run.project else [],
        models=[run.model] if run.model else [],
        agent_version=_text(payload, "agent_version"),
        tools=dict(_counts(tools)),
        runs=runs,
        failures=int(failed),
        responses=_whole(payload, "responses"),
        input_tokens=run.input_tokens,
        cached_input_tokens=run.cached_input_tokens,
        cache_write_tokens=run.cache_write_tokens,
        output_tokens=run.output_tokens,
        reasoning_tokens=run.reasoning_tokens,
        total_tokens=run.total_tokens,
        unpriced_tokens=_whole(payload, "unpriced_tokens", unpriced),
        duration_ms=run.duration_ms or 0,
        cost_usd=run.cost_usd or 0.0,
    )


def _ledger(found: Reporting) -> Ledger:
    if found.ledger is None:
        raise UsageError("Nothing is open to report from.")
    return found.ledger


def _whole(payload: dict[str, object], name: str, other: int = 0) -> int:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else other


def _text(payload: dict[str, object], name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def _counts(tools: object) -> Iterator[tuple[str, int]]:
    if isinstance(tools, dict):
        yield from ((str(name), n) for name, n in tools.items() if isinstance(n, int))
