"""What judging makes of trackers, written in the transaction of its cause.

Health, transitions, alerts, and a delivery for everybody who is to be told.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, insert, select, update

from server_stub.domain.channel import WEBHOOK_KINDS
from server_stub.domain.health import Alert, Event, Health, Step, Transition
from server_stub.domain.membership import ACTIVE
from server_stub.domain.message import AlertFacts, RunTold, Telling, content, run_told
from server_stub.domain.plan import PLANS, UNLIMITED
from server_stub.store import alerts, channels, deliveries
from server_stub.store.alerts import WaitingAlert
from server_stub.store.ids import new_id
from server_stub.store.tables import accounts, memberships, runs, trackers, transitions, users
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.rules import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from server_stub.store.channels import StoredChannel

FLAPPING = "flapping"
OVERTAKEN = "it recovered before this was sent"
NOBODY = "nobody is to be told"
OPPOSITE = {Event.FAILED: Event.RECOVERED, Event.RECOVERED: Event.FAILED}

# Put together once: a sweep saves many, and building the statement costs more than running it.
_SAVE_HEALTH = (
    update(trackers)
    .where(
        trackers.c.account_id == bindparam("in_account"),
        trackers.c.id == bindparam("of_tracker"),
        trackers.c.memory_revision == bindparam("seen_revision"),
    )
    .values(
        {name: bindparam(name) for name in ("state", "due_ms", "wake_ms", "memory")}
        | {"memory_revision": bindparam("memory_revision")}
    )
)


@dataclass(frozen=True, slots=True)
class Change:
    """A step of a tracker, and when it was taken. Its runs are stored already."""

    account_id: int
    tracker_id: int
    step: Step
    now_ms: int


def save_health(
    connection: Connection, account_id: int, tracker_id: int, health: Health, seen_revision: int
) -> bool:
    """Store a tracker's health, unless somebody else did since it was read: False then."""
    values = {
        "in_account": account_id,
        "of_tracker": tracker_id,
        "seen_revision": seen_revision,
        "state": health.state.value,
        "due_ms": health.due_ms,
        "wake_ms": health.wake_ms,
        "memory": msgspec.json.encode(health.memory).decode(),
        "memory_revision": seen_revision + 1,
    }
    return connection.execute(_SAVE_HEALTH, values).rowcount == 1


def recall(
    connection: Connection, account_id: int, tracker_id: int, reason: str, now_ms: int
) -> None:
    """Take back a tracker's alerts that still wait for their time."""
    for alert in alerts.waiting(connection, account_id, [tracker_id], now_ms):
        ended = deliveries.withdraw_alert(connection, account_id, alert.id, reason, now_ms)
        if ended == alert.parts:
            alerts.withhold(connection, account_id, alert.id, reason)


def note(connection: Connection, changes: Sequence[Change]) -> None:
    """Write the transitions and alerts of these steps, in order, and what is to be delivered.

    Alerts go to the tracker's channels, and to its owner where none of these is an e-mail address
    that takes them. One that still waits for its time when the opposite happens is withheld, and so is the opposite: nobody knew of the first.
    """
    found = [(change, [new_id() for _ in change.step.transitions]) for change in changes]
    rows = [
        _transition_row(change, transition, transition_id)
        for change, ids in found
        for transition, transition_id in zip(change.step.transitions, ids, strict=True)
    ]
    if rows:
        connection.execute(insert(transitions), rows)
    telling: dict[int, list[tuple[Change, list[int]]]] = defaultdict(list)
    for change, ids in found:
        if change.step.alerts:
            telling[change.account_id].append((change, ids))
    for account_id in sorted(telling):
        _Teller(connection, account_id, [change for change, _ in telling[account_id]]).tell(
            telling[account_id]
        )


def _transition_row(change: Change, transition: Transition, transition_id: int) -> dict[str, Any]:
    return {
        "account_id": change.account_id,
        "tracker_id": change.tracker_id,
        "id": transition_id,
        "from_state": transition.before.value,
        "to_state": transition.after.value,
        "at_ms": transition.at_ms,
        "noted_ms": change.now_ms,
        "cause": transition.cause.value,
        "message": transition.message,
        "run_id": transition.run_id,
    }


