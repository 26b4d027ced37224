"""Trackers and their tracking tokens: every question about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, insert, select, update

from server_stub.domain.health import Health, Memory, after_rules
from server_stub.domain.judging import judge_of
from server_stub.domain.naming import read_id
from server_stub.domain.rules import write as write_rules
from server_stub.domain.tracker import Tracker, TrackerDraft
from server_stub.store import channels, dialect, plans, rules, summaries
from server_stub.store.ids import new_id
from server_stub.store.tables import trackers, tracking_tokens, transitions, users
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

_LATEST_CAUSE = (
    select(transitions.c.cause)
    .where(
        transitions.c.account_id == trackers.c.account_id,
        transitions.c.tracker_id == trackers.c.id,
    )
    .order_by(transitions.c.id.desc())
    .limit(1)
    .correlate(trackers)
    .scalar_subquery()
)
_TRACKERS = (
    select(
        trackers.c.account_id,
        trackers.c.id,
        trackers.c.owner_id,
        users.c.email.label("owner_email"),
        trackers.c.name,
        trackers.c.state,
        trackers.c.device_id,
        trackers.c.source,
        trackers.c.created_ms,
        trackers.c.last_run_ms,
        trackers.c.last_status,
        trackers.c.due_ms,
        trackers.c.rules,
        trackers.c.rules_revision,
        trackers.c.memory,
        tracking_tokens.c.token.label("tracking_token"),
        _LATEST_CAUSE.label("cause"),
    )
    .join_from(trackers, users, users.c.id == trackers.c.owner_id)
    .join(
        tracking_tokens,
        and_(
            tracking_tokens.c.account_id == trackers.c.account_id,
            tracking_tokens.c.tracker_id == trackers.c.id,
            tracking_tokens.c.revoked_ms.is_(None),
        ),
    )
    .where(trackers.c.deleted_ms.is_(None))
)


def create(connection: Connection, draft: TrackerDraft, token: str, now_ms: int) -> int | None:
    """Add a tracker and its tracking token and return its id.

    None when its owner's device has one for this source already: nothing is then written. Raises
    ProblemError (402) where the account's plan has no room for another one.
    """
    tracker_id = new_id()
    adding = (
        dialect.insert(connection, trackers)
        .values(_row(draft, tracker_id, now_ms))
        .on_conflict_do_nothing()
        .returning(trackers.c.id)
    )
    if connection.execute(adding).first() is None:
        return None
    plans.require_room(connection, draft.account_id)
    _add_token(connection, draft.account_id, tracker_id, token, now_ms)
    wanted = draft.rules.alerting.channels
    if wanted:
        channels.sync(connection, draft.account_id, tracker_id, wanted, now_ms)
    summaries.begin(connection, draft.account_id, tracker_id, draft.rules.summary, now_ms)
    return tracker_id


def create_all(
    connection: Connection, drafts: Sequence[TrackerDraft], tokens: Sequence[str], now_ms: int
) -> list[int]:
    """Add trackers of no device, each with its tracking token, and return their ids.

    Raises ProblemError (402) where the account's plan has no room for all of them.
    """
    ids = [new_id() for _ in drafts]
    rows = [_row(draft, number, now_ms) for draft, number in zip(drafts, ids, strict=True)]
    if rows:
        connection.execute(insert(trackers), rows)
        for account_id in {draft.account_id for draft in drafts}:
            plans.require_room(connection, account_id)
        given = [
            _token_row(draft.account_id, number, token, now_ms)
            for draft, number, token in zip(drafts, ids, tokens, strict=True)
        ]
        connection.execute(insert(tracking_tokens), given)
    for draft, number in zip(drafts, ids, strict=True):
        wanted = draft.rules.alerting.channels
        if wanted:
            channels.sync(connection, draft.account_id, number, wanted, now_ms)
        summaries.begin(connection, draft.account_id, number, draft.rules.summary, now_ms)
    return ids


def _row(draft: TrackerDraft, tracker_id: int, now_ms: int) -> dict[str, object]:
    text = write_rules(draft.rules)
    health = after_rules(Health(), judge_of(text), now_ms).health
    return {
        "account_id": draft.account_id,
        "id": tracker_id,
        "owner_id": draft.owner_id,
        "name": draft.name,
        "state": health.state.value,
        "due_ms": health.due_ms,
        "wake_ms": health.wake_ms,
        "memory": msgspec.json.encode(health.memory).decode(),
        "rules": text,
        "device_id": draft.device_id,
        "source": draft.source,
        "created_ms": now_ms,
    }


def get_or_create(
    connection: Connection, draft: TrackerDraft, token: str, now_ms: int
) -> tuple[Tracker, bool]:
    """Return the tracker that a device has for a source, and whether it was made just now."""
    made = create(connection, draft, token, now_ms) is not None
    tracker = find_of_device(connection, draft)
    if tracker is None:
        raise LookupError("a device's tracker vanished in the transaction that made or met it")
    return tracker, made


def find(connection: Connection, tracker_id: int, account_ids: Collection[int]) -> Tracker | None:
    """Return a tracker that is not deleted, if it belongs to one of these accounts."""
    found = _read(connection, trackers.c.account_id.in_(account_ids), trackers.c.id == tracker_id)
    return found[0] if found else None


def find_of_device(connection: Connection, draft: TrackerDraft) -> Tracker | None:
    """Return the tracker that a device of this owner has for a source."""
    found = _read(
        connection,
        trackers.c.account_id == draft.account_id,
        trackers.c.owner_id == draft.owner_id,
        trackers.c.device_id == draft.device_id,
        trackers.c.source == draft.source,
    )
    return found[0] if found else None


def of_account(
    connection: Connection, account_id: int, owner_id: int | None = None
) -> Sequence[Tracker]:
    """Return an account's trackers, or those of one owner in it, by name."""
    owned = () if owner_id is None else (trackers.c.owner_id == owner_id,)
    return _read(connection, trackers.c.account_id == account_id, *owned)


