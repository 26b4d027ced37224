"""Work that became private before anybody was told of it: it is marked, and so stays here.

A place is marked when its log is read. Where a directory is made private only after that, what was
not told yet gets the marked place just before it would be told; what was told stays as it was told.
"""

# ruff: noqa: S608 - statements are put together from constants of ours, never from input

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.clock import QUARTER_MS
from telemhq_agents.ledger.buckets import recompute, touch
from telemhq_agents.ledger.places import Places
from telemhq_agents.privacy import PRIVATE_MARK, is_private
from telemhq_agents.usage import Place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

# The turns that are about to be told, and the places in which they worked.
_TURNS = """
    CREATE TEMP TABLE withheld AS SELECT DISTINCT b.turn_key AS key
    FROM temp.ready r CROSS JOIN buckets b INDEXED BY buckets_span ON b.span = r.span
        AND b.session_id = r.session_id AND b.thread_id = r.thread_id AND b.source = r.source"""
_PLACES = """
    SELECT id, cwd, project, log_project FROM places WHERE id IN (
        SELECT o.place_id FROM temp.withheld w CROSS JOIN origins o ON o.turn_key = w.key
        UNION SELECT t.place_id FROM temp.withheld w CROSS JOIN turns t ON t.key = w.key)"""

_ADD_ORIGINS = """
    INSERT OR IGNORE INTO origins (source, session_id, thread_id, turn_key, provider, model, place_id)
    SELECT source, session_id, thread_id, turn_key, provider, model, :marked FROM origins
    WHERE place_id = :place AND turn_key IN (SELECT key FROM temp.withheld)"""
# By way of the turns, whose facts an index finds: the ledger may hold a million others.
_MOVE_FACTS = f"""
    UPDATE facts SET origin_id = (
        SELECT new.id FROM origins old
            JOIN origins new USING (turn_key, session_id, thread_id, provider, model, source)
        WHERE old.id = facts.origin_id AND new.place_id = :marked)
    WHERE rowid IN (
        SELECT f.rowid FROM temp.withheld w CROSS JOIN origins o ON o.turn_key = w.key
            CROSS JOIN facts f ON f.origin_id = o.id
        WHERE o.place_id = :place AND NOT EXISTS (
            SELECT 1 FROM told
            WHERE told.span = CASE WHEN f.slot_ms < 0 THEN o.turn_key ELSE 'w' || f.slot_ms END
                AND told.session_id = o.session_id AND told.thread_id = o.thread_id
                AND told.source = o.source AND told.provider = o.provider
                AND told.model = o.model AND told.project = :project
                AND told.log_project = :log_project
                AND told.quarter_ms = f.at_ms - f.at_ms % {QUARTER_MS}))"""
_MOVE_TURNS = """
    UPDATE turns SET place_id = :marked
    WHERE place_id = :place AND key IN (SELECT key FROM temp.withheld) AND NOT EXISTS (
        SELECT 1 FROM told
        WHERE told.span = CASE WHEN turns.slot_ms < 0 THEN turns.key ELSE 'w' || turns.slot_ms END
            AND told.session_id = turns.session_id AND told.thread_id = turns.thread_id
            AND told.source = turns.source AND told.project = :project)"""


class _Marking(NamedTuple):
    """A place, and the row of the same place marked."""

    place: int
    marked: int
    project: str
    log_project: str


class Withholding:
    """Marks what is private by now; asks of each directory once."""

    def __init__(
        self, connection: sqlite3.Connection, keeps: Callable[[str], bool], now_ms: int
    ) -> None:
        self._connection = connection
        self._keeps = cache(keeps)
        self._now_ms = now_ms

    def mark(self) -> None:
        """Give what is in `temp.ready`, is private by now and was not told its marked place."""
        self._connection.execute("DROP TABLE IF EXISTS temp.withheld")
        self._connection.execute(_TURNS)
        markings = self._markings()
        for marking in markings:
            for statement in (_ADD_ORIGINS, _MOVE_FACTS, _MOVE_TURNS):
                self._connection.execute(statement, marking._asdict())
        if markings:
            keys = self._connection.execute("SELECT key FROM temp.withheld").fetchall()
            touch(self._connection, (key for (key,) in keys))
            recompute(self._connection, self._now_ms)

    def _markings(self) -> list[_Marking]:
        rows = Places(self._connection)
        found = []
        for row, cwd, project, log_project in self._connection.execute(_PLACES).fetchall():
            if is_private(project) or not self._keeps(cwd):
                continue
            marked = rows.row(Place(cwd, PRIVATE_MARK + project, log_project))
            found.append(_Marking(row, marked, project, log_project))
        return found