@dataclass(frozen=True, slots=True)
class _Subject:
    """A tracker as alerts speak of it; nobody owns it whose membership ended."""

    name: str
    owner_email: str | None
    webhooks: bool


class _Teller:
    """Writes the alerts of one account, from what was read about all of them together."""

    def __init__(self, connection: Connection, account_id: int, changes: list[Change]) -> None:
        self._connection = connection
        self._account_id = account_id
        ids = sorted({change.tracker_id for change in changes})
        self._subjects = _subjects(connection, account_id, ids)
        self._channels: dict[int, list[StoredChannel]] = defaultdict(list)
        for channel in channels.of_trackers(connection, account_id, ids):
            self._channels[channel.tracker_id].append(channel)
        self._runs = _runs(connection, account_id, changes)
        self._waiting: dict[int, list[WaitingAlert]] = defaultdict(list)
        for alert in alerts.waiting(connection, account_id, ids, changes[0].now_ms):
            self._waiting[alert.tracker_id].append(alert)
        self._alert_rows: dict[int, dict[str, Any]] = {}
        self._delivery_rows: dict[int, list[dict[str, Any]]] = {}

    def tell(self, changes: list[tuple[Change, list[int]]]) -> None:
        for change, transition_ids in changes:
            for alert in change.step.alerts:
                self._add(change, alert, transition_ids)
        alerts.add(self._connection, list(self._alert_rows.values()))
        flat = [row for rows in self._delivery_rows.values() for row in rows]
        deliveries.add(self._connection, flat)

    def _add(self, change: Change, alert: Alert, transition_ids: list[int]) -> None:
        alert_id = new_id()
        withheld = alert.withheld or self._flapping(change, alert)
        rows = [] if withheld else self._deliveries(change, alert, alert_id)
        self._alert_rows[alert_id] = {
            "account_id": self._account_id,
            "id": alert_id,
            "tracker_id": change.tracker_id,
            "transition_id": None if alert.transition is None else transition_ids[alert.transition],
            "event": alert.event.value,
            "run_id": alert.run_id,
            "message": alert.message,
            "created_ms": change.now_ms,
            "withheld": withheld or ("" if rows else NOBODY),
        }
        self._delivery_rows[alert_id] = rows
        if rows and alert.deliver_ms > change.now_ms:
            waiting = WaitingAlert(alert_id, change.tracker_id, alert.event, len(rows))
            self._waiting[change.tracker_id].append(waiting)

    def _flapping(self, change: Change, alert: Alert) -> str:
        """Take back what the opposite of this alert would have told; say so if it was all of it."""
        opposite = OPPOSITE.get(alert.event)
        kept, taken_back = [], []
        for one in self._waiting[change.tracker_id]:
            overtaken = alert.event is Event.RECOVERED and one.event is Event.STILL_FAILING
            reason = FLAPPING if one.event is opposite else OVERTAKEN if overtaken else ""
            if reason and self._take_back(one, reason, change.now_ms):
                taken_back.append(one)
            else:
                kept.append(one)
        self._waiting[change.tracker_id] = kept
        return FLAPPING if any(one.event is opposite for one in taken_back) else ""

    def _take_back(self, alert: WaitingAlert, reason: str, now_ms: int) -> bool:
        """Withhold an alert that waits; False where part of it went out meanwhile."""
        if alert.id in self._alert_rows:
            self._alert_rows[alert.id]["withheld"] = reason
            self._delivery_rows[alert.id] = []
            return True
        ended = deliveries.withdraw_alert(
            self._connection, self._account_id, alert.id, reason, now_ms
        )
        if ended == alert.parts:
            alerts.withhold(self._connection, self._account_id, alert.id, reason)
        return ended == alert.parts

    def _deliveries(self, change: Change, alert: Alert, alert_id: int) -> list[dict[str, Any]]:
        subject = self._subjects.get(change.tracker_id)
        if subject is None:
            return []
        facts = self._facts(change, alert, subject)
        return [
            deliveries.row(
                account_id=self._account_id,
                tracker_id=change.tracker_id,
                alert_id=alert_id,
                channel_id=channel.id,
                kind=channel.kind,
                target=channel.target,
                event=alert.event.value,
                content=content(ChannelKind(channel.kind), facts),
                next_ms=alert.deliver_ms,
                now_ms=change.now_ms,
            )
            for channel in self._receivers(change, subject)
        ]

    def _receivers(self, change: Change, subject: _Subject) -> list[StoredChannel]:
        listed = [
            channel
            for channel in channels.listed(self._channels[change.tracker_id])
            if subject.webhooks or channel.kind not in WEBHOOK_KINDS
        ]
        receivers = [channel for channel in listed if channel.unsubscribed_ms is None]
        is_mailed = any(channel.kind == ChannelKind.EMAIL for channel in receivers)
        if not is_mailed and subject.owner_email is not None:
            owner = self._mailbox(change, subject.owner_email)
            receivers += [owner] if owner.unsubscribed_ms is None else []
        return receivers

    def _mailbox(self, change: Change, address: str) -> StoredChannel:
        known = self._channels[change.tracker_id]
        for channel in known:
            if (channel.kind, channel.target) == (ChannelKind.EMAIL, address):
                return channel
        made = channels.mailbox(
            self._connection,
            self._account_id,
            change.tracker_id,
            kind=ChannelKind.EMAIL.value,
            address=address,
            now_ms=change.now_ms,
        )
        known.append(made)
        return made

    def _facts(self, change: Change, alert: Alert, subject: _Subject) -> AlertFacts:
        place = alert.transition
        transition = None if place is None else change.step.transitions[place]
        since = change.step.health.memory.failing_since_ms
        return AlertFacts(
            event=Telling(alert.event.value),
            tracker_id=str(change.tracker_id),
            tracker_name=subject.name,
            at=to_iso(change.now_ms if transition is None else transition.at_ms),
            cause="" if transition is None else transition.cause.value,
            message=alert.message,
            failing_since="" if since is None else to_iso(since),
            run=None if alert.run_id is None else self._runs.get((change.tracker_id, alert.run_id)),
        )


