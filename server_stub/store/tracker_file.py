"""The trackers of an account as a file has them: read together, and changed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from server_stub.domain.rules import read as read_rules
from server_stub.domain.tracker import TrackerDraft
from server_stub.domain.tracker_file import KnownTracker
from server_stub.store import rules, trackers
from server_stub.store.tables import accounts, users
from server_stub.store.tables import trackers as stored_trackers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from server_stub.domain.tracker_file import Difference


@dataclass(frozen=True, slots=True)
class Reach:
    """Which trackers a caller may change: all of an account, or those of one owner in it."""

    account_id: int
    owner_id: int | None


def known(connection: Connection, reach: Reach) -> list[KnownTracker]:
    """Return the trackers within reach, by name."""
    table = stored_trackers
    asked = (
        select(
            table.c.id,
            table.c.name,
            table.c.device_id,
            table.c.rules,
            table.c.rules_revision,
            users.c.email,
        )
        .join_from(table, users, users.c.id == table.c.owner_id)
        .where(table.c.account_id == reach.account_id, table.c.deleted_ms.is_(None))
        .order_by(table.c.name, table.c.id)
    )
    if reach.owner_id is not None:
        asked = asked.where(table.c.owner_id == reach.owner_id)
    return [
        KnownTracker(
            id=row.id,
            name=row.name,
            owner_email=row.email,
            rules=read_rules(row.rules),
            revision=row.rules_revision,
            of_device=row.device_id != "",
        )
        for row in connection.execute(asked)
    ]


def apply(
    connection: Connection,
    reach: Reach,
    seen: Sequence[KnownTracker],
    difference: Difference,
    *,
    made_by: int,
    tokens: Sequence[str],
    now_ms: int,
) -> list[int] | None:
    """Carry a difference out, all of it, and return the ids of the trackers that were added.

    None, and nothing is written, where the trackers are no longer those that were seen. `tokens`
    are the tracking tokens of the added ones.
    """
    if not _is_as_seen(connection, reach, seen):
        return None
    account_id = reach.account_id
    touched = (*(one.tracker for one in difference.changed), *difference.pruned)
    revisions = {one.id: one.revision for one in touched}
    standing = rules.lock(connection, account_id, revisions)
    if {one.tracker_id: one.rules_revision for one in standing.values()} != revisions:
        return None
    for one in difference.pruned:
        trackers.delete(connection, account_id, one.id, now_ms)
    changed = [(standing[one.tracker.id], one.rules) for one in difference.changed]
    rules.replace_all(connection, changed, now_ms)
    drafts = [
        TrackerDraft(account_id, made_by, name, rules=wanted) for name, wanted in difference.added
    ]
    return trackers.create_all(connection, drafts, tokens, now_ms)


def _is_as_seen(connection: Connection, reach: Reach, seen: Sequence[KnownTracker]) -> bool:
    """Tell whether nothing happened since; files of one account are applied one after another."""
    locked = select(accounts.c.id).where(accounts.c.id == reach.account_id).with_for_update()
    connection.execute(locked)
    table = stored_trackers
    asked = select(table.c.id, table.c.name, table.c.rules_revision).where(
        table.c.account_id == reach.account_id, table.c.deleted_ms.is_(None)
    )
    if reach.owner_id is not None:
        asked = asked.where(table.c.owner_id == reach.owner_id)
    now = {(row.id, row.name, row.rules_revision) for row in connection.execute(asked)}
    return now == {(one.id, one.name, one.revision) for one in seen}
