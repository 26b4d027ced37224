"""Status pages: which trackers the public may see, at an address that nobody can guess."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from server_stub.api import refusals
from server_stub.api.caller import (
    AccountChoice,
    CurrentAccount,
    CurrentCaller,
    CurrentStore,
    PublicUrl,
    membership_of,
    require,
)
from server_stub.api.documented import BODY, refusing
from server_stub.api.texts import Label, Name
from server_stub.domain.credentials import new_token
from server_stub.domain.membership import Action, Caller, Membership, changing, may, seeing
from server_stub.domain.naming import clean_name, read_id
from server_stub.store import public
from server_stub.store.engine import Store
from server_stub.store.public import MOST_PAGES, Shown, StoredPage
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.public import MOST_SHOWN, ShownTracker, StatusPage
from telemhq_agents.errors import UsageError

router = APIRouter(tags=["status pages"])


class ShownDraft(BaseModel):
    """A tracker to be shown, by id; under its own name where there is no `label`."""

    model_config = ConfigDict(extra="forbid")

    tracker: str
    label: Label = ""


class StatusPageDraft(BaseModel):
    """What a status page is called and shows, in this order, each tracker once."""

    model_config = ConfigDict(extra="forbid")

    title: Name
    trackers: Annotated[list[ShownDraft], Field(min_length=1, max_length=MOST_SHOWN)]


FoundPage = tuple[StoredPage, Membership]


def found_page(
    page_id: str, caller: CurrentCaller, store: CurrentStore, account: AccountChoice = None
) -> FoundPage:
    """Find a status page in any account of the caller's, or in the one named."""
    chosen = caller.accounts() if account is None else [membership_of(caller, account, "account")]
    open_accounts = {membership.account_id: membership for membership in chosen}
    number = read_id(page_id)
    with store.read() as connection:
        page = None if number is None else public.find_page(connection, number, open_accounts)
    if page is None:
        raise refusals.not_found("status page", page_id)
    return page, open_accounts[page.account_id]


def seen_page(
    found: Annotated[FoundPage, Depends(found_page)], caller: CurrentCaller, store: CurrentStore
) -> StoredPage:
    """Return a page all of whose trackers the caller may see."""
    page, membership = found
    require(membership, seeing(own=_all_own(store, page, caller)))
    return page


def changeable_page(
    found: Annotated[FoundPage, Depends(found_page)], caller: CurrentCaller, store: CurrentStore
) -> FoundPage:
    """Return a page all of whose trackers the caller may change."""
    page, membership = found
    require(membership, changing(own=_all_own(store, page, caller)))
    return page, membership


SeenPage = Annotated[StoredPage, Depends(seen_page)]
ChangeablePage = Annotated[FoundPage, Depends(changeable_page)]


@router.get(routes.STATUS_PAGES, responses=refusing(401, 403, 404))
def list_status_pages(
    acting: CurrentAccount, store: CurrentStore, public_url: PublicUrl
) -> list[StatusPage]:
    """List the account's status pages: those of your trackers alone, all for managers and owners."""
    everything = may(acting.membership.role, Action.SEE_ANY_TRACKER)
    with store.read() as connection:
        found = public.pages_of(connection, acting.account_id)
    return [
        _shown(store, page, public_url)
        for page in found
        if everything or _all_own(store, page, acting.caller)
    ]


@router.post(routes.STATUS_PAGES, status_code=201, responses=refusing(*BODY, 401, 403, 404, 409))
def create_status_page(
    acting: CurrentAccount, store: CurrentStore, public_url: PublicUrl, body: StatusPageDraft
) -> StatusPage:
    """Show trackers that you may change to whoever knows the page's `url`.

    It tells their names (or `label`), states, when the last run came, and how 90 days went.
    """
    title, shown = _checked(store, acting.caller, acting.membership, body)
    token = new_token()
    account_id = acting.account_id
    page = store.write(
        lambda connection: public.add_page(
            connection, account_id, title, shown, token=token, now_ms=now_ms()
        )
    )
    if page is None:
        raise refusals.too_many_pages(MOST_PAGES)
    return _shown(store, page, public_url)


@router.get(routes.STATUS_PAGE, responses=refusing(401, 403, 404))
def show_status_page(page: SeenPage, store: CurrentStore, public_url: PublicUrl) -> StatusPage:
    """Show what a status page is about."""
    return _shown(store, page, public_url)


@router.put(routes.STATUS_PAGE, responses=refusing(*BODY, 401, 403, 404))
def change_status_page(
    found: ChangeablePage,
    caller: CurrentCaller,
    store: CurrentStore,
    public_url: PublicUrl,
    body: StatusPageDraft,
) -> StatusPage:
    """Give a status page another title or other trackers; its address stays."""
    page, membership = found
    title, shown = _checked(store, caller, membership, body)
    if not store.write(lambda connection: public.change_page(connection, page, title, shown)):
        raise refusals.not_found("status page", str(page.id))
    with store.read() as connection:
        changed = public.find_page(connection, page.id, [page.account_id])
    return _shown(store, changed or page, public_url)


@router.delete(routes.STATUS_PAGE, status_code=204, responses=refusing(401, 403, 404))
def remove_status_page(found: ChangeablePage, store: CurrentStore) -> None:
    """Take a status page down, for ever: another one has another address."""
    page, _ = found
    store.write(lambda connection: public.remove_page(connection, page))


def _all_own(store: Store, page: StoredPage, caller: Caller) -> bool:
    """Tell whether a page was made of the caller's trackers alone: of theirs, deleted or not."""
    with store.read() as connection:
        return public.owners(connection, page) == {caller.user_id}


def _checked(
    store: Store, caller: Caller, membership: Membership, body: StatusPageDraft
) -> tuple[str, list[Shown]]:
    with refusals.naming("title"):
        title = clean_name(body.title)
    ids = [read_id(one.tracker) for one in body.trackers]
    named = [number for number in ids if number is not None]
    if len(set(named)) < len(named):
        how = UsageError("a tracker is shown twice", "Name each tracker once.")
        raise refusals.invalid("trackers", how)
    with store.read() as connection:
        standing = public.standings(connection, membership.account_id, named)
    shown: list[Shown] = []
    for number, one in zip(ids, body.trackers, strict=True):
        tracker = None if number is None else standing.get(number)
        if number is None or tracker is None:
            raise refusals.not_found("tracker", one.tracker)
        require(membership, changing(own=tracker.owner_id == caller.user_id))
        with refusals.naming("label"):
            shown.append((number, clean_name(one.label) if one.label else ""))
    return title, shown


def _shown(store: Store, page: StoredPage, public_url: str) -> StatusPage:
    with store.read() as connection:
        ids = [tracker_id for tracker_id, _ in page.trackers]
        standing = public.standings(connection, page.account_id, ids)
    return StatusPage(
        id=str(page.id),
        account=str(page.account_id),
        title=page.title,
        url=public_url + routes.PUBLIC_STATUS.format(public_token=page.public_token),
        trackers=[
            ShownTracker(str(tracker_id), label or standing[tracker_id].name)
            for tracker_id, label in page.trackers
            if tracker_id in standing
        ],
        created_at=to_iso(page.created_ms),
    )