def change(
    connection: Connection, tracker: Tracker, *, name: str, paused: bool | None, now_ms: int
) -> None:
    """Rename a tracker where the name differs from what the caller saw; pause or resume it."""
    place = (tracker.account_id, tracker.id)
    if name != tracker.name:
        _change(connection, *place, name=name)
    match paused:
        case True:
            rules.pause(connection, *place, now_ms)
        case False:
            rules.resume(connection, *place, now_ms)


def delete(connection: Connection, account_id: int, tracker_id: int, now_ms: int) -> None:
    """Delete a tracker: its runs and sums stay, its tracking token is answered as gone."""
    _change(
        connection,
        account_id,
        tracker_id,
        deleted_ms=now_ms,
        due_ms=None,
        wake_ms=None,
        memory_revision=trackers.c.memory_revision + 1,
    )
    channels.close(connection, account_id, tracker_id, now_ms)


def rotate(connection: Connection, tracker: Tracker, token: str, now_ms: int) -> None:
    """Give a tracker another tracking token; the one before is revoked at once.

    Whoever rotates at the same moment waits for this one and revokes its token in turn.
    """
    connection.execute(
        select(trackers.c.id)
        .where(trackers.c.account_id == tracker.account_id, trackers.c.id == tracker.id)
        .with_for_update()
    )
    revoked = (
        update(tracking_tokens)
        .where(
            tracking_tokens.c.account_id == tracker.account_id,
            tracking_tokens.c.tracker_id == tracker.id,
            tracking_tokens.c.revoked_ms.is_(None),
        )
        .values(revoked_ms=now_ms)
    )
    connection.execute(revoked)
    _add_token(connection, tracker.account_id, tracker.id, token, now_ms)


def names(connection: Connection, account_id: int) -> dict[int, str]:
    """Return the names of an account's trackers by id, deleted ones included."""
    asked = select(trackers.c.id, trackers.c.name).where(trackers.c.account_id == account_id)
    return {row.id: row.name for row in connection.execute(asked)}


def ids_named(
    connection: Connection, account_id: int, name_or_id: str, owner_id: int | None = None
) -> tuple[int, ...]:
    """Return the trackers of an account, or of one owner in it, that bear this name or this id.

    Deleted ones are included.
    """
    meant: ColumnElement[bool] = trackers.c.name == name_or_id
    number = read_id(name_or_id)
    if number is not None:
        meant |= trackers.c.id == number
    asked = select(trackers.c.id).where(trackers.c.account_id == account_id, meant)
    if owner_id is not None:
        asked = asked.where(trackers.c.owner_id == owner_id)
    return tuple(connection.execute(asked).scalars())


def _change(connection: Connection, account_id: int, tracker_id: int, **values: object) -> None:
    changed = update(trackers).where(
        trackers.c.account_id == account_id, trackers.c.id == tracker_id
    )
    connection.execute(changed.values(values))


def _add_token(
    connection: Connection, account_id: int, tracker_id: int, token: str, now_ms: int
) -> None:
    values = _token_row(account_id, tracker_id, token, now_ms)
    connection.execute(insert(tracking_tokens).values(values))


def _token_row(account_id: int, tracker_id: int, token: str, now_ms: int) -> dict[str, object]:
    return {
        "token": token,
        "account_id": account_id,
        "tracker_id": tracker_id,
        "created_ms": now_ms,
    }


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> list[Tracker]:
    asked = _TRACKERS.where(*conditions).order_by(trackers.c.name, trackers.c.id)
    return [_tracker(row) for row in connection.execute(asked)]


def _tracker(row: Row[*tuple[Any, ...]]) -> Tracker:
    return Tracker(
        account_id=row.account_id,
        id=row.id,
        owner_id=row.owner_id,
        owner_email=row.owner_email,
        name=row.name,
        state=TrackerState(row.state),
        device_id=row.device_id,
        source=row.source,
        created_ms=row.created_ms,
        last_run_ms=row.last_run_ms,
        last_status=row.last_status,
        tracking_token=row.tracking_token,
        due_ms=row.due_ms,
        rules=row.rules,
        rules_revision=row.rules_revision,
        failing_since_ms=msgspec.json.decode(row.memory, type=Memory).failing_since_ms,
        cause=row.cause or "",
    )
