"""Metrics keys, and the highest figures that each was told: every question about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from server_stub.domain.credentials import digest, shown_prefix
from server_stub.domain.metric import Marks, raised
from server_stub.store.ids import new_id
from server_stub.store.tables import metrics_keys, trackers
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_SHOWN = ("id", "account_id", "name", "prefix", "created_ms", "revoked_ms")


@dataclass(frozen=True, slots=True)
class StoredMetricsKey:
    """A metrics key without its secret. Times are milliseconds UTC."""

    id: int
    account_id: int
    name: str
    prefix: str
    created_ms: int
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A tracker as metrics tell of it."""

    id: int
    name: str
    state: TrackerState
    last_run_ms: int | None


def add(
    connection: Connection, account_id: int, name: str, metrics_key: str, now_ms: int
) -> StoredMetricsKey:
    """Add a metrics key; only its digest and a recognisable prefix are kept."""
    key = StoredMetricsKey(new_id(), account_id, name, shown_prefix(metrics_key), now_ms, None)
    values = {name: getattr(key, name) for name in _SHOWN} | {"digest": digest(metrics_key)}
    connection.execute(insert(metrics_keys).values(values))
    return key


def of_account(connection: Connection, account_id: int) -> list[StoredMetricsKey]:
    """Return an account's metrics keys, revoked ones included, newest first."""
    asked = select(*(metrics_keys.c[name] for name in _SHOWN))
    asked = asked.where(metrics_keys.c.account_id == account_id)
    asked = asked.order_by(metrics_keys.c.created_ms.desc(), metrics_keys.c.id.desc())
    return [StoredMetricsKey(*row) for row in connection.execute(asked)]


def account_of(connection: Connection, key_id: int, account_ids: Collection[int]) -> int | None:
    """Return which of these accounts a metrics key is of."""
    asked = select(metrics_keys.c.account_id).where(
        metrics_keys.c.id == key_id, metrics_keys.c.account_id.in_(account_ids)
    )
    return connection.execute(asked).scalar_one_or_none()


def revoke(connection: Connection, key_id: int, now_ms: int) -> None:
    """Revoke a metrics key; one revoked before keeps its date."""
    changed = update(metrics_keys).where(metrics_keys.c.id == key_id)
    connection.execute(changed.values(revoked_ms=func.coalesce(metrics_keys.c.revoked_ms, now_ms)))


def find(connection: Connection, metrics_key: str) -> StoredMetricsKey | None:
    """Return the key that is in force under this secret."""
    asked = select(*(metrics_keys.c[name] for name in _SHOWN)).where(
        metrics_keys.c.digest == digest(metrics_key), metrics_keys.c.revoked_ms.is_(None)
    )
    row = connection.execute(asked).first()
    return None if row is None else StoredMetricsKey(*row)


def marks(connection: Connection, key_id: int) -> Marks:
    """Return the highest figures that a key was told."""
    asked = select(metrics_keys.c.marks).where(metrics_keys.c.id == key_id)
    return _read(connection.execute(asked).scalar_one_or_none())


def raise_marks(connection: Connection, key_id: int, now: Marks) -> Marks:
    """Remember what a key is about to be told, and return it: nothing lower than ever before."""
    asked = select(metrics_keys.c.marks).where(metrics_keys.c.id == key_id).with_for_update()
    highest = raised(_read(connection.execute(asked).scalar_one_or_none()), now)
    text = json.dumps(highest, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    connection.execute(update(metrics_keys).where(metrics_keys.c.id == key_id).values(marks=text))
    return highest


def watched(connection: Connection, account_id: int) -> list[Watched]:
    """Return an account's trackers in the order they were made."""
    columns = [trackers.c[name] for name in Watched.__slots__]
    asked = select(*columns).where(
        trackers.c.account_id == account_id, trackers.c.deleted_ms.is_(None)
    )
    return [
        Watched(row.id, row.name, TrackerState(row.state), row.last_run_ms)
        for row in connection.execute(asked.order_by(trackers.c.id))
    ]


def _read(text: str | None) -> Marks:
    read: Marks = json.loads(text or "{}")
    return read
