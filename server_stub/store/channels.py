"""Channels, where alerts go: every question about them.

A row outlives the rules that named it, so that whoever unsubscribed stays so. The owner's address,
which alerts go to where the rules name no other, has a row too, that is listed nowhere.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from server_stub.domain.channel import (
    SECRET_OVERLAP_MS,
    SIGNED_KINDS,
    WEBHOOK_KINDS,
    Subscription,
    new_secret,
    not_in_plan,
)
from server_stub.domain.plan import PLANS, UNLIMITED
from server_stub.store import deliveries, dialect
from server_stub.store.ids import new_id
from server_stub.store.tables import accounts, channels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from telemhq_agents.contract.rules import Channel

REMOVED = "its channel was removed"
UNSUBSCRIBED = "its receiver unsubscribed"
DELETED = "its tracker was deleted"


# Put together once: a file changes thousands, and building a statement costs more than running it.
_ONE = update(channels).where(
    channels.c.account_id == bindparam("in_account"),
    channels.c.tracker_id == bindparam("of_tracker"),
    channels.c.id == bindparam("of_channel"),
)
_REMOVE = _ONE.values(removed_ms=bindparam("at_ms"))
_LIST_AGAIN = _ONE.values(
    removed_ms=None,
    created_ms=bindparam("at_ms"),
    secret=bindparam("fresh"),
    secret_before="",
    secret_before_until_ms=None,
)


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A channel with its secrets. Times are milliseconds UTC.

    `secret_before` signs too, until `secret_before_until_ms`. With `removed_ms` the rules name it
    no more (or never did: the owner's address).
    """

    account_id: int
    tracker_id: int
    id: int
    kind: str
    target: str
    secret: str
    secret_before: str
    secret_before_until_ms: int | None
    created_ms: int
    unsubscribed_ms: int | None
    removed_ms: int | None

    @property
    def subscription(self) -> Subscription:
        """What the unsubscribe link of its mail opens."""
        return Subscription(self.account_id, self.tracker_id, self.id, self.secret)

    def secrets_at(self, now_ms: int) -> list[str]:
        """Return the secrets that sign at a moment, the newest first."""
        overlap = self.secret_before_until_ms
        before = [self.secret_before] if overlap is not None and now_ms < overlap else []
        return [secret for secret in (self.secret, *before) if secret]


def sync(
    connection: Connection,
    account_id: int,
    tracker_id: int,
    wanted: Sequence[Channel],
    now_ms: int,
) -> None:
    """Make one tracker's channels what its rules name, as `sync_all` does."""
    sync_all(connection, account_id, {tracker_id: wanted}, now_ms)


def sync_all(
    connection: Connection,
    account_id: int,
    wanted: Mapping[int, Sequence[Channel]],
    now_ms: int,
) -> None:
    """Make the channels of an account's trackers what their rules name.

    A new one gets a secret of its own; what waits for one that is no longer named is withdrawn. A
    webhook that comes back has another secret than before; an address that unsubscribed stays so.
    Raises ProblemError (402) where a webhook is new that the account's plan does not allow.
    """
    held: dict[int, dict[tuple[str, str], StoredChannel]] = {one: {} for one in wanted}
    for channel in of_trackers(connection, account_id, sorted(wanted)):
        held[channel.tracker_id][channel.kind, channel.target] = channel
    removed: list[StoredChannel] = []
    added: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    needs_webhooks = False
    for tracker_id, channels_wanted in sorted(wanted.items()):
        known = held[tracker_id]
        named = {(str(one.kind), one.target) for one in channels_wanted}
        listed_before = {key for key, one in known.items() if one.removed_ms is None}
        removed += [known[key] for key in sorted(listed_before - named)]
        for key in sorted(named - listed_before):
            needs_webhooks |= key[0] in WEBHOOK_KINDS
            if key in known:
                again.append(_listed_again(known[key], now_ms))
            else:
                added.append(_row((account_id, tracker_id), key, now_ms=now_ms))
    if needs_webhooks:
        check_plan(connection, account_id)
    if removed:
        connection.execute(_REMOVE, [{**_id_of(one), "at_ms": now_ms} for one in removed])
        ids = [one.id for one in removed]
        deliveries.withdraw_channels(connection, account_id, ids, REMOVED, now_ms)
    if again:
        connection.execute(_LIST_AGAIN, again)
    if added:
        _insert(connection, added)


def close(connection: Connection, account_id: int, tracker_id: int, now_ms: int) -> None:
    """Tell nobody any more about a tracker that is deleted."""
    deliveries.withdraw_tracker(connection, account_id, tracker_id, DELETED, now_ms)
    sync(connection, account_id, tracker_id, (), now_ms)


