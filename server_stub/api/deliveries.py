"""Deliveries: what was sent to whom, what became of it, and sending it once more."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from server_stub.api import delivery_shapes as shapes
from server_stub.api import refusals
from server_stub.api.caller import CurrentAccount, CurrentCaller, CurrentStore, require
from server_stub.api.documented import refusing
from server_stub.api.texts import Cursor
from server_stub.domain.channel import WEBHOOK_KINDS
from server_stub.domain.membership import Action, Caller, Membership, changing, may, seeing
from server_stub.domain.naming import read_id
from server_stub.domain.problem import ProblemError
from server_stub.notify.letters import letter
from server_stub.notify.notifier import message_id_of, stop_link_of
from server_stub.store import channels, deliveries, delivery_log
from server_stub.store.delivery_log import Asked, LoggedDelivery
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.deliveries import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    Mail,
    Medium,
)
from telemhq_agents.contract.problem import Problem

router = APIRouter(tags=["alerts"])

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
KINDS = {Medium.MAIL: deliveries.MAIL_KINDS, Medium.WEBHOOK: WEBHOOK_KINDS}


def found_delivery(
    delivery_id: str, caller: CurrentCaller, store: CurrentStore
) -> tuple[LoggedDelivery, Membership]:
    """Find a delivery of any account of the caller's."""
    number = read_id(delivery_id)
    open_accounts = {membership.account_id: membership for membership in caller.accounts()}
    with store.read() as connection:
        found = (
            None if number is None else delivery_log.find(connection, number, list(open_accounts))
        )
    if found is None:
        raise refusals.not_found("delivery", delivery_id)
    return found, open_accounts[found.delivery.account_id]


Found = Annotated[tuple[LoggedDelivery, Membership], Depends(found_delivery)]


async def seen_delivery(found: Found, caller: CurrentCaller) -> LoggedDelivery:
    """Return a delivery that the caller may see: of a tracker they see, or an invitation."""
    delivery, membership = found
    if not _is_own_test(delivery, caller):
        invitation = delivery.delivery.tracker_id is None
        own = delivery.owner_id == caller.user_id
        require(membership, Action.SEE_INVITATIONS if invitation else seeing(own=own))
    return delivery


async def repeatable_delivery(found: Found, caller: CurrentCaller) -> LoggedDelivery:
    """Return a delivery that the caller may have sent once more."""
    delivery, membership = found
    if not _is_own_test(delivery, caller):
        invitation = delivery.delivery.tracker_id is None
        own = delivery.owner_id == caller.user_id
        require(membership, Action.INVITE if invitation else changing(own=own))
    return delivery


def _is_own_test(delivery: LoggedDelivery, caller: Caller) -> bool:
    """Tell whether the caller asked for this mail, to their own address."""
    mail = delivery.delivery
    return mail.event == deliveries.TEST_EVENT and mail.target == caller.email


SeenDelivery = Annotated[LoggedDelivery, Depends(seen_delivery)]
RepeatableDelivery = Annotated[LoggedDelivery, Depends(repeatable_delivery)]


async def asked_for(
    tracker: Annotated[str | None, Query(description="Only of this tracker, by id.")] = None,
    by: Annotated[Medium | None, Query(description="Only mail, or only webhooks.")] = None,
    state: DeliveryState | None = None,
    cursor: Cursor | None = None,
) -> Asked:
    """Read which deliveries somebody wants to see."""
    before_id = None if cursor is None else read_id(cursor)
    if cursor is not None and before_id is None:
        raise refusals.cursor_unknown(cursor)
    return Asked(
        tracker_id=None if tracker is None else _tracker_id(tracker),
        kinds=None if by is None else KINDS[by],
        state=None if state is None else state.value,
        before_id=before_id,
    )


@router.get(routes.DELIVERIES, responses=refusing(401, 403, 404))
def list_deliveries(
    acting: CurrentAccount,
    store: CurrentStore,
    asked: Annotated[Asked, Depends(asked_for)],
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = DEFAULT_PAGE,
) -> DeliveryPage:
    """List what was sent or waits, newest first: of your trackers, everybody's for managers.

    Your own tests of mail are among them. Managers and owners also see the mail that invites people.
    """
    if not may(acting.membership.role, Action.SEE_ANY_TRACKER):
        caller = acting.caller
        asked = replace(asked, owner_id=caller.user_id, own_address=caller.email)
    with store.read() as connection:
        found = delivery_log.page(connection, acting.account_id, asked, limit + 1)
    shown = [shapes.delivery(one) for one in found[:limit]]
    return DeliveryPage(shown, shown[-1].id if len(found) > limit else None)


@router.get(routes.DELIVERY, responses=refusing(401, 403, 404))
def show_delivery(found: SeenDelivery, store: CurrentStore, request: Request) -> DeliveryDetail:
    """Show a delivery: what it says and how each attempt went."""
    delivery = found.delivery
    with store.read() as connection:
        log = delivery_log.attempts(connection, delivery.account_id, delivery.id)
    is_mail = delivery.kind in deliveries.MAIL_KINDS
    return DeliveryDetail(
        delivery=shapes.delivery(found),
        message_id=message_id_of(delivery),
        log=[shapes.attempt(one) for one in log],
        body=None if is_mail else delivery.content,
        mail=_mail(store, found, request.app.state.settings.public_url) if is_mail else None,
    )


@router.post(routes.DELIVERY_AGAIN, status_code=202, responses=refusing(401, 403, 404, 409))
def redeliver(found: RepeatableDelivery, store: CurrentStore) -> Delivery:
    """Send a delivery once more, at once and under the same id, whatever became of it.

    Where it fails again it is tried again only as often as it had attempts left.
    """
    delivery = found.delivery
    spent = delivery.event == deliveries.INVITATION_EVENT and (
        deliveries.SECRET_FIELD not in delivery.content
    )
    if spent:
        raise ProblemError(
            Problem(
                type="link-not-kept",
                title="The link of this invitation is not kept",
                status=409,
                next="invite them again: telemhq team invite EMAIL",
            )
        )
    store.write(lambda connection: deliveries.send_again(connection, delivery, now_ms()))
    with store.read() as connection:
        again = delivery_log.find(connection, delivery.id, [delivery.account_id])
    if again is None:
        raise refusals.not_found("delivery", str(delivery.id))
    return shapes.delivery(again)


def _tracker_id(text: str) -> int:
    number = read_id(text)
    if number is None:
        raise refusals.not_found("tracker", text)
    return number


def _mail(store: Store, found: LoggedDelivery, public_url: str) -> Mail:
    """Write a mail as it goes out, but for the link that would unsubscribe whoever gets it."""
    delivery = found.delivery
    channel = None
    if delivery.channel_id is not None and delivery.tracker_id is not None:
        with store.read() as connection:
            channel = channels.find(
                connection, delivery.account_id, delivery.tracker_id, delivery.channel_id
            )
    stop_link = stop_link_of(channel, public_url)
    shown = stop_link.rpartition("/")[0] + "/…" if stop_link else ""
    written = letter(delivery.content, stop_link=shown)
    return Mail(written.subject, written.text, written.html)
