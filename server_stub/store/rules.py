"""What trackers are judged by: read, changed, and what a change means for their state at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select, update

from server_stub.domain.health import (
    Health,
    Memory,
    Step,
    after_pause,
    after_resume,
    after_rules,
)
from server_stub.domain.judging import judge_of
from server_stub.domain.rules import read as read_rules
from server_stub.domain.rules import write as write_rules
from server_stub.store import channels, summaries
from server_stub.store.changes import Change, note, recall
from server_stub.store.deliveries import IDS_AT_ONCE
from server_stub.store.tables import trackers
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Channel, Rules

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Row

    from server_stub.domain.tracker import Tracker

_STANDING = select(
    trackers.c.account_id,
    trackers.c.id,
    trackers.c.state,
    trackers.c.due_ms,
    trackers.c.wake_ms,
    trackers.c.memory,
    trackers.c.memory_revision,
    trackers.c.rules,
    trackers.c.rules_revision,
).where(trackers.c.deleted_ms.is_(None))

_TAKE = (
    update(trackers)
    .where(
        trackers.c.account_id == bindparam("in_account"),
        trackers.c.id == bindparam("of_tracker"),
    )
    .values(
        {
            name: bindparam(name)
            for name in (
                *("state", "due_ms", "wake_ms", "memory", "memory_revision"),
                *("rules", "rules_revision"),
            )
        }
    )
)


@dataclass(frozen=True, slots=True)
class StoredRules:
    """A tracker's rules as they are stored; `revision` counts their changes."""

    revision: int
    rules: Rules


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tracker stands in the transaction that has locked it."""

    account_id: int
    tracker_id: int
    health: Health
    memory_revision: int
    rules: str
    rules_revision: int


def read(connection: Connection, account_id: int, tracker_id: int) -> StoredRules | None:
    """Return a tracker's rules, None where there is no such tracker."""
    asked = select(trackers.c.rules, trackers.c.rules_revision).where(
        trackers.c.account_id == account_id,
        trackers.c.id == tracker_id,
        trackers.c.deleted_ms.is_(None),
    )
    row = connection.execute(asked).first()
    return None if row is None else StoredRules(row.rules_revision, read_rules(row.rules))


def save(
    connection: Connection,
    tracker: Tracker,
    rules: Rules,
    expected_revision: int | None,
    now_ms: int,
) -> StoredRules | None:
    """Judge a tracker by other rules from now on, and return them as stored.

    None where it is gone or its rules are at another revision than the one expected: nothing is
    then written. Rules that say what those in force say change nothing. They must have been
    checked (domain/rules.py).
    """
    standing = lock(connection, tracker.account_id, [tracker.id]).get(tracker.id)
    if standing is None or expected_revision not in {None, standing.rules_revision}:
        return None
    return replace_rules(connection, standing, rules, now_ms)


def replace_rules(
    connection: Connection, standing: Standing, rules: Rules, now_ms: int
) -> StoredRules:
    """Give a tracker that this transaction has locked other rules."""
    (stored,) = replace_all(connection, [(standing, rules)], now_ms)
    return stored


def replace_all(
    connection: Connection, wanted: Sequence[tuple[Standing, Rules]], now_ms: int
) -> list[StoredRules]:
    """Give trackers of one account, which this transaction has locked, other rules."""
    stored: list[StoredRules] = []
    taken: list[_Taken] = []
    named: dict[int, Sequence[Channel]] = {}
    for standing, rules in wanted:
        text = write_rules(rules)
        is_other = text != standing.rules
        revision = standing.rules_revision + int(is_other)
        stored.append(StoredRules(revision, rules))
        if not is_other:
            continue
        step = after_rules(standing.health, judge_of(text), now_ms)
        taken.append(_Taken(standing, step, text, revision))
        before = read_rules(standing.rules)
        place = (standing.account_id, standing.tracker_id)
        if rules.summary.every is not before.summary.every:
            summaries.begin(connection, *place, rules.summary, now_ms)
        if rules.alerting.channels != before.alerting.channels:
            named[standing.tracker_id] = rules.alerting.channels
    _take_all(connection, taken, now_ms)
    if named:
        channels.sync_all(connection, wanted[0][0].account_id, named, now_ms)
    return stored


def pause(connection: Connection, account_id: int, tracker_id: int, now_ms: int) -> None:
    """Stop judging a tracker; what it receives is still recorded."""
    standing = lock(connection, account_id, [tracker_id]).get(tracker_id)
    if standing is not None and standing.health.state is not TrackerState.PAUSED:
        step = after_pause(standing.health, now_ms)
        _take_all(connection, [_taken(standing, step)], now_ms)


def resume(connection: Connection, account_id: int, tracker_id: int, now_ms: int) -> None:
    """Judge a paused tracker again."""
    standing = lock(connection, account_id, [tracker_id]).get(tracker_id)
    if standing is not None and standing.health.state is TrackerState.PAUSED:
        step = after_resume(standing.health, judge_of(standing.rules), now_ms)
        _take_all(connection, [_taken(standing, step)], now_ms)


def lock(
    connection: Connection, account_id: int, tracker_ids: Collection[int]
) -> dict[int, Standing]:
    """Return how trackers stand, and keep everybody else from changing them until the end.

    Rows are locked in the order of their ids, as everywhere, so that nobody waits in a ring.
    """
    ids = sorted(tracker_ids)
    locked: dict[int, Standing] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        asked = (
            _STANDING.where(
                trackers.c.account_id == account_id,
                trackers.c.id.in_(ids[start : start + IDS_AT_ONCE]),
            )
            .order_by(trackers.c.id)
            .with_for_update()
        )
        locked |= {row.id: _standing(row) for row in connection.execute(asked)}
    return locked


@dataclass(frozen=True, slots=True)
class _Taken:
    """A step of a tracker that this transaction has locked, and the rules it has then."""

    standing: Standing
    step: Step
    rules: str
    rules_revision: int

    def row(self) -> dict[str, Any]:
        standing, health = self.standing, self.step.health
        return {
            "in_account": standing.account_id,
            "of_tracker": standing.tracker_id,
            "state": health.state.value,
            "due_ms": health.due_ms,
            "wake_ms": health.wake_ms,
            "memory": msgspec.json.encode(health.memory).decode(),
            "memory_revision": standing.memory_revision + 1,
            "rules": self.rules,
            "rules_revision": self.rules_revision,
        }


def _taken(standing: Standing, step: Step) -> _Taken:
    return _Taken(standing, step, standing.rules, standing.rules_revision)


def _take_all(connection: Connection, taken: Sequence[_Taken], now_ms: int) -> None:
    """Write what changes make of trackers, with the transitions and alerts that come of them."""
    if not taken:
        return
    connection.execute(_TAKE, [one.row() for one in taken])
    changes = []
    for one in taken:
        place = (one.standing.account_id, one.standing.tracker_id)
        if one.step.recalled:
            recall(connection, *place, one.step.recalled, now_ms)
        if one.step.transitions or one.step.alerts:
            changes.append(Change(*place, one.step, now_ms))
    if changes:
        note(connection, changes)


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    memory = msgspec.json.decode(row.memory, type=Memory)
    return Standing(
        account_id=row.account_id,
        tracker_id=row.id,
        health=Health(TrackerState(row.state), row.due_ms, row.wake_ms, memory),
        memory_revision=row.memory_revision,
        rules=row.rules,
        rules_revision=row.rules_revision,
    )
