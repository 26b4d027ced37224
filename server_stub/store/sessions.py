"""Sessions of coding agents: every question about them. Their runs alone are read as runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from server_stub.store import runs as stored_runs
from server_stub.store.exact import added_up
from server_stub.store.ids import first_of
from server_stub.store.tables import runs, session_buckets
from server_stub.store.usage import conditions, filters
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from server_stub.domain.usage_question import UsageQuestion
    from server_stub.store.runs import StoredRun

_OF = session_buckets.c
_NAME = (_OF.member_id, _OF.source, _OF.session_id)
_FIGURES = tuple(_OF[name] for name in AMOUNT_FIELDS)

Name = tuple[int, str, str]
"""What a session goes by: member, source, id."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the last quarter-hour of its last session, and that one's name."""

    latest_ms: int
    name: Name


@dataclass(frozen=True, slots=True)
class StoredSession:
    """The sums of one session. `projects` and `models` come in the order of what they cost."""

    name: Name
    first_ms: int
    latest_ms: int
    threads: int
    amounts: Amounts
    projects: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where a page ends that ends with this session."""
        return Place(self.latest_ms, self.name)


@dataclass(frozen=True, slots=True)
class Whole:
    """How many sessions there are, what all of them used, and what belongs to none."""

    count: int
    within: Amounts
    outside: Amounts


def page(
    connection: Connection,
    question: UsageQuestion,
    *,
    prefix: str,
    after: Place | None,
    limit: int,
) -> list[StoredSession]:
    """Return up to `limit` sessions that come after a place, the one that was active last first.

    Of those whose id begins with `prefix`.
    """
    keys = (*_NAME, func.min(_OF.quarter_ms), _latest(), func.count(_OF.thread_id.distinct()))

    def ask(added: Sequence[Any]) -> Select[Any]:
        asked = select(*keys, *added).where(*_sessions(question, prefix)).group_by(*_NAME)
        asked = asked.having(_anything())
        if after is not None:
            asked = asked.having(_after(after))
        return asked.order_by(_latest().desc(), _OF.session_id, _OF.member_id, _OF.source).limit(
            limit
        )

    found = {
        (member, source, session): StoredSession(
            (member, source, session), first, latest, threads, Amounts(*figures)
        )
        for (member, source, session, first, latest, threads), figures in added_up(
            connection, _FIGURES, ask
        )
    }
    _name_parts(connection, question, found)
    return list(found.values())


def whole(connection: Connection, question: UsageQuestion, *, prefix: str) -> Whole:
    """Return what all pages hold. With a prefix nothing is outside of sessions."""
    asked = _sessions(question, prefix)
    names = select(*_NAME).where(*asked).group_by(*_NAME).having(_anything()).subquery()
    count = connection.execute(select(func.count()).select_from(names)).scalar_one()
    within = _added(connection, asked)
    if prefix:
        return Whole(count, within, Amounts())
    everything = conditions(session_buckets, question)
    return Whole(count, within, _added(connection, [*everything, _OF.session_id == ""]))


def runs_of(
    connection: Connection,
    question: UsageQuestion,
    session_id: str,
    *,
    before_id: int | None,
    limit: int,
) -> list[StoredRun] | None:
    """Return up to `limit` runs (and corrections) of a session, newest arrival first.

    Those that a question is about: their sums are the session's as long as all runs are kept. None where there is no such session. A run arrives after it ended, so what came before the
    session's first quarter-hour is not looked at.
    """
    first = select(func.min(_OF.quarter_ms), _OF.tracker_id).where(
        *conditions(session_buckets, question), _OF.session_id == session_id
    )
    known = connection.execute(first.group_by(_OF.tracker_id)).all()
    if not known:
        return None
    asked = select(runs).where(
        runs.c.account_id == question.account_id,
        runs.c.tracker_id.in_([tracker_id for _, tracker_id in known]),
        runs.c.id >= first_of(min(first_ms for first_ms, _ in known)),
        runs.c.session_id == session_id,
    )
    window = question.window
    asked = asked.where(*filters(runs, question))
    if window.since_ms is not None:
        asked = asked.where(runs.c.ended_ms >= window.since_ms)
    if window.until_ms is not None:
        asked = asked.where(runs.c.ended_ms < window.until_ms)
    if before_id is not None:
        asked = asked.where(runs.c.id < before_id)
    asked = asked.order_by(runs.c.id.desc()).limit(limit)
    return [stored_runs.stored_run(row) for row in connection.execute(asked)]


def _latest() -> ColumnElement[int]:
    return func.max(_OF.quarter_ms)


def _sessions(question: UsageQuestion, prefix: str) -> list[ColumnElement[bool]]:
    named = [*conditions(session_buckets, question), _OF.session_id != ""]
    if prefix:
        # LIKE knows no case on SQLite, and a range follows the database's own order of letters.
        named.append(func.substr(_OF.session_id, 1, len(prefix)) == prefix)
    return named


def _anything() -> ColumnElement[bool]:
    """Tell sessions from those that corrections have taken back, figure by figure."""
    figures = (_OF.runs, _OF.responses, _OF.total_tokens, _OF.cost_nano)
    return or_(*(edge(one) != 0 for one in figures for edge in (func.max, func.min)))


def _after(place: Place) -> ColumnElement[bool]:
    member_id, source, session_id = place.name
    later = or_(
        _OF.session_id > session_id,
        and_(_OF.session_id == session_id, _OF.member_id > member_id),
        and_(_OF.session_id == session_id, _OF.member_id == member_id, _OF.source > source),
    )
    return or_(_latest() < place.latest_ms, and_(_latest() == place.latest_ms, later))


def _added(connection: Connection, asked: Sequence[ColumnElement[bool]]) -> Amounts:
    def ask(added: Sequence[Any]) -> Select[Any]:
        return select(*added).select_from(session_buckets).where(*asked)

    (_, figures), *_ = added_up(connection, _FIGURES, ask)
    return Amounts(*figures)


def _name_parts(
    connection: Connection, question: UsageQuestion, found: Mapping[Name, StoredSession]
) -> None:
    """Add to sessions which projects and models they are made of."""
    for name, part in _parts(connection, question, found, _OF.project):
        found[name].projects.append(part)
    for name, part in _parts(connection, question, found, _OF.model):
        found[name].models.append(part)


def _parts(
    connection: Connection,
    question: UsageQuestion,
    sessions: Collection[Name],
    column: ColumnElement[str],
) -> list[tuple[Name, str]]:
    """Return what stands in a column for these sessions, what cost most first."""
    ids = list({session_id for _, _, session_id in sessions})
    asked = (*conditions(session_buckets, question), _OF.session_id.in_(ids), column != "")

    def ask(added: Sequence[Any]) -> Select[Any]:
        return select(*_NAME, column, *added).where(*asked).group_by(*_NAME, column)

    parts = added_up(connection, (_OF.cost_nano, _OF.total_tokens), ask)
    dearest = sorted(parts, key=lambda row: (-row[1][0], -row[1][1], row[0][3]))
    named = [((member, source, session), part) for (member, source, session, part), _ in dearest]
    return [(name, part) for name, part in named if name in sessions]
