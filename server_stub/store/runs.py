"""Runs as they were recorded: every question about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from server_stub.store.tables import runs
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.rules import Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run or correction. Times are milliseconds UTC; `payload` is what was sent.

    `outcome` is "" where it was not judged, `verdicts` are those of then.
    """

    id: int
    kind: str
    received_ms: int
    ended_ms: int
    provider: str
    model: str
    project: str
    status: str
    source: str
    session_id: str
    thread_id: str
    has_cost: bool
    has_duration: bool
    amounts: Amounts
    payload: dict[str, Any]
    outcome: str = ""
    verdicts: tuple[Verdict, ...] = ()


def page(
    connection: Connection, account_id: int, tracker_id: int, *, before_id: int | None, limit: int
) -> list[StoredRun]:
    """Return up to `limit` runs of a tracker, newest arrival first, that arrived before one."""
    asked = select(runs).where(runs.c.account_id == account_id, runs.c.tracker_id == tracker_id)
    if before_id is not None:
        asked = asked.where(runs.c.id < before_id)
    asked = asked.order_by(runs.c.id.desc()).limit(limit)
    return [stored_run(row) for row in connection.execute(asked)]


def stored_run(row: Row[*tuple[Any, ...]]) -> StoredRun:
    """Return a row of `runs`, all of its columns, as a record."""
    payload = row.payload
    return StoredRun(
        id=row.id,
        kind=row.kind,
        received_ms=row.received_ms,
        ended_ms=row.ended_ms,
        provider=row.provider,
        model=row.model,
        project=row.project,
        status=row.status,
        source=row.source,
        session_id=row.session_id,
        thread_id=row.thread_id,
        has_cost=row.has_cost,
        has_duration=row.has_duration,
        amounts=Amounts(*(getattr(row, name) for name in AMOUNT_FIELDS)),
        # PostgreSQL hands JSON out decoded, SQLite the text that it was given.
        payload=json.loads(payload) if isinstance(payload, str) else payload,
        outcome=row.outcome,
        verdicts=msgspec.json.decode(row.verdicts or "[]", type=tuple[Verdict, ...]),
    )
