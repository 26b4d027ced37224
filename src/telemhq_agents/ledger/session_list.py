"""Sessions out of the ledger: which there are, what each used, turn by turn."""

# ruff: noqa: S608 - statements are put together from column names of ours, never from input

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.sessions import SessionPage, Spent, spent
from telemhq_agents.ledger import activities
from telemhq_agents.ledger.chunks import AT_ONCE, chunks
from telemhq_agents.sessions import Part, grouped, session_of, turns_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from telemhq_agents.contract.sessions import Session, SessionTurn

    Told = Callable[[int, int], None]

Name = tuple[str, str]
"""What a session goes by: its source and its id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of all sessions counts: from `since_ms` (its quarter-hour) to before `until_ms`.

    An empty filter lets everything pass; the values of one filter are alternatives.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    sources: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def _silent(_done: int, _all: int) -> None:
    return


_SUMS = ", ".join(f"sum(b.{name})" for name in AMOUNT_FIELDS)
_PARTS = f"""
    SELECT b.source, b.session_id, b.thread_id, b.turn_key, b.model, b.project,
        min(b.first_ms), max(b.last_ms), t.started_ms, t.ended_ms,
        coalesce(t.status, ''), coalesce(t.failure, ''), coalesce(t.agent_version, ''), {_SUMS}
    FROM buckets b LEFT JOIN turns t ON t.key = b.turn_key
    WHERE {{where}}
    GROUP BY b.source, b.session_id, b.thread_id, b.turn_key, b.model, b.project
    ORDER BY min(b.first_ms), b.turn_key, b.thread_id, b.model, b.project"""
_BEFORE_FIGURES = 13
_MORE_THAN_ANY = (1 << 63) - 1
"""Sessions; SQLite counts no further."""


def page(
    connection: sqlite3.Connection,
    asked: Asked,
    *,
    limit: int | None,
    now_ms: int,
    told: Told = _silent,
) -> SessionPage:
    """Return up to `limit` sessions, the one that was active last first, and all their sums.

    `told` hears now and then how many there are so far, of how many.
    """
    where, values = _where(asked)
    count, *figures = connection.execute(
        f"SELECT count(DISTINCT b.source || ' ' || b.session_id), {_SUMS} "
        f"FROM buckets b WHERE {where} AND b.session_id <> ''",
        values,
    ).fetchone()
    outside = _amounts(
        connection.execute(
            f"SELECT {_SUMS} FROM buckets b WHERE {where} AND b.session_id = ''", values
        ).fetchone()
    )
    sessions = []
    for one in sessions_of(connection, asked, limit=limit, now_ms=now_ms):
        sessions.append(one)
        if len(sessions) % AT_ONCE == 0:
            told(len(sessions), int(count))
    total = _amounts(figures) + outside
    return SessionPage(sessions, int(count), Spent(**spent(total)), Spent(**spent(outside)))


def sessions_of(
    connection: sqlite3.Connection,
    asked: Asked,
    *,
    limit: int | None,
    now_ms: int,
) -> Iterator[Session]:
    """Yield up to `limit` sessions, the one that was active last first; None for all of them."""
    where, values = _where(asked)
    latest = connection.execute(
        f"SELECT b.source, b.session_id FROM buckets b WHERE {where} AND b.session_id <> '' "
        "GROUP BY 1, 2 ORDER BY max(b.last_ms) DESC, 1, 2 LIMIT ?",
        (*values, -1 if limit is None else min(limit, _MORE_THAN_ANY)),
    ).fetchall()
    yield from of_names(connection, latest, now_ms=now_ms, asked=asked)


def of_names(
    connection: sqlite3.Connection,
    names: Iterable[Name],
    *,
    now_ms: int,
    asked: Asked | None = None,
) -> Iterator[Session]:
    """Yield these sessions, those that used something of what is asked for."""
    for some in chunks(names):
        parts = _parts(connection, asked or Asked(), some)
        found = grouped(parts, lambda part: (part.source, part.session))
        yield from (session_of(found[name], now_ms) for name in some if name in found)


def named(connection: sqlite3.Connection, prefix: str) -> list[Name]:
    """Return the sessions whose id, or else a thread's of theirs, begins with `prefix`, in order.

    One whose whole id it is, is meant alone.
    """
    for column in ("session_id", "thread_id"):
        found = connection.execute(
            f"SELECT DISTINCT source, session_id, {column} FROM buckets "
            f"WHERE substr({column}, 1, ?) = ? AND session_id <> '' ORDER BY 2, 1",
            (len(prefix), prefix),
        ).fetchall()
        exact = [row for row in found if row[2] == prefix] or found
        if exact:
            return list(dict.fromkeys((source, session) for source, session, _ in exact))
    return []


def ids(connection: sqlite3.Connection) -> list[str]:
    """Return the id of every session, so that shortened ones can be told apart."""
    return [row[0] for row in connection.execute("SELECT DISTINCT session_id FROM buckets")]


def turns(
    connection: sqlite3.Connection, name: Name, asked: Asked, *, now_ms: int
) -> list[SessionTurn]:
    """Return a session's turns that used something of what is asked for, the first one first."""
    parts = list(_parts(connection, asked, [name]))
    done = activities.of_turns(connection, list({part.turn for part in parts}))
    return turns_of(parts, done, now_ms)


def _parts(connection: sqlite3.Connection, asked: Asked, names: Sequence[Name]) -> Iterator[Part]:
    where, values = _where(asked)
    session_ids = list(dict.fromkeys(session for _, session in names))
    where += f" AND b.session_id IN ({', '.join('?' * len(session_ids))})"
    wanted = set(names)
    for row in connection.execute(_PARTS.format(where=where), (*values, *session_ids)):
        if (row[0], row[1]) in wanted:
            yield Part._make((*row[:_BEFORE_FIGURES], row[_BEFORE_FIGURES:]))


def _where(asked: Asked) -> tuple[str, list[object]]:
    terms, values = ["true"], list[Any]()
    if asked.since_ms is not None:
        terms.append("b.quarter_ms >= ?")
        values.append(quarter(asked.since_ms))
    if asked.until_ms is not None:
        terms.append("b.quarter_ms < ?")
        values.append(asked.until_ms)
    chosen = {"source": asked.sources, "project": asked.projects, "model": asked.models}
    for column, allowed in chosen.items():
        if allowed:
            terms.append(f"b.{column} IN ({', '.join('?' * len(allowed))})")
            values += allowed
    return " AND ".join(terms), values


def _amounts(figures: Sequence[int | None]) -> Amounts:
    return Amounts(*(figure or 0 for figure in figures))
