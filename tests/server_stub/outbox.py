"""A tracker of Ada's that can fail, and what its alerts leave in the outbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from server_stub.domain.health import Alert, Event, Health, Memory, Step, Transition
from server_stub.store import channels
from server_stub.store.changes import Change, note
from server_stub.store.engine import Store
from server_stub.store.tables import (
    accounts,
    alerts,
    deliveries,
    delivery_attempts,
    memberships,
    runs,
    trackers,
    transitions,
    users,
)
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Cause, Channel, ChannelKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

NOW_MS = 1_795_000_000_000
ACCOUNT, ADA, TRACKER, RUN = 1, 100, 10, 7
TABLES: dict[str, Table] = {
    table.name: table for table in (alerts, deliveries, delivery_attempts, transitions)
}


@dataclass(frozen=True, slots=True)
class Outbox:
    """Ada's account with the tracker `nightly`, behind the API's back."""

    store: Store

    def open(self, **account: object) -> Outbox:
        """Write the account, Ada, her tracker and one run of it."""
        with_id = {"account_id": ACCOUNT, "created_ms": 1}
        rows: list[tuple[Table, dict[str, Any]]] = [
            (
                accounts,
                {"id": ACCOUNT, "kind": "team", "name": "Engines", "created_ms": 1} | account,
            ),
            (
                users,
                {
                    "id": ADA,
                    "email": "ada@example.com",
                    "name": "Ada",
                    "default_account_id": ACCOUNT,
                    "created_ms": 1,
                },
            ),
            (
                memberships,
                {"account_id": ACCOUNT, "user_id": ADA, "role": "owner", "joined_ms": 1},
            ),
            (trackers, {"id": TRACKER, "owner_id": ADA, "name": "nightly", **with_id}),
            (runs, _run_row()),
        ]
        self.store.write(
            lambda connection: [connection.execute(insert(table), row) for table, row in rows]
        )
        return self

    def another_tracker(self, tracker_id: int, name: str) -> None:
        row = {"account_id": ACCOUNT, "created_ms": 1, "owner_id": ADA, "id": tracker_id}
        self.store.write(
            lambda connection: connection.execute(insert(trackers), row | {"name": name})
        )

    def channel(
        self,
        *wanted: tuple[str, str],
        tracker: int = TRACKER,
        now_ms: int = NOW_MS,
    ) -> list[channels.StoredChannel]:
        """Make these the tracker's channels and return them."""
        named = [Channel(ChannelKind(kind), target) for kind, target in wanted]
        self.store.write(
            lambda connection: channels.sync(connection, ACCOUNT, tracker, named, now_ms)
        )
        return self.channels(tracker)

    def webhooks(self, *urls: str, tracker: int = TRACKER) -> list[channels.StoredChannel]:
        """Let alerts go to these webhooks alone: the owner has unsubscribed."""
        named = self.channel(*(("webhook", url) for url in urls), tracker=tracker)
        self.store.write(lambda connection: _unsubscribe_owner(connection, tracker))
        return named

    def channels(self, tracker: int = TRACKER) -> list[channels.StoredChannel]:
        with self.store.read() as connection:
            return channels.of_trackers(connection, ACCOUNT, [tracker])

    def note(self, *changes: Change) -> None:
        self.store.write(lambda connection: note(connection, changes))

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = TABLES[table]
        with self.store.read() as connection:
            asked = select(found).order_by(*found.primary_key.columns)
            return [dict(row._mapping) for row in connection.execute(asked)]

    def deliveries(self) -> list[dict[str, Any]]:
        return [row | {"content": json.loads(row["content"])} for row in self.rows("deliveries")]

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows("deliveries")]


def _unsubscribe_owner(connection: Connection, tracker: int) -> None:
    kind, address = ChannelKind.EMAIL.value, "ada@example.com"
    mailbox = channels.mailbox(
        connection, ACCOUNT, tracker, kind=kind, address=address, now_ms=NOW_MS
    )
    channels.unsubscribe(connection, mailbox, NOW_MS)


def _run_row() -> dict[str, Any]:
    return {
        "account_id": ACCOUNT,
        "tracker_id": TRACKER,
        "id": RUN,
        "member_id": ADA,
        "received_ms": NOW_MS,
        "ended_ms": 1_777_982_400_000,
        "has_duration": True,
        "duration_ms": 1500,
        # JSONB takes a text as a JSON string, SQLite as it is: both are read as an object.
        "payload": '{"status":"error","usage":{"input_tokens":12}}',
    }


FAILING = Memory(failing_since_ms=NOW_MS)


def failed(
    *,
    at: int = NOW_MS,
    deliver: int | None = None,
    run_id: int | None = RUN,
    tracker: int = TRACKER,
    withheld: str = "",
) -> Change:
    return change(
        Event.FAILED,
        (TrackerState.ACTIVE, TrackerState.FAILING),
        at,
        deliver,
        run_id,
        tracker,
        withheld,
    )


def recovered(*, at: int = NOW_MS, deliver: int | None = None, tracker: int = TRACKER) -> Change:
    return change(
        Event.RECOVERED, (TrackerState.FAILING, TrackerState.ACTIVE), at, deliver, RUN, tracker, ""
    )


def still_failing(*, at: int = NOW_MS, deliver: int | None = None) -> Change:
    alert = Alert(Event.STILL_FAILING, at if deliver is None else deliver, "ping is missing")
    return Change(ACCOUNT, TRACKER, Step(Health(memory=FAILING), alerts=(alert,)), at)


def change(  # noqa: PLR0917 - a row of a story
    event: Event,
    states: tuple[TrackerState, TrackerState],
    at: int,
    deliver: int | None,
    run_id: int | None,
    tracker: int,
    withheld: str,
) -> Change:
    cause = Cause.RUN_FAILED if event is Event.FAILED else Cause.RECOVERED
    message = "exit code 1" if event is Event.FAILED else ""
    transition = Transition(*states, at_ms=at, cause=cause, message=message, run_id=run_id)
    alert = Alert(
        event, at if deliver is None else deliver, message, withheld, transition=0, run_id=run_id
    )
    memory = FAILING if event is Event.FAILED else Memory()
    step = Step(Health(state=states[1], memory=memory), (transition,), (alert,))
    return Change(ACCOUNT, tracker, step, at)


def events(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["event"], row["withheld"]) for row in rows]
