"""Runs that are there already, as assertions are tried on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

from server_stub.domain.replay import PastRun
from server_stub.store.tables import runs
from telemhq_agents.contract.ping import KIND_RUN

if TYPE_CHECKING:
    from sqlalchemy import Connection


def latest(connection: Connection, account_id: int, tracker_id: int, limit: int) -> list[PastRun]:
    """Return the latest runs of a tracker, newest arrival first.

    Starts, corrections and pings that only add usage to a run are none: nobody judges them.
    """
    asked = (
        select(runs.c.id, runs.c.ended_ms, runs.c.payload)
        .where(
            runs.c.account_id == account_id,
            runs.c.tracker_id == tracker_id,
            runs.c.kind == KIND_RUN,
            runs.c.runs > 0,
        )
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return [
        # PostgreSQL hands JSON out decoded, SQLite the text that it was given.
        PastRun(row.id, row.ended_ms, json.loads(payload) if isinstance(payload, str) else payload)
        for row in connection.execute(asked)
        for payload in (row.payload,)
    ]