def check_plan(connection: Connection, account_id: int) -> None:
    """Raise ProblemError (402) where an account's plan allows no webhooks."""
    asked = select(accounts.c.plan).where(accounts.c.id == account_id)
    plan = PLANS.get(connection.execute(asked).scalar_one_or_none() or UNLIMITED)
    if plan is not None and not plan.webhooks:
        raise not_in_plan(plan.name)


def _id_of(channel: StoredChannel) -> dict[str, int]:
    return {
        "in_account": channel.account_id,
        "of_tracker": channel.tracker_id,
        "of_channel": channel.id,
    }


def _listed_again(known: StoredChannel, now_ms: int) -> dict[str, Any]:
    fresh = new_secret(known.kind) if known.kind in SIGNED_KINDS else known.secret
    return {**_id_of(known), "at_ms": now_ms, "fresh": fresh}


def mailbox(
    connection: Connection,
    account_id: int,
    tracker_id: int,
    *,
    kind: str,
    address: str,
    now_ms: int,
) -> StoredChannel:
    """Return the row behind mail of a kind to an address that no rules name; make it if need be."""
    condition = (
        channels.c.account_id == account_id,
        channels.c.tracker_id == tracker_id,
        channels.c.kind == kind,
        channels.c.target == address,
    )
    found = _read(connection, *condition)
    if not found:
        place = (account_id, tracker_id)
        _insert(connection, [_row(place, (kind, address), now_ms=now_ms, removed_ms=now_ms)])
        found = _read(connection, *condition)
    return found[0]


def of_trackers(
    connection: Connection, account_id: int, tracker_ids: Collection[int]
) -> list[StoredChannel]:
    """Return every channel of these trackers, in the order they came, unlisted ones included."""
    return _read(
        connection, channels.c.account_id == account_id, channels.c.tracker_id.in_(tracker_ids)
    )


def listed(found: Iterable[StoredChannel]) -> list[StoredChannel]:
    """Leave out the channels that the rules don't name."""
    return [one for one in found if one.removed_ms is None]


def find(
    connection: Connection, account_id: int, tracker_id: int, channel_id: int
) -> StoredChannel | None:
    """Return one channel, also one that is listed nowhere."""
    found = _read(
        connection,
        channels.c.account_id == account_id,
        channels.c.tracker_id == tracker_id,
        channels.c.id == channel_id,
    )
    return found[0] if found else None


def find_subscription(connection: Connection, asked: Subscription) -> StoredChannel | None:
    """Return the channel that an unsubscribe link opens; None where its secret is another."""
    found = find(connection, asked.account_id, asked.tracker_id, asked.channel_id)
    if found is None or not hmac.compare_digest(found.secret.encode(), asked.secret.encode()):
        return None
    return found


def rotate(connection: Connection, channel: StoredChannel, secret: str, now_ms: int) -> None:
    """Give a webhook another secret; the one before signs beside it for a day."""
    _change(
        connection,
        channel,
        secret=secret,
        secret_before=channel.secret,
        secret_before_until_ms=now_ms + SECRET_OVERLAP_MS,
    )


def unsubscribe(connection: Connection, channel: StoredChannel, now_ms: int) -> None:
    """Send nothing more to an address, and withdraw what waits for it."""
    _change(connection, channel, unsubscribed_ms=now_ms)
    deliveries.withdraw_channels(connection, channel.account_id, [channel.id], UNSUBSCRIBED, now_ms)


def subscribe(connection: Connection, *stopped: StoredChannel) -> None:
    """Take unsubscriptions back."""
    for channel in stopped:
        _change(connection, channel, unsubscribed_ms=None)


def _row(
    place: tuple[int, int],
    key: tuple[str, str],
    *,
    now_ms: int,
    removed_ms: int | None = None,
) -> dict[str, Any]:
    (account_id, tracker_id), (kind, target) = place, key
    return {
        "account_id": account_id,
        "tracker_id": tracker_id,
        "id": new_id(),
        "kind": kind,
        "target": target,
        "secret": new_secret(kind),
        "created_ms": now_ms,
        "removed_ms": removed_ms,
    }


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(dialect.insert(connection, channels).on_conflict_do_nothing(), rows)


def _change(connection: Connection, channel: StoredChannel, **values: object) -> None:
    changed = update(channels).where(
        channels.c.account_id == channel.account_id,
        channels.c.tracker_id == channel.tracker_id,
        channels.c.id == channel.id,
    )
    connection.execute(changed.values(values))


def _read(connection: Connection, *conditions: ColumnElement[bool]) -> list[StoredChannel]:
    asked = select(channels).where(*conditions).order_by(channels.c.created_ms, channels.c.id)
    return [_channel(row) for row in connection.execute(asked)]


def _channel(row: Row[*tuple[Any, ...]]) -> StoredChannel:
    return StoredChannel(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
