"""A week in the life of Ada's nightly job, as its summary tells it.

It is in October 2025, when the clocks went back in Riga on Sunday the 26th.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from server_stub.domain.payload import judge
from server_stub.domain.run import Arrival
from server_stub.store.tables import (
    accounts,
    memberships,
    runs,
    trackers,
    tracking_tokens,
    users,
)
from telemhq_agents.clock import from_iso
from telemhq_agents.contract.ping import KIND_RUN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server_stub.store.engine import Store

ACCOUNT, ADA, TRACKER = 1, 100, 10
TOKEN = "t0ken"
MINUTE_MS = 60_000
RULES: dict[str, Any] = {
    "assertions": [
        {"path": "items_processed", "operator": "greater_than", "value": 0, "id": "a1"},
        {
            "path": "cost_usd",
            "operator": "less_or_equal",
            "value": 2,
            "severity": "warn",
            "id": "a2",
        },
    ],
    "summary": {"every": "daily", "hour": 8, "timezone": "Europe/Riga"},
}


def open_account(store: Store, rules: dict[str, Any] = RULES, *, count: int = 1) -> None:
    """Write Ada's account and her trackers, of which the first is called nightly & co."""

    def write(connection: Connection) -> None:
        connection.execute(insert(accounts).values(id=ACCOUNT, kind="team", name="E", created_ms=1))
        connection.execute(
            insert(users).values(
                id=ADA, email="ada@example.com", name="Ada", default_account_id=1, created_ms=1
            )
        )
        connection.execute(
            insert(memberships).values(account_id=ACCOUNT, user_id=ADA, role="owner", joined_ms=1)
        )
        for number in range(count):
            place = {"account_id": ACCOUNT, "created_ms": 1}
            connection.execute(
                insert(trackers).values(
                    id=TRACKER + number,
                    owner_id=ADA,
                    name="nightly <b>& co</b>" if number == 0 else f"tracker {number}",
                    rules=json.dumps(rules, separators=(",", ":")),
                    **place,
                )
            )
            connection.execute(
                insert(tracking_tokens).values(
                    token=f"{TOKEN}{number or ''}", tracker_id=TRACKER + number, **place
                )
            )

    store.write(write)


def ping(store: Store, at: str, key: str = "", token: str = TOKEN, **payload: object) -> None:
    received_ms = from_iso(at)
    facts = judge(dict(payload), received_ms)
    store.writer.ingest(Arrival(token, key, received_ms, facts, dict(payload))).result(20)


def live_through(store: Store) -> None:
    """Ping as the job did: 24 runs on Saturday the 25th, a few before, some on Sunday."""
    for number in range(12):
        ping(
            store,
            f"2025-10-24T{6 + number:02d}:00:00+00:00",
            status="error" if number == 0 else "success",
            provider="openai",
            model="gpt-5.1-codex",
            input_tokens=1000,
            output_tokens=100,
            cost_usd=0.5,
            duration_ms=1000,
            items_processed=10,
        )
    for number in range(24):
        ping(
            store,
            # 21:00 UTC on Friday is midnight of Saturday in Riga.
            f"2025-10-{24 if number < 3 else 25}T{(21 + number) % 24:02d}:00:00+00:00",
            key="fact:one" if number == 1 else "",
            status="failed" if number == 3 else "success",
            provider="anthropic" if number % 3 else "openai",
            model="claude-opus-4-5" if number % 3 else "gpt-5.1-codex",
            input_tokens=2000,
            cached_input_tokens=1500,
            cache_write_tokens=100,
            output_tokens=200,
            reasoning_tokens=50,
            cost_usd=9.0 if number == 20 else 0.25 + number / 100,
            duration_ms=90_000 if number == 7 else 1000 + 10 * number,
            items_processed=0 if number in {5, 6} else number,
            quality={"eval_score": 0.5 + number / 100},
            output_tail="a secret that no mail tells",
            error="another secret" if number == 3 else "",
        )
    ping(
        store,
        "2025-10-25T09:00:00+00:00",
        kind="correction",
        corrects="fact:one",
        revision=1,
        input_tokens=500,
        total_tokens=500,
        cost_usd=0.1,
        model="claude-opus-4-5",
        source="",
        ended_at="2025-10-24T22:00:00+00:00",
    )
    ping(store, "2025-10-26T00:30:00+00:00", tokens_in=5, model="local-model", total_tokens=7)
    ping(store, "2025-10-26T21:59:59+00:00", model="gpt-5.1-codex", cost_usd=0)
    ping(store, "2025-10-26T22:00:00+00:00", model="of next week", cost_usd=5)


def run_ids(store: Store) -> list[int]:
    """Return the ids of all runs, in the order they came: these are new every time."""
    with store.read() as connection:
        asked = select(runs.c.id).where(runs.c.kind == KIND_RUN).order_by(runs.c.id)
        return list(connection.execute(asked).scalars())
