"""Trackers that have to be looked at although no ping came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import func, select, update

from server_stub.domain.health import Health, Memory, Step, after_tick
from server_stub.domain.judging import judge_of
from server_stub.store.changes import Change, note, save_health
from server_stub.store.tables import trackers
from telemhq_agents.clock import monotonic_ns
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from server_stub.store.uptimes import Trusted

_DUE = select(
    trackers.c.account_id,
    trackers.c.id,
    trackers.c.state,
    trackers.c.due_ms,
    trackers.c.wake_ms,
    trackers.c.memory,
    trackers.c.memory_revision,
    trackers.c.rules,
    trackers.c.deleted_ms,
)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many trackers were looked at, and for how long that kept the writer."""

    count: int
    took_ns: int


def next_wake(connection: Connection) -> int | None:
    """Return when the next tracker has to be looked at, None where none has."""
    asked = select(func.min(trackers.c.wake_ms)).where(trackers.c.wake_ms.is_not(None))
    return connection.execute(asked).scalar()


def tick(connection: Connection, trusted: Trusted, limit: int) -> Swept:
    """Look at the trackers whose time has come, at most `limit` of them.

    Now is the end of the time that can be trusted: what came later may not be stored yet.

    What a ping or a person changes in this moment is left to them: it is another revision then.
    Rows are written in the order of their keys, as everywhere, so that nobody waits in a ring.
    """
    began_ns = monotonic_ns()
    # Without locking them: a database of several nodes locks rows of one account at a time.
    asked = _DUE.where(trackers.c.wake_ms <= trusted.upto_ms).order_by(trackers.c.wake_ms)
    count = _look(connection, asked.limit(limit), trusted)
    return Swept(count, monotonic_ns() - began_ns)


def tick_one(connection: Connection, account_id: int, tracker_id: int, trusted: Trusted) -> None:
    """Look at one tracker, whose time has come."""
    one = _DUE.where(trackers.c.account_id == account_id, trackers.c.id == tracker_id)
    _look(connection, one.where(trackers.c.wake_ms <= trusted.upto_ms), trusted)


def _look(connection: Connection, asked: Select[Any], trusted: Trusted) -> int:
    now_ms = trusted.upto_ms
    rows = connection.execute(asked).all()
    changes = []
    for row in sorted(rows, key=lambda row: (row.account_id, row.id)):
        step = _step(row, now_ms, trusted.since_ms)
        saved = save_health(connection, row.account_id, row.id, step.health, row.memory_revision)
        if saved and (step.transitions or step.alerts):
            changes.append(Change(row.account_id, row.id, step, now_ms))
    if changes:
        note(connection, changes)
    return len(rows)


def _step(row: Row[*tuple[Any, ...]], now_ms: int, up_since_ms: int) -> Step:
    memory = msgspec.json.decode(row.memory, type=Memory)
    health = Health(TrackerState(row.state), row.due_ms, row.wake_ms, memory)
    if row.deleted_ms is not None:
        return Step(replace(health, wake_ms=None))
    return after_tick(health, judge_of(row.rules), now_ms, up_since_ms)


def first_due(connection: Connection, now_ms: int) -> tuple[int, int] | None:
    """Return the account and id of the tracker whose time came first."""
    asked = (
        select(trackers.c.account_id, trackers.c.id)
        .where(trackers.c.wake_ms <= now_ms)
        .order_by(trackers.c.wake_ms)
        .limit(1)
    )
    row = connection.execute(asked).first()
    return None if row is None else (row.account_id, row.id)


def put_off(connection: Connection, account_id: int, tracker_id: int, until_ms: int) -> None:
    """Look at a tracker later: it could not be judged, and others must not wait for it."""
    later = (
        update(trackers)
        .where(trackers.c.account_id == account_id, trackers.c.id == tracker_id)
        .values(wake_ms=until_ms)
    )
    connection.execute(later)
