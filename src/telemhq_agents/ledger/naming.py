"""Names out of the ledger for whoever types one: its newest sessions, projects and models.

The ledger is opened for reading alone, as `glance` does: nothing is made, migrated or waited for.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from telemhq_agents.ledger.glance import address

BUSY_TIMEOUT_S = 0.05
LOOKED_AT = 4000
"""Buckets, newest first: what is older is hardly typed, and a large ledger takes no longer."""

MOST = 100
_NEWEST = "SELECT session_id, project, model, last_ms FROM buckets ORDER BY quarter_ms DESC LIMIT ?"
_SESSIONS = (
    "SELECT session_id, project, model, max(last_ms) FROM buckets "
    "WHERE session_id >= ? AND session_id < ? GROUP BY session_id LIMIT ?"
)
_PROJECTS = "SELECT DISTINCT project FROM places WHERE project <> '' LIMIT ?"
_LAST_LETTER = chr(0x10FFFF)


class Session(NamedTuple):
    """A session, and what its newest bucket says; `last_ms` is UTC."""

    id: str
    project: str
    model: str
    last_ms: int


class Named(NamedTuple):
    """What there is, newest first."""

    sessions: tuple[Session, ...] = ()
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def names(path: str, session: str = "") -> Named:
    """Return the newest names in a ledger, and sessions whose id begins with `session`, however old.

    Nothing where there is no ledger, or none that can be read at once.
    """
    try:
        connection = sqlite3.connect(address(path), timeout=BUSY_TIMEOUT_S, uri=True)
    except sqlite3.Error:
        return Named()
    try:
        rows = connection.execute(_NEWEST, (LOOKED_AT,)).fetchall()
        if session:
            limits = (session, session + _LAST_LETTER, MOST)
            rows += connection.execute(_SESSIONS, limits).fetchall()
        places = connection.execute(_PROJECTS, (LOOKED_AT,)).fetchall()
    except sqlite3.Error:
        return Named()
    finally:
        connection.close()
    return _sorted([Session(*row) for row in rows], [project for (project,) in places])


def _sorted(found: list[Session], places: list[str]) -> Named:
    newest: dict[str, Session] = {}
    for one in found:
        newest.setdefault(one.id, one)
    projects = dict.fromkeys([*(one.project for one in found), *sorted(places)])
    models = dict.fromkeys(one.model for one in found)
    return Named(
        tuple(one for one in newest.values() if one.id),
        tuple(name for name in projects if name),
        tuple(name for name in models if name),
    )
