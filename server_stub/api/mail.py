"""Mail to the caller's own address: trying whether it arrives, and taking an unsubscription back."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from fastapi import APIRouter

from server_stub.api import delivery_shapes as shapes
from server_stub.api.caller import CurrentAccount, CurrentCaller, CurrentStore
from server_stub.api.documented import refusing
from server_stub.api.trackers import SeenTracker
from server_stub.domain.channel import SUMMARY_KIND
from server_stub.domain.message import trial_letter
from server_stub.domain.problem import ProblemError
from server_stub.store import channels, deliveries, delivery_log, rules
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.deliveries import Delivery, Subscribed
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.rules import ChannelKind

router = APIRouter(tags=["alerts"])

KINDS = (ChannelKind.EMAIL.value, SUMMARY_KIND)


@router.post(routes.MAIL_TEST, status_code=202, responses=refusing(401, 403, 404, 409))
def try_mail(acting: CurrentAccount, store: CurrentStore) -> Delivery:
    """Mail a test to the caller's own address; GET …/deliveries/ID tells what became of it.

    Where no SMTP server is configured it is held, as all mail is.
    """
    now = now_ms()
    row = deliveries.row(
        account_id=acting.account_id,
        kind=ChannelKind.EMAIL.value,
        target=acting.caller.email,
        event=deliveries.TEST_EVENT,
        content=trial_letter(acting.caller.email, to_iso(now)),
        next_ms=now,
        now_ms=now,
    )
    added = store.write(lambda connection: deliveries.add_unless_waiting(connection, row))
    with store.read() as connection:
        found = delivery_log.find(connection, row["id"], [acting.account_id]) if added else None
    if found is None:
        raise ProblemError(
            Problem(
                type="test-under-way",
                title="A test to this address is under way",
                status=409,
                next="telemhq mail list shows what becomes of it",
            )
        )
    return shapes.delivery(found)


@router.post(routes.TRACKER_SUBSCRIBE, responses=refusing(401, 403, 404))
def subscribe(tracker: SeenTracker, caller: CurrentCaller, store: CurrentStore) -> Subscribed:
    """Take back that the caller's own address unsubscribed from mail about a tracker."""
    with store.read() as connection:
        of_tracker = channels.of_trackers(connection, tracker.account_id, [tracker.id])
        stored = rules.read(connection, tracker.account_id, tracker.id)
    own = [one for one in of_tracker if one.kind in KINDS and one.target == caller.email]
    stopped = [one for one in own if one.unsubscribed_ms is not None]
    if stopped:
        store.write(lambda connection: channels.subscribe(connection, *stopped))
    named: set[str] = set()
    if stored is not None:
        alerting = stored.rules.alerting
        named = {one.target for one in alerting.channels if one.kind is ChannelKind.EMAIL}
    return Subscribed(
        email=caller.email,
        again=sorted(one.kind for one in stopped),
        gets_alerts=caller.email in named if named else tracker.owner_id == caller.user_id,
    )