def _subjects(
    connection: Connection, account_id: int, tracker_ids: Collection[int]
) -> dict[int, _Subject]:
    asked = (
        select(
            trackers.c.id,
            trackers.c.name,
            users.c.email,
            memberships.c.state,
            accounts.c.plan,
        )
        .join_from(trackers, accounts, accounts.c.id == trackers.c.account_id, isouter=True)
        .join(users, users.c.id == trackers.c.owner_id, isouter=True)
        .join(
            memberships,
            and_(
                memberships.c.account_id == trackers.c.account_id,
                memberships.c.user_id == trackers.c.owner_id,
            ),
            isouter=True,
        )
        .where(trackers.c.account_id == account_id, trackers.c.id.in_(tracker_ids))
    )
    return {
        row.id: _Subject(
            row.name,
            row.email if row.state == ACTIVE else None,
            PLANS.get(row.plan or UNLIMITED, PLANS[UNLIMITED]).webhooks,
        )
        for row in connection.execute(asked)
    }


def _runs(
    connection: Connection, account_id: int, changes: list[Change]
) -> dict[tuple[int, int], RunTold]:
    """Return the runs that these alerts are about, by tracker and id."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for change in changes:
        ids = {alert.run_id for alert in change.step.alerts if alert.run_id is not None}
        if ids:
            wanted[change.tracker_id] |= ids
    found: dict[tuple[int, int], RunTold] = {}
    for tracker_id, ids in wanted.items():
        asked = select(
            runs.c.id, runs.c.ended_ms, runs.c.duration_ms, runs.c.has_duration, runs.c.payload
        ).where(
            runs.c.account_id == account_id, runs.c.tracker_id == tracker_id, runs.c.id.in_(ids)
        )
        for row in connection.execute(asked):
            payload = row.payload
            found[tracker_id, row.id] = run_told(
                row.id,
                row.ended_ms,
                row.duration_ms if row.has_duration else None,
                json.loads(payload) if isinstance(payload, str) else payload,
            )
    return found
