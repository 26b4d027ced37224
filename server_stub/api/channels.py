"""Channels: where a tracker's alerts go, and the secrets that sign them."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from server_stub.api import delivery_shapes as shapes
from server_stub.api import refusals
from server_stub.api.caller import CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.rules import change_rules
from server_stub.api.texts import Target
from server_stub.api.trackers import ChangeableTracker, SeenTracker
from server_stub.domain import channel as channel_rules
from server_stub.domain.channel import SIGNED_KINDS, WEBHOOK_KINDS, new_secret
from server_stub.domain.message import AlertFacts, Telling, content
from server_stub.domain.naming import read_id
from server_stub.domain.problem import ProblemError
from server_stub.domain.tracker import Tracker
from server_stub.store import channels, deliveries, delivery_log
from server_stub.store.channels import StoredChannel
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.deliveries import Delivery, NewSecret, TrackerChannel
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.rules import Channel, ChannelKind, Rules

router = APIRouter(tags=["alerts"])


class ChannelDraft(BaseModel):
    """Where alerts are to go: an e-mail address, or a webhook's URL and its shape."""

    model_config = ConfigDict(extra="forbid")

    kind: ChannelKind
    target: Target


def found_channel(
    channel_id: str, tracker: ChangeableTracker, store: CurrentStore
) -> StoredChannel:
    """Find a channel that the rules of a tracker name, which the caller may change."""
    number = read_id(channel_id)
    with store.read() as connection:
        found = (
            None
            if number is None
            else channels.find(connection, tracker.account_id, tracker.id, number)
        )
    if found is None or found.removed_ms is not None:
        raise refusals.not_found("channel", channel_id)
    return found


FoundChannel = Annotated[StoredChannel, Depends(found_channel)]


@router.get(routes.TRACKER_CHANNELS, responses=refusing(401, 403, 404))
def list_channels(tracker: SeenTracker, store: CurrentStore) -> list[TrackerChannel]:
    """List where a tracker's alerts go; its owner is mailed too where no address is among them."""
    return [shapes.channel(one, now_ms()) for one in _listed(store, tracker)]


@router.post(
    routes.TRACKER_CHANNELS, status_code=201, responses=refusing(*BODY, 401, 402, 403, 404, 409)
)
def add_channel(tracker: ChangeableTracker, store: CurrentStore, draft: ChannelDraft) -> NewSecret:
    """Let alerts go to an address too; a webhook's `secret` is shown in this answer alone.

    This changes the tracker's rules, as `alerting.channels` of PUT …/rules does.
    """
    with refusals.naming("target"):
        wanted = channel_rules.clean(Channel(draft.kind, draft.target))

    def with_it(before: Rules) -> Rules:
        if wanted in before.alerting.channels:
            raise _there_already(wanted)
        named = [*before.alerting.channels, wanted]
        return replace(before, alerting=replace(before.alerting, channels=named))

    change_rules(store, tracker, with_it)
    made = next(
        (one for one in _listed(store, tracker) if (one.kind, one.target) == _key(wanted)), None
    )
    if made is None:
        raise refusals.busy_elsewhere()
    secret = made.secret if made.kind in SIGNED_KINDS else ""
    return NewSecret(shapes.channel(made, now_ms()), secret)


@router.get(routes.CHANNEL, responses=refusing(401, 403, 404))
def show_channel(channel: FoundChannel) -> TrackerChannel:
    """Show one channel, without its secret."""
    return shapes.channel(channel, now_ms())


@router.delete(routes.CHANNEL, status_code=204, responses=refusing(401, 403, 404, 409))
def remove_channel(tracker: ChangeableTracker, store: CurrentStore, channel: FoundChannel) -> None:
    """Send no more alerts there; what waits for it is withdrawn."""

    def without_it(before: Rules) -> Rules:
        stays = [
            one for one in before.alerting.channels if _key(one) != (channel.kind, channel.target)
        ]
        return replace(before, alerting=replace(before.alerting, channels=stays))

    change_rules(store, tracker, without_it)


@router.post(routes.CHANNEL_ROTATE, responses=refusing(401, 403, 404, 409))
def rotate_secret(store: CurrentStore, channel: FoundChannel) -> NewSecret:
    """Give a webhook another secret, shown in this answer alone; the old one signs too for a day."""
    if channel.kind not in SIGNED_KINDS:
        raise ProblemError(
            Problem(
                type="channel-not-signed",
                title=f"A channel of kind {channel.kind} has no secret",
                status=409,
                next="only webhook and generic channels are signed",
            )
        )
    secret, now = new_secret(channel.kind), now_ms()
    store.write(lambda connection: channels.rotate(connection, channel, secret, now))
    with store.read() as connection:
        rotated = channels.find(connection, channel.account_id, channel.tracker_id, channel.id)
    if rotated is None or rotated.secret != secret:
        raise refusals.busy_elsewhere()
    return NewSecret(shapes.channel(rotated, now), secret)


@router.post(routes.CHANNEL_TEST, status_code=202, responses=refusing(401, 402, 403, 404, 409))
def try_channel(tracker: ChangeableTracker, store: CurrentStore, channel: FoundChannel) -> Delivery:
    """Send a message that says it is a test; GET …/deliveries/ID tells what became of it."""
    if channel.kind in WEBHOOK_KINDS:
        with store.read() as connection:
            channels.check_plan(connection, tracker.account_id)
    now = now_ms()
    facts = AlertFacts(
        event=Telling.TEST,
        tracker_id=str(tracker.id),
        tracker_name=tracker.name,
        at=to_iso(now),
        message="somebody asked whether alerts arrive here",
    )
    row = deliveries.row(
        account_id=tracker.account_id,
        tracker_id=tracker.id,
        channel_id=channel.id,
        kind=channel.kind,
        target=channel.target,
        event=Telling.TEST.value,
        content=content(ChannelKind(channel.kind), facts),
        next_ms=now,
        now_ms=now,
    )
    added = store.write(lambda connection: deliveries.add_unless_waiting(connection, row))
    with store.read() as connection:
        found = delivery_log.find(connection, row["id"], [tracker.account_id]) if added else None
    if found is None:
        raise ProblemError(
            Problem(
                type="test-under-way",
                title="A test of this channel is under way",
                status=409,
                next="telemhq webhook deliveries shows what becomes of it",
            )
        )
    return shapes.delivery(found)


def _there_already(wanted: Channel) -> ProblemError:
    signed = wanted.kind in SIGNED_KINDS
    problem = Problem(
        type="channel-exists",
        title=f"Alerts go there already (kind {wanted.kind})",
        status=409,
        next="for another secret of it: telemhq webhook rotate"
        if signed
        else "telemhq tracker show names everywhere they go",
    )
    return ProblemError(problem)


def _listed(store: Store, tracker: Tracker) -> list[StoredChannel]:
    with store.read() as connection:
        found = channels.of_trackers(connection, tracker.account_id, [tracker.id])
    return channels.listed(found)


def _key(channel: Channel) -> tuple[str, str]:
    return str(channel.kind), channel.target
