"""Keys and collector facts that are known: the questions about them that both databases share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server_stub.store.tables import idempotency_keys, runs
from telemhq_agents.contract.amounts import AMOUNT_FIELDS

if TYPE_CHECKING:
    from sqlalchemy import Table

Row = tuple[Any, ...]
KeyId = tuple[int, int, bytes]
"""Account, scope, digest."""

NO_TRACKER = 0
"""Stands with the key of a correction: what corrects it stays where it arrived."""

FACT_COLUMNS = (
    *("account_id", "fact_digest", "kind", "revision", "tracker_id", "member_id", "id", "ended_ms"),
    *("project", "model", "source", "session_id", "thread_id"),
    *AMOUNT_FIELDS,
)
RUNS_OF_FACTS = f"""
    SELECT {", ".join(f"run.{name}" for name in FACT_COLUMNS)}
    FROM asked CROSS JOIN {runs.name} AS run %s
    WHERE run.account_id = asked.account_id AND run.fact_digest = asked.digest
        AND run.fact_digest IS NOT NULL
"""  # noqa: S608 - constants of ours
KNOWN_KEYS = f"""
    SELECT known.account_id, known.scope, known.digest, known.run_id, known.received_ms,
        known.tracker_id
    FROM asked CROSS JOIN {idempotency_keys.name} AS known
    WHERE known.account_id = asked.account_id AND known.scope = asked.scope
        AND known.digest = asked.digest
"""  # noqa: S608 - constants of ours


def sums_on_conflict(table: Table) -> str:
    """Return how an insert into a bucket table adds to the sums that are there."""
    keys = ", ".join(column.name for column in table.primary_key.columns)
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in AMOUNT_FIELDS)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {sums}"
