"""Sessions as the server has them: sums by quarter-hour, named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.store import accounts, sessions
from telemhq_agents.clock import QUARTER_MS, to_iso
from telemhq_agents.contract.sessions import Outcome, Session, SessionPage, Spent, spent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from server_stub.domain.usage_question import UsageQuestion
    from server_stub.store.engine import Store
    from server_stub.store.sessions import Place, StoredSession


def session_page(
    store: Store,
    question: UsageQuestion,
    *,
    prefix: str,
    after: Place | None,
    limit: int,
    written: Callable[[Place], str],
) -> SessionPage:
    """Return a page of sessions, all of it from one snapshot; `written` makes its cursor."""
    with store.read() as connection:
        found = sessions.page(connection, question, prefix=prefix, after=after, limit=limit + 1)
        whole = sessions.whole(connection, question, prefix=prefix)
        emails = accounts.emails(connection, question.account_id)
    shown = found[:limit]
    return SessionPage(
        [_session(one, emails) for one in shown],
        whole.count,
        Spent(**spent(whole.within + whole.outside)),
        Spent(**spent(whole.outside)),
        written(shown[-1].place) if len(found) > limit else None,
    )


def _session(stored: StoredSession, emails: Mapping[int, str]) -> Session:
    member_id, source, session_id = stored.name
    return Session(
        session=session_id,
        source=source,
        member=emails[member_id],
        began_at=to_iso(stored.first_ms),
        ended_at=to_iso(stored.latest_ms + QUARTER_MS),
        exact_to_ms=QUARTER_MS,
        active_ms=stored.amounts.duration_ms,
        outcome=Outcome.FAILED if stored.amounts.failures else Outcome.OK,
        projects=stored.projects,
        models=stored.models,
        threads=stored.threads,
        **spent(stored.amounts),
    )
