"""What people are told of an alert, in the shape that each channel takes. Pure.

The body of a webhook is the one published for TelemHQ
(docs/reference/webhooks.md). Where a ping is missing there is no run: `run` is null.
"""

from __future__ import annotations

from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.rules import ChannelKind

if TYPE_CHECKING:
    from server_stub.domain.invitation import Invitation

ALERT_LETTER = "alert"
INVITATION_LETTER = "invitation"
TEST_LETTER = "test"
RED, GREEN = 0xD32F2F, 0x2E7D32
LONGEST_TEXT = 1500
"""Characters of a chat message; Discord takes 2,000."""

LONGEST_TITLE = 250


class Telling(StrEnum):
    """What a message is about: an alert's event, or a trial that somebody asked for."""

    FAILED = "tracker.failed"
    STILL_FAILING = "tracker.still_failing"
    RECOVERED = "tracker.recovered"
    TEST = "tracker.test"


class RunTold(msgspec.Struct, frozen=True):
    """The run that an alert is about. `duration` is milliseconds, None where it was not told."""

    id: str
    timestamp: str
    duration: int | None
    payload: dict[str, Any]


class AlertFacts(msgspec.Struct, frozen=True):
    """Everything that is told of an alert, as it was when the alert was made."""

    event: Telling
    tracker_id: str
    tracker_name: str
    at: str
    cause: str = ""
    message: str = ""
    failing_since: str = ""
    run: RunTold | None = None

    @property
    def good_news(self) -> bool:
        """Whether the tracker is well."""
        return self.event in {Telling.RECOVERED, Telling.TEST}


def run_told(
    run_id: int, ended_ms: int, duration_ms: int | None, payload: dict[str, Any]
) -> RunTold:
    """Return what is told of a run."""
    return RunTold(str(run_id), to_iso(ended_ms), duration_ms, payload)


def content(kind: ChannelKind, facts: AlertFacts) -> dict[str, Any]:
    """Return what is sent to a channel, as a JSON object."""
    match kind:
        case ChannelKind.EMAIL:
            return {"letter": ALERT_LETTER, "facts": msgspec.to_builtins(facts)}
        case ChannelKind.WEBHOOK:
            return _webhook(facts)
        case ChannelKind.GENERIC:
            return _generic(facts)
        case ChannelKind.SLACK:
            return _slack(facts)
        case ChannelKind.DISCORD:
            return _discord(facts)
        case never:
            assert_never(never)


def invitation_letter(invitation: Invitation, link: str) -> dict[str, Any]:
    """Return what is mailed to somebody who is invited."""
    return {
        "letter": INVITATION_LETTER,
        "inviter": invitation.inviter_email,
        "team": invitation.account_name,
        "role": invitation.role.value,
        "expires": to_iso(invitation.expires_ms),
        "link": link,
    }


def trial_letter(address: str, at: str) -> dict[str, Any]:
    """Return what is mailed to somebody who asks whether mail arrives."""
    said = f"Mail from TelemHQ arrives at {address}. Somebody asked for this test at {at}."
    return {
        "letter": TEST_LETTER,
        "subject": "TelemHQ: a test",
        "text": said,
        "html": f"<p>{escape(said)}</p>",
    }


def headline(facts: AlertFacts) -> str:
    """Say in a line what happened to which tracker."""
    match facts.event:
        case Telling.FAILED:
            return f"{facts.tracker_name} is failing"
        case Telling.STILL_FAILING:
            return f"{facts.tracker_name} is still failing"
        case Telling.RECOVERED:
            return f"{facts.tracker_name} has recovered"
        case Telling.TEST:
            return f"{facts.tracker_name}: a test"
        case never:
            assert_never(never)


def sentences(facts: AlertFacts) -> list[str]:
    """Say why and since when."""
    said = [": ".join(part for part in (facts.cause, facts.message) if part)]
    if facts.failing_since and facts.event is Telling.STILL_FAILING:
        said.append(f"failing since {facts.failing_since}")
    return [sentence for sentence in said if sentence]


def _text(facts: AlertFacts) -> str:
    return " · ".join(sentences(facts))[:LONGEST_TEXT]


def _webhook(facts: AlertFacts) -> dict[str, Any]:
    return {
        "event": facts.event.value,
        "tracker": {
            "id": facts.tracker_id,
            "name": facts.tracker_name,
            "status": "active" if facts.good_news else "failed",
        },
        "run": None if facts.run is None else msgspec.to_builtins(facts.run),
    }


def _generic(facts: AlertFacts) -> dict[str, Any]:
    title, text = headline(facts), _text(facts)
    return {
        "event": facts.event.value,
        "title": title,
        "text": f"{title}: {text}" if text else title,
        "tracker_id": facts.tracker_id,
        "tracker_name": facts.tracker_name,
        "status": "active" if facts.good_news else "failed",
        "cause": facts.cause,
        "at": facts.at,
        "run_id": None if facts.run is None else facts.run.id,
    }


def _slack(facts: AlertFacts) -> dict[str, Any]:
    """https://api.slack.com/reference/surfaces/formatting#escaping."""
    colour = f"#{GREEN if facts.good_news else RED:06x}"
    attachment = {
        "color": colour,
        "fallback": _for_slack(headline(facts)),
        "text": _for_slack(_text(facts)),
        "footer": facts.at,
    }
    return {"text": f"*{_for_slack(headline(facts))}*", "attachments": [attachment]}


def _for_slack(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("*", "\u2217")


def _discord(facts: AlertFacts) -> dict[str, Any]:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook; mentions nobody."""
    embed = {
        "title": headline(facts)[:LONGEST_TITLE],
        "description": _text(facts),
        "color": GREEN if facts.good_news else RED,
        "timestamp": facts.at,
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}
