"""What each kind of channel is told, word by word."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from server_stub.domain.message import AlertFacts, Telling, content, run_told
from telemhq_agents.contract.rules import ChannelKind

FAILED = AlertFacts(
    event=Telling.FAILED,
    tracker_id="10",
    tracker_name="<!channel> nightly *AI* & co",
    at="2026-11-20T03:00:00.000Z",
    cause="run failed",
    message="exit code 1",
    run=run_told(7, 1_777_982_400_000, None, {"exit_code": 1}),
)
RECOVERED = AlertFacts(
    event=Telling.RECOVERED, tracker_id="10", tracker_name="nightly", at="2026-11-20T03:00:00.000Z"
)
STILL = AlertFacts(
    event=Telling.STILL_FAILING,
    tracker_id="10",
    tracker_name="nightly",
    at="2026-11-20T09:00:00.000Z",
    message="ping is missing",
    failing_since="2026-11-20T03:00:00.000Z",
)

# Slack: https://api.slack.com/reference/surfaces/formatting#escaping, &, < and > as entities.
# Discord: https://discord.com/developers/docs/resources/webhook#execute-webhook.
TOLD: list[tuple[ChannelKind, AlertFacts, dict[str, Any]]] = [
    (
        ChannelKind.WEBHOOK,
        FAILED,
        {
            "event": "tracker.failed",
            "tracker": {"id": "10", "name": "<!channel> nightly *AI* & co", "status": "failed"},
            "run": {
                "id": "7",
                "timestamp": "2026-05-05T12:00:00.000Z",
                "duration": None,
                "payload": {"exit_code": 1},
            },
        },
    ),
    (
        ChannelKind.WEBHOOK,
        STILL,
        {
            "event": "tracker.still_failing",
            "tracker": {"id": "10", "name": "nightly", "status": "failed"},
            "run": None,
        },
    ),
    (
        ChannelKind.GENERIC,
        STILL,
        {
            "event": "tracker.still_failing",
            "title": "nightly is still failing",
            "text": "nightly is still failing: ping is missing"
            " · failing since 2026-11-20T03:00:00.000Z",
            "tracker_id": "10",
            "tracker_name": "nightly",
            "status": "failed",
            "cause": "",
            "at": "2026-11-20T09:00:00.000Z",
            "run_id": None,
        },
    ),
    (
        ChannelKind.GENERIC,
        RECOVERED,
        {
            "event": "tracker.recovered",
            "title": "nightly has recovered",
            "text": "nightly has recovered",
            "tracker_id": "10",
            "tracker_name": "nightly",
            "status": "active",
            "cause": "",
            "at": "2026-11-20T03:00:00.000Z",
            "run_id": None,
        },
    ),
    (
        ChannelKind.SLACK,
        FAILED,
        {
            "text": "*&lt;!channel&gt; nightly \u2217AI\u2217 &amp; co is failing*",
            "attachments": [
                {
                    "color": "#d32f2f",
                    "fallback": "&lt;!channel&gt; nightly \u2217AI\u2217 &amp; co is failing",
                    "text": "run failed: exit code 1",
                    "footer": "2026-11-20T03:00:00.000Z",
                }
            ],
        },
    ),
    (
        ChannelKind.DISCORD,
        RECOVERED,
        {
            "embeds": [
                {
                    "title": "nightly has recovered",
                    "description": "",
                    "color": 0x2E7D32,
                    "timestamp": "2026-11-20T03:00:00.000Z",
                }
            ],
            "allowed_mentions": {"parse": []},
        },
    ),
]


@pytest.mark.parametrize(
    ("kind", "facts", "told"), TOLD, ids=[f"{kind} {facts.event}" for kind, facts, _ in TOLD]
)
def test_each_channel_is_told_in_its_own_shape(
    kind: ChannelKind, facts: AlertFacts, told: dict[str, Any]
) -> None:
    assert content(kind, facts) == told


@pytest.mark.parametrize("kind", list(ChannelKind))
@pytest.mark.parametrize("event", list(Telling))
def test_whatever_happens_every_channel_can_be_told_within_its_bounds(
    kind: ChannelKind, event: Telling
) -> None:
    facts = msgspec.structs.replace(
        FAILED, event=event, tracker_name="n" * 100, message="m" * 10_000
    )

    told = json.loads(json.dumps(content(kind, facts)))

    if kind is ChannelKind.DISCORD:
        assert len(told["embeds"][0]["title"]) <= 256
        assert len(told["embeds"][0]["description"]) <= 2000
    if kind is ChannelKind.SLACK:
        assert len(told["attachments"][0]["text"]) <= 2000


def test_a_letter_s_facts_survive_the_outbox() -> None:
    stored = json.loads(json.dumps(content(ChannelKind.EMAIL, FAILED)))

    assert msgspec.convert(stored["facts"], AlertFacts) == FAILED
