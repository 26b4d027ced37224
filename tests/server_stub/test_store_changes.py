"""Transitions, alerts and deliveries, as they are written with their cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from server_stub.domain.channel import SUMMARY_KIND
from server_stub.domain.health import Health, Memory, Ran, Step
from server_stub.domain.problem import ProblemError
from server_stub.store import channels, held_mail, transitions
from server_stub.store.changes import Change, save_health
from telemhq_agents.contract.resources import TrackerState
from tests.server_stub.outbox import (
    ACCOUNT,
    NOW_MS,
    RUN,
    TRACKER,
    Outbox,
    events,
    failed,
    recovered,
    still_failing,
)

if TYPE_CHECKING:
    from server_stub.store.engine import Store

MINUTE = 60_000
HOOK = "https://hooks.example.com/in"


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store).open()


def test_an_alert_without_channels_is_mailed_to_the_owner(outbox: Outbox) -> None:
    outbox.note(failed())

    (delivery,) = outbox.deliveries()
    assert (delivery["kind"], delivery["target"]) == ("email", "ada@example.com")
    assert (delivery["state"], delivery["next_ms"]) == ("waiting", NOW_MS)
    assert delivery["content"]["letter"] == "alert"
    assert delivery["content"]["facts"]["message"] == "exit code 1"
    (alert,) = outbox.rows("alerts")
    (transition,) = outbox.rows("transitions")
    assert (alert["transition_id"], alert["withheld"]) == (transition["id"], "")
    assert delivery["alert_id"] == alert["id"]
    assert (transition["from_state"], transition["to_state"]) == ("active", "failing")
    assert (transition["cause"], transition["run_id"]) == ("run failed", RUN)


OWNER, OPS = ("email", "ada@example.com"), ("email", "ops@example.com")
WEBHOOK, SLACK = ("webhook", HOOK), ("slack", HOOK + "/s")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ([], [OWNER]),
        ([WEBHOOK], [WEBHOOK, OWNER]),
        ([WEBHOOK, SLACK], [WEBHOOK, SLACK, OWNER]),
        ([OPS], [OPS]),
        ([OPS, OWNER], [OPS, OWNER]),
        ([WEBHOOK, OPS], [WEBHOOK, OPS]),
        ([WEBHOOK, OWNER], [WEBHOOK, OWNER]),
    ],
)
def test_an_alert_goes_to_what_the_rules_name_and_to_the_owner_where_that_is_no_mail(
    named: list[tuple[str, str]], told: list[tuple[str, str]], outbox: Outbox
) -> None:
    outbox.channel(*named)

    outbox.note(failed())

    found = [(row["kind"], row["target"]) for row in outbox.deliveries()]
    assert sorted(found) == sorted(told)


# https://telemhq.com/docs/webhooks.md, with the example's own figures.
def test_a_webhook_is_told_what_is_published(outbox: Outbox) -> None:
    outbox.webhooks(HOOK)

    outbox.note(failed(), recovered(at=NOW_MS + 1))

    first, second = outbox.deliveries()
    assert first["content"] == {
        "event": "tracker.failed",
        "tracker": {"id": "10", "name": "nightly", "status": "failed"},
        "run": {
            "id": "7",
            "timestamp": "2026-05-05T12:00:00.000Z",
            "duration": 1500,
            "payload": {"status": "error", "usage": {"input_tokens": 12}},
        },
    }
    assert second["content"]["event"] == "tracker.recovered"
    assert second["content"]["tracker"]["status"] == "active"


def test_a_missed_ping_has_no_run_to_tell_of(outbox: Outbox) -> None:
    outbox.webhooks(HOOK)

    outbox.note(failed(run_id=None))

    (delivery,) = outbox.deliveries()
    assert delivery["content"]["run"] is None


def test_a_withheld_alert_is_kept_and_goes_to_nobody(outbox: Outbox) -> None:
    outbox.note(failed(withheld="muted"))

    assert events(outbox.rows("alerts")) == [("tracker.failed", "muted")]
    assert outbox.deliveries() == []


def test_an_alert_that_is_to_wait_is_tried_when_its_time_comes(outbox: Outbox) -> None:
    outbox.note(failed(deliver=NOW_MS + MINUTE))

    (delivery,) = outbox.deliveries()
    assert delivery["next_ms"] == NOW_MS + MINUTE


STORIES: dict[str, tuple[list[list[Change]], list[tuple[str, str]], list[str]]] = {
    "a failure that was told is followed by its recovery": (
        [[failed()], [recovered(at=NOW_MS + 1)]],
        [("tracker.failed", ""), ("tracker.recovered", "")],
        ["waiting", "waiting"],
    ),
    "a failure that waits is not told where it recovers": (
        [[failed(deliver=NOW_MS + MINUTE)], [recovered(at=NOW_MS + 1, deliver=NOW_MS + MINUTE)]],
        [("tracker.failed", "flapping"), ("tracker.recovered", "flapping")],
        ["withdrawn"],
    ),
    "the same in one batch": (
        [[failed(deliver=NOW_MS + MINUTE), recovered(at=NOW_MS + 1, deliver=NOW_MS + MINUTE)]],
        [("tracker.failed", "flapping"), ("tracker.recovered", "flapping")],
        [],
    ),
    "a recovery that waits is not told where it fails again": (
        [
            [failed()],
            [recovered(at=NOW_MS + 1, deliver=NOW_MS + MINUTE)],
            [failed(at=NOW_MS + 2, deliver=NOW_MS + MINUTE)],
        ],
        [("tracker.failed", ""), ("tracker.recovered", "flapping"), ("tracker.failed", "flapping")],
        ["waiting", "withdrawn"],
    ),
    "a repeated alert that waits is overtaken by the recovery, which is told": (
        [[failed()], [still_failing(deliver=NOW_MS + MINUTE)], [recovered(at=NOW_MS + 1)]],
        [
            ("tracker.failed", ""),
            ("tracker.still_failing", "it recovered before this was sent"),
            ("tracker.recovered", ""),
        ],
        ["waiting", "withdrawn", "waiting"],
    ),
    "an alert whose time has come is no longer taken back": (
        [[failed(deliver=NOW_MS + MINUTE)], [recovered(at=NOW_MS + MINUTE)]],
        [("tracker.failed", ""), ("tracker.recovered", "")],
        ["waiting", "waiting"],
    ),
}


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_people_are_told_of_what_lasted(story: str, outbox: Outbox) -> None:
    batches, alerts, states = STORIES[story]

    for batch in batches:
        outbox.note(*batch)

    assert events(outbox.rows("alerts")) == alerts
    assert outbox.states() == states


def test_mail_that_nobody_can_send_yet_hides_no_recovery(outbox: Outbox) -> None:
    outbox.channel(("webhook", HOOK))
    outbox.note(failed())
    outbox.store.write(lambda connection: held_mail.hold(connection, NOW_MS))

    outbox.note(recovered(at=NOW_MS + 1))

    assert events(outbox.rows("alerts")) == [("tracker.failed", ""), ("tracker.recovered", "")]
    told = [(row["kind"], row["event"], row["state"]) for row in outbox.rows("deliveries")]
    assert sorted(told) == [
        ("email", "tracker.failed", "held"),
        ("email", "tracker.recovered", "waiting"),
        ("webhook", "tracker.failed", "waiting"),
        ("webhook", "tracker.recovered", "waiting"),
    ]


def test_an_alert_of_which_a_part_was_sent_before_its_time_is_not_taken_back(
    outbox: Outbox,
) -> None:
    outbox.channel(("webhook", HOOK), ("email", "ops@example.com"))
    outbox.note(failed(deliver=NOW_MS + MINUTE))
    # Somebody had the webhook sent at once.
    sent = "UPDATE deliveries SET state = 'sent', next_ms = NULL, attempts = 1"
    outbox.store.write(
        lambda connection: connection.execute(text(f"{sent} WHERE kind = 'webhook'"))
    )

    outbox.note(recovered(at=NOW_MS + 1, deliver=NOW_MS + MINUTE))

    assert events(outbox.rows("alerts")) == [("tracker.failed", ""), ("tracker.recovered", "")]
    assert sorted(outbox.states()) == ["sent", "waiting", "waiting", "waiting"]


def test_each_change_of_state_says_why_nobody_was_told_of_it(outbox: Outbox) -> None:
    outbox.another_tracker(11, "hourly")
    outbox.note(failed(withheld="muted"), failed(tracker=11, withheld="snoozed"))
    outbox.note(recovered(at=NOW_MS + 1), still_failing(at=NOW_MS + 2))

    with outbox.store.read() as connection:
        found = transitions.page(connection, ACCOUNT, TRACKER, before_id=None, limit=10)
        none = transitions.page(connection, ACCOUNT, 12, before_id=None, limit=10)

    assert [one.untold for one in found] == ["", "muted"]
    assert none == []


def test_trackers_do_not_flap_for_each_other(outbox: Outbox) -> None:
    outbox.another_tracker(11, "hourly")

    outbox.note(failed(deliver=NOW_MS + MINUTE))
    outbox.note(recovered(tracker=11, deliver=NOW_MS + MINUTE))

    assert outbox.states() == ["waiting", "waiting"]


def test_whoever_unsubscribed_is_told_nothing(outbox: Outbox) -> None:
    outbox.note(failed(deliver=NOW_MS + MINUTE))
    (mailbox,) = outbox.channels()
    outbox.store.write(lambda connection: channels.unsubscribe(connection, mailbox, NOW_MS))
    outbox.note(still_failing(at=NOW_MS + 1))

    assert outbox.states() == ["withdrawn"]
    assert events(outbox.rows("alerts"))[1] == ("tracker.still_failing", "nobody is to be told")
    outbox.store.write(lambda connection: channels.subscribe(connection, mailbox))
    outbox.note(still_failing(at=NOW_MS + 2))
    assert outbox.states() == ["withdrawn", "waiting"]


def test_the_owner_is_told_where_every_address_that_is_named_unsubscribed(outbox: Outbox) -> None:
    boss, ops = outbox.channel(("email", "ops@example.com"), ("email", "boss@example.com"))
    outbox.store.write(lambda connection: channels.unsubscribe(connection, ops, NOW_MS))
    outbox.note(failed())
    outbox.store.write(lambda connection: channels.unsubscribe(connection, boss, NOW_MS))
    outbox.note(still_failing(at=NOW_MS + 1))

    told = [(row["event"], row["target"]) for row in outbox.deliveries()]
    assert sorted(told) == [
        ("tracker.failed", "boss@example.com"),
        ("tracker.still_failing", "ada@example.com"),
    ]


def test_an_owner_who_was_named_and_unsubscribed_is_not_mailed_after_all(outbox: Outbox) -> None:
    (own,) = outbox.channel(("email", "ada@example.com"))
    outbox.store.write(lambda connection: channels.unsubscribe(connection, own, NOW_MS))

    outbox.note(failed())

    assert outbox.deliveries() == []


def test_an_owner_who_left_the_team_is_told_nothing(outbox: Outbox) -> None:
    outbox.store.write(
        lambda connection: connection.execute(text("UPDATE memberships SET state = 'revoked'"))
    )

    outbox.note(failed())

    assert events(outbox.rows("alerts")) == [("tracker.failed", "nobody is to be told")]


def test_a_plan_without_webhooks_mails_the_owner_alone(outbox: Outbox) -> None:
    outbox.channel(("webhook", HOOK))
    outbox.store.write(
        lambda connection: connection.execute(text("UPDATE accounts SET plan = 'free'"))
    )

    outbox.note(failed())

    assert [row["kind"] for row in outbox.deliveries()] == ["email"]


def test_a_plan_without_webhooks_takes_no_new_one_and_keeps_what_there_is(
    outbox: Outbox,
) -> None:
    (kept,) = outbox.channel(("webhook", HOOK))
    outbox.store.write(
        lambda connection: connection.execute(text("UPDATE accounts SET plan = 'free'"))
    )

    with pytest.raises(ProblemError) as caught:
        outbox.channel(("webhook", HOOK), ("slack", HOOK))

    assert caught.value.problem.status == 402
    assert outbox.channel(("webhook", HOOK), ("email", "ops@example.com"))[0] == kept


def test_channels_follow_the_rules(outbox: Outbox) -> None:
    (first,) = outbox.webhooks(HOOK)
    outbox.note(failed(deliver=NOW_MS + MINUTE))
    outbox.channel(("email", "ops@example.com"))

    assert outbox.states() == ["withdrawn"]
    assert outbox.rows("deliveries")[0]["last_error"] == "its channel was removed"
    again = {one.target: one for one in outbox.channel(("webhook", HOOK), now_ms=NOW_MS + 1)}
    assert again[HOOK].id == first.id
    assert again[HOOK].removed_ms is None
    assert again["ops@example.com"].removed_ms == NOW_MS + 1
    assert again[HOOK].secret.startswith("whsec_")
    assert again[HOOK].secret != first.secret


def test_an_address_that_unsubscribed_stays_so_when_rules_name_it_again(outbox: Outbox) -> None:
    (mailbox,) = outbox.channel(("email", "ops@example.com"))
    outbox.store.write(lambda connection: channels.unsubscribe(connection, mailbox, NOW_MS))
    outbox.channel()
    outbox.channel(("email", "ops@example.com"))

    outbox.note(failed())

    assert [row["target"] for row in outbox.deliveries()] == ["ada@example.com"]


def test_health_is_stored_unless_somebody_was_faster(outbox: Outbox) -> None:
    memory = Memory(recent=(Ran(NOW_MS, RUN, failed=True),), failing_since_ms=NOW_MS)
    health = Health(TrackerState.FAILING, NOW_MS + MINUTE, NOW_MS + 2 * MINUTE, memory)

    def save(seen: int) -> bool:
        return outbox.store.write(
            lambda connection: save_health(connection, ACCOUNT, TRACKER, health, seen)
        )

    assert save(0)
    assert not save(0)
    assert save(1)
    row: Any
    with outbox.store.read() as connection:
        row = connection.execute(text("SELECT * FROM trackers")).one()
    assert (row.state, row.due_ms, row.wake_ms) == ("failing", health.due_ms, health.wake_ms)
    assert row.memory_revision == 2
    assert '"failing_since_ms"' in row.memory


def test_a_step_that_tells_nothing_writes_its_transitions_alone(outbox: Outbox) -> None:
    change = failed()
    quiet = Change(ACCOUNT, TRACKER, Step(change.step.health, change.step.transitions), NOW_MS)

    outbox.note(quiet, quiet)

    assert len(outbox.rows("transitions")) == 2
    assert outbox.rows("alerts") == []


def test_summaries_and_alerts_are_unsubscribed_from_apart(outbox: Outbox) -> None:
    mailbox = outbox.store.write(
        lambda connection: channels.mailbox(
            connection,
            ACCOUNT,
            TRACKER,
            kind=SUMMARY_KIND,
            address="ada@example.com",
            now_ms=NOW_MS,
        )
    )
    outbox.store.write(lambda connection: channels.unsubscribe(connection, mailbox, NOW_MS))

    outbox.note(failed())

    assert [row["kind"] for row in outbox.deliveries()] == ["email"]
    assert {one.kind: one.unsubscribed_ms for one in outbox.channels()} == {
        "summary": NOW_MS,
        "email": None,
    }
