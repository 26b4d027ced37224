"""Status pages and badges, which need no login: every question about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from server_stub.domain.status_days import Turn
from server_stub.store import dialect
from server_stub.store.ids import first_of, new_id
from server_stub.store.tables import badges, status_pages, trackers, transitions
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

MOST_PAGES = 100
"""Of one account."""

MOST_TURNS = 10_000
"""Changes of state of one tracker that a page looks at."""

Shown = tuple[int, str]
"""A tracker's id, and what the public reads."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A status page; `trackers` are in the order they are shown."""

    account_id: int
    id: int
    title: str
    trackers: tuple[Shown, ...]
    public_token: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class StoredBadge:
    """The badge of a tracker."""

    account_id: int
    tracker_id: int
    public_token: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tracker stands now."""

    id: int
    owner_id: int
    name: str
    state: TrackerState
    last_run_ms: int | None


def add_page(
    connection: Connection,
    account_id: int,
    title: str,
    shown: Sequence[Shown],
    *,
    token: str,
    now_ms: int,
) -> StoredPage | None:
    """Add a status page; None where the account has too many already."""
    count = connection.execute(
        select(func.count()).where(status_pages.c.account_id == account_id)
    ).scalar_one()
    if count >= MOST_PAGES:
        return None
    page = StoredPage(account_id, new_id(), title, tuple(shown), token, now_ms)
    values = {
        "account_id": account_id,
        "id": page.id,
        "title": title,
        "trackers": json.dumps(page.trackers),
        "public_token": token,
        "created_ms": now_ms,
    }
    connection.execute(insert(status_pages).values(values))
    return page


def change_page(
    connection: Connection, page: StoredPage, title: str, shown: Sequence[Shown]
) -> bool:
    """Change what a page is called and shows; False where it is gone."""
    changed = update(status_pages).where(*_is(page)).values(title=title, trackers=json.dumps(shown))
    return connection.execute(changed).rowcount == 1


def remove_page(connection: Connection, page: StoredPage) -> None:
    """Remove a status page; its address is gone for ever."""
    connection.execute(delete(status_pages).where(*_is(page)))


def pages_of(connection: Connection, account_id: int) -> list[StoredPage]:
    """Return an account's status pages by title."""
    return _pages(connection, status_pages.c.account_id == account_id)


def find_page(
    connection: Connection, page_id: int, account_ids: Collection[int]
) -> StoredPage | None:
    """Return a status page of any of these accounts."""
    found = _pages(
        connection, status_pages.c.id == page_id, status_pages.c.account_id.in_(account_ids)
    )
    return found[0] if found else None


def page_at(connection: Connection, token: str) -> StoredPage | None:
    """Return the status page behind a public address."""
    found = _pages(connection, status_pages.c.public_token == token)
    return found[0] if found else None


def standings(
    connection: Connection, account_id: int, tracker_ids: Collection[int]
) -> dict[int, Standing]:
    """Return how these trackers stand, those that were deleted left out."""
    columns = [trackers.c[name] for name in Standing.__slots__]
    asked = select(*columns).where(
        trackers.c.account_id == account_id,
        trackers.c.id.in_(tracker_ids),
        trackers.c.deleted_ms.is_(None),
    )
    return {row.id: _standing(row) for row in connection.execute(asked)}


def owners(connection: Connection, page: StoredPage) -> set[int]:
    """Return whose trackers a page was made of, deleted ones included."""
    asked = select(trackers.c.owner_id).where(
        trackers.c.account_id == page.account_id,
        trackers.c.id.in_([tracker_id for tracker_id, _ in page.trackers]),
    )
    return set(connection.execute(asked).scalars())


def turns(connection: Connection, account_id: int, tracker_id: int, since_ms: int) -> list[Turn]:
    """Return a tracker's changes of state since a moment, in order, and the last one before."""
    whose = (transitions.c.account_id == account_id, transitions.c.tracker_id == tracker_id)
    columns = (transitions.c.at_ms, transitions.c.to_state)
    newest_first = select(*columns).where(*whose).order_by(transitions.c.id.desc())
    first = first_of(since_ms)
    found = [
        *connection.execute(newest_first.where(transitions.c.id >= first).limit(MOST_TURNS)),
        *connection.execute(newest_first.where(transitions.c.id < first).limit(1)),
    ]
    if len(found) > MOST_TURNS:
        found.pop()
    return [Turn(row.at_ms, TrackerState(row.to_state)) for row in reversed(found)]


def give_badge(
    connection: Connection, account_id: int, tracker_id: int, token: str, now_ms: int
) -> StoredBadge:
    """Return a tracker's badge, made where there was none."""
    values = {
        "account_id": account_id,
        "tracker_id": tracker_id,
        "public_token": token,
        "created_ms": now_ms,
    }
    connection.execute(dialect.insert(connection, badges).values(values).on_conflict_do_nothing())
    return _badges(connection, *_is_of(account_id, tracker_id))[0]


def badge_of(connection: Connection, account_id: int, tracker_id: int) -> StoredBadge | None:
    """Return a tracker's badge."""
    found = _badges(connection, *_is_of(account_id, tracker_id))
    return found[0] if found else None


def badge_at(connection: Connection, token: str) -> StoredBadge | None:
    """Return the badge behind a public address."""
    found = _badges(connection, badges.c.public_token == token)
    return found[0] if found else None


def take_badge(connection: Connection, account_id: int, tracker_id: int) -> None:
    """Take a tracker's badge away; its address is gone for ever."""
    connection.execute(delete(badges).where(*_is_of(account_id, tracker_id)))


def _is(page: StoredPage) -> tuple[ColumnElement[bool], ...]:
    return (status_pages.c.account_id == page.account_id, status_pages.c.id == page.id)


def _is_of(account_id: int, tracker_id: int) -> tuple[ColumnElement[bool], ...]:
    return (badges.c.account_id == account_id, badges.c.tracker_id == tracker_id)


def _pages(connection: Connection, *conditions: ColumnElement[bool]) -> list[StoredPage]:
    asked = select(status_pages).where(*conditions)
    asked = asked.order_by(status_pages.c.title, status_pages.c.id)
    return [_page(row) for row in connection.execute(asked)]


def _page(row: Row[*tuple[Any, ...]]) -> StoredPage:
    shown = tuple((int(tracker_id), str(label)) for tracker_id, label in json.loads(row.trackers))
    return StoredPage(row.account_id, row.id, row.title, shown, row.public_token, row.created_ms)


def _badges(connection: Connection, *conditions: ColumnElement[bool]) -> list[StoredBadge]:
    return [StoredBadge(*row) for row in connection.execute(select(badges).where(*conditions))]


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    return Standing(row.id, row.owner_id, row.name, TrackerState(row.state), row.last_run_ms)
