"""Channels and deliveries as tables and pairs. Pure."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, assert_never

from telemhq_agents.contract.deliveries import DeliveryState
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import duration, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.deliveries import (
        Delivery,
        DeliveryAttempt,
        DeliveryDetail,
        Subscribed,
        TrackerChannel,
    )


def channels(found: Sequence[TrackerChannel], empty: str) -> Table:
    """Return channels as a table."""
    any_stopped = any(one.unsubscribed_at for one in found)
    columns = (
        Column("kind", "Kind"),
        Column("target", "Where", copied=True),
        Column("id", "Id", spare=1, copied=True),
        Column("created_at", "Since", moment, spare=2, copied=True),
        Column("unsubscribed_at", "Unsubscribed", moment, is_detail=not any_stopped, copied=True),
        Column("old_secret_until", "Old secret until", moment, is_detail=True, copied=True),
    )
    rows = [
        (c.kind.value, c.target, c.id, c.created_at, c.unsubscribed_at, c.old_secret_until)
        for c in found
    ]
    return Table(columns, rows, empty=empty)


def mailed(tracker: str, channel: TrackerChannel) -> str:
    """Say where a tracker's alerts go by mail, or why they don't."""
    if channel.unsubscribed_at is None:
        return f"Alerts of {tracker} go to {channel.target}."
    return (
        f"{channel.target} unsubscribed from alerts of {tracker} on"
        f" {moment(channel.unsubscribed_at)}: nothing is mailed there until they take that back,"
        f" by the link in their mail or with: telemhq mail subscribe {shlex.quote(tracker)}"
    )


def subscribed(tracker: str, told: Subscribed) -> list[str]:
    """Say what of a tracker's mail comes to one's own address again, and what does not."""
    kinds = " and ".join("summaries" if kind == "summary" else "alerts" for kind in told.again)
    said = [
        f"{told.email} gets {kinds} of {tracker} by mail again."
        if kinds
        else f"{told.email} had not unsubscribed from mail about {tracker}."
    ]
    if not told.gets_alerts:
        add = shlex.join(("telemhq", "mail", "add", tracker, told.email))
        said.append(f"Alerts go to others, who are named in its rules. Next: {add}")
    return said


def tried_mail(one: Delivery) -> str:
    """Say where a test of mail went."""
    match one.state:
        case DeliveryState.SENT:
            return f"A test was mailed to {one.target}."
        case DeliveryState.HELD:
            return (
                f"A test to {one.target} waits: this server has no SMTP server (docs: settings,"
                f" TELEMHQ_SMTP_HOST). It can be read with: telemhq mail show {one.id}"
            )
        case DeliveryState.WAITING:
            why = f" ({one.last_error})" if one.last_error else ""
            return (
                f"A test to {one.target} is not sent yet{why}."
                f" What becomes of it: telemhq mail show {one.id}"
            )
        case DeliveryState.GIVEN_UP | DeliveryState.WITHDRAWN:
            return f"A test to {one.target} could not be sent: {one.last_error}."
        case never:
            assert_never(never)


def deliveries(found: Sequence[Delivery], empty: str) -> Table:
    """Return deliveries as a table."""
    columns = (
        Column("id", "Id", copied=True),
        Column("created_at", "Made", moment, copied=True),
        Column("event", "Event"),
        Column("tracker_name", "Tracker", spare=2),
        Column("tracker", "Tracker's id", is_detail=True, copied=True),
        Column("kind", "Kind", is_detail=True),
        Column("target", "To", spare=1, copied=True),
        Column("state", "State"),
        Column("attempts", "Tried", is_figure=True),
        Column("next_at", "Next", moment, is_detail=not any(one.next_at for one in found)),
        Column("done_at", "Done", moment, is_detail=True, copied=True),
        Column("last_error", "Last error", is_detail=not any(one.last_error for one in found)),
    )
    rows = [
        (
            *(d.id, d.created_at, d.event, d.tracker_name, d.tracker, d.kind, d.target),
            *(d.state.value, d.attempts, d.next_at, d.done_at, d.last_error),
        )
        for d in found
    ]
    return Table(columns, rows, empty=empty)


def outcome(one: Delivery) -> list[tuple[str, object]]:
    """Return what became of a delivery as pairs."""
    return [
        ("Delivery", one.id),
        ("Event", one.event),
        ("To", one.target),
        ("State", one.state.value),
        *([("Error", one.last_error)] if one.last_error else []),
        *([("Next try", moment(one.next_at))] if one.next_at else []),
    ]


def why_not(detail: DeliveryDetail) -> str:
    """Say what the receiver answered to the last try of a delivery that did not arrive."""
    one = detail.delivery
    last = detail.log[-1] if detail.log else None
    answered = "" if last is None or last.http_status is None else f"answered {last.http_status}: "
    said = (last.error if last is not None else "") or one.last_error or "it was not tried yet"
    again = f" It is tried again {moment(one.next_at)}." if one.next_at else ""
    return f"{one.target} {answered}{said}.{again}" if answered else f"{one.target}: {said}.{again}"


def attempts(log: Sequence[DeliveryAttempt]) -> Table:
    """Return how each attempt went as a table."""
    columns = (
        Column("attempt", "Try", is_figure=True),
        Column("at", "At", moment, copied=True),
        Column("took_ms", "Took", duration, is_figure=True),
        Column("http_status", "Answer", is_figure=True),
        Column("error", "Error"),
    )
    rows = [(a.attempt, a.at, a.took_ms, a.http_status, a.error) for a in log]
    return Table(columns, rows, empty="It was not tried yet.")


def saying(detail: DeliveryDetail) -> list[str]:
    """Return what a delivery says, line by line."""
    if detail.mail is not None:
        return [f"Subject: {detail.mail.subject}", "", *detail.mail.text.rstrip().split("\n")]
    return json.dumps(detail.body, indent=2, ensure_ascii=False).split("\n")
