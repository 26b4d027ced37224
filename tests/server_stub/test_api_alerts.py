"""Channels, deliveries and unsubscribing, by the routes that people and mail programs use."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from standardwebhooks import Webhook

from server_stub.settings import Settings
from telemhq_agents.contract import routes
from tests.server_stub.cast import Cast, Person, invited, run_sql, unsubscribe_link
from tests.server_stub.mail_servers import taking_mail
from tests.server_stub.receivers import Receiver, answering, receiving

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.server_stub.conftest import LiveServer
    from tests.server_stub.mail_servers import Letterbox

SECONDS = 20.0
HOOK = "http://192.0.2.1/in"


def eventually(look: Callable[[], Any]) -> Any:
    """Return what is found, as soon as something is."""
    end = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


def channels_of(tracker: dict[str, Any]) -> str:
    return routes.TRACKER_CHANNELS.format(tracker_id=tracker["id"])


def channel_path(route: str, tracker: dict[str, Any], channel: dict[str, Any]) -> str:
    return route.format(tracker_id=tracker["id"], channel_id=channel["id"])


def test_a_webhook_s_secret_is_shown_once(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    made = cast.member.did("POST", channels_of(tracker), {"kind": "webhook", "target": HOOK})

    assert made["secret"].startswith("whsec_")
    listed = cast.member.got(channels_of(tracker))
    assert listed == [made["channel"]]
    assert made["secret"] not in str(listed)
    rules = cast.member.got(routes.TRACKER_RULES.format(tracker_id=tracker["id"]))
    assert rules["rules"]["alerting"]["channels"] == [{"kind": "webhook", "target": HOOK}]
    assert made["secret"] not in str(rules)


def test_a_rotated_secret_leaves_the_old_one_in_force_for_a_day(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    made = cast.member.did("POST", channels_of(tracker), {"kind": "webhook", "target": HOOK})
    path = channel_path(routes.CHANNEL_ROTATE, tracker, made["channel"])

    rotated = cast.member.did("POST", path)

    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert rotated["channel"]["old_secret_until"] is not None
    assert made["channel"]["old_secret_until"] is None


@pytest.mark.parametrize(("kind", "target"), [("slack", HOOK), ("email", "ops@example.com")])
def test_what_is_not_signed_has_no_secret_to_show_or_rotate(
    kind: str, target: str, sqlite_cast: Cast
) -> None:
    member = sqlite_cast.member
    tracker = member.new_tracker()
    made = member.did("POST", channels_of(tracker), {"kind": kind, "target": target})

    refused = member.ask("POST", channel_path(routes.CHANNEL_ROTATE, tracker, made["channel"]))

    assert made["secret"] == ""
    assert (refused.status_code, refused.json()["type"]) == (409, "channel-not-signed")


@pytest.mark.parametrize(
    ("kind", "target", "following"),
    [
        ("webhook", HOOK, "webhook rotate"),
        ("slack", HOOK, "tracker show"),
        ("email", "ops@example.com", "tracker show"),
    ],
)
def test_a_channel_that_is_there_already_is_said_so(
    kind: str, target: str, following: str, sqlite_cast: Cast
) -> None:
    tracker = sqlite_cast.member.new_tracker()
    draft = {"kind": kind, "target": target}
    sqlite_cast.member.did("POST", channels_of(tracker), draft)

    again = sqlite_cast.member.ask("POST", channels_of(tracker), draft)

    assert (again.status_code, again.json()["type"]) == (409, "channel-exists")
    assert following in again.json()["next"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("webhook", "ftp://example.com"),
        ("webhook", "https://user:pass@example.com/"),
        ("email", "nobody"),
        ("email", "a@b.c\r\nBcc: d@e.f"),
        ("pigeon", "loft"),
    ],
)
def test_what_cannot_be_a_channel_is_refused(kind: str, target: str, sqlite_cast: Cast) -> None:
    tracker = sqlite_cast.member.new_tracker()

    answer = sqlite_cast.member.ask("POST", channels_of(tracker), {"kind": kind, "target": target})

    assert answer.status_code == 422
    assert sqlite_cast.member.got(channels_of(tracker)) == []


def test_a_plan_without_webhooks_refuses_them_and_takes_mail(sqlite_cast: Cast) -> None:
    run_sql(sqlite_cast.settings, "UPDATE accounts SET plan = 'free'")
    tracker = sqlite_cast.member.new_tracker()

    refused = sqlite_cast.member.ask(
        "POST", channels_of(tracker), {"kind": "webhook", "target": HOOK}
    )
    rules = {"alerting": {"channels": [{"kind": "slack", "target": HOOK}]}}
    by_rules = sqlite_cast.member.ask(
        "PUT", routes.TRACKER_RULES.format(tracker_id=tracker["id"]), rules
    )

    assert (refused.status_code, refused.json()["type"]) == (402, "webhooks-not-in-plan")
    assert by_rules.status_code == 402
    sqlite_cast.member.did("POST", channels_of(tracker), {"kind": "email", "target": "a@b.cc"})


def test_a_webhook_that_the_plan_no_longer_allows_is_not_tested_as_if_alerts_went_there(
    sqlite_cast: Cast,
) -> None:
    tracker = sqlite_cast.member.new_tracker()
    draft = {"kind": "webhook", "target": HOOK}
    channel = sqlite_cast.member.did("POST", channels_of(tracker), draft)["channel"]
    run_sql(sqlite_cast.settings, "UPDATE accounts SET plan = 'free'")

    path = channel_path(routes.CHANNEL_TEST, tracker, channel)
    refused = sqlite_cast.member.ask("POST", path)

    assert (refused.status_code, refused.json()["type"]) == (402, "webhooks-not-in-plan")


def test_a_removed_channel_is_gone(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    made = cast.member.did("POST", channels_of(tracker), {"kind": "webhook", "target": HOOK})
    path = channel_path(routes.CHANNEL, tracker, made["channel"])

    cast.member.did("DELETE", path)

    assert cast.member.got(channels_of(tracker)) == []
    assert cast.member.ask("GET", path).status_code == 404


def test_a_link_in_a_mail_unsubscribes_when_its_button_is_pressed_and_not_before(
    cast: Cast,
) -> None:
    tracker = cast.member.new_tracker("<nightly>")
    draft = {"kind": "email", "target": "ops@example.com"}
    channel = cast.member.did("POST", channels_of(tracker), draft)["channel"]
    link = unsubscribe_link(cast.settings, channel["id"])
    path = routes.UNSUBSCRIBE.format(unsubscribe_token=link)

    page = cast.nobody.ask("GET", path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "ops@example.com gets the alerts about &lt;nightly&gt; by e-mail." in page.text
    assert cast.member.got(channels_of(tracker))[0]["unsubscribed_at"] is None

    # What a mail program sends: RFC 8058, section 3.2.
    form = {"content-type": "application/x-www-form-urlencoded"}
    done = cast.nobody.http.post(path, content=b"List-Unsubscribe=One-Click", headers=form)
    assert done.status_code == 200
    assert "gets no more alerts" in done.text
    assert cast.member.got(channels_of(tracker))[0]["unsubscribed_at"] is not None

    back = cast.nobody.http.post(path, params={"subscribe": "true"})
    assert "gets the alerts" in back.text
    assert cast.member.got(channels_of(tracker))[0]["unsubscribed_at"] is None


def test_whoever_lost_the_mail_subscribes_again_with_their_key(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    own = {"kind": "email", "target": cast.member.email}
    channel = cast.member.did("POST", channels_of(tracker), own)["channel"]
    link = unsubscribe_link(cast.settings, channel["id"])
    cast.nobody.http.post(routes.UNSUBSCRIBE.format(unsubscribe_token=link))
    path = routes.TRACKER_SUBSCRIBE.format(tracker_id=tracker["id"])

    by_another = cast.owner.did("POST", path)
    stopped = cast.member.got(channels_of(tracker))[0]["unsubscribed_at"]
    told = cast.member.did("POST", path)

    assert by_another == {"email": "ada@example.com", "again": [], "gets_alerts": False}
    assert stopped is not None
    assert told == {"email": cast.member.email, "again": ["email"], "gets_alerts": True}
    assert cast.member.got(channels_of(tracker))[0]["unsubscribed_at"] is None


def test_a_test_of_mail_goes_to_oneself_and_nobody_else_sees_it(cast: Cast) -> None:
    made = cast.member.did("POST", routes.MAIL_TEST, account=cast.team)
    again = cast.member.ask("POST", routes.MAIL_TEST, params={"account": cast.team})
    path = routes.DELIVERY.format(delivery_id=made["id"])

    detail = cast.member.got(path)

    listed = {
        person.email: [
            one["id"]
            for one in person.got(routes.DELIVERIES, account=cast.team)["deliveries"]
            if one["event"] == "mail.test"
        ]
        for person in (cast.member, cast.colleague)
    }

    assert (made["target"], made["event"]) == (cast.member.email, "mail.test")
    assert listed == {cast.member.email: [made["id"]], cast.colleague.email: []}
    assert (again.status_code, again.json()["type"]) == (409, "test-under-way")
    assert detail["mail"]["subject"] == "TelemHQ: a test"
    assert cast.member.email in detail["mail"]["text"]
    assert cast.colleague.ask("GET", path).status_code == 403
    eventually(lambda: cast.member.got(path)["delivery"]["state"] == "held")
    assert cast.member.ask("POST", routes.DELIVERY_AGAIN.format(delivery_id=made["id"])).is_success


def test_a_link_that_was_not_made_here_opens_nothing(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    draft = {"kind": "email", "target": "ops@example.com"}
    channel = cast.member.did("POST", channels_of(tracker), draft)["channel"]
    link = unsubscribe_link(cast.settings, channel["id"])
    forged = link[:-2] + ("AA" if link[-2:] != "AA" else "BB")

    for token in (forged, "nonsense", link[:40]):
        path = routes.UNSUBSCRIBE.format(unsubscribe_token=token)
        for method in ("GET", "POST"):
            answer = cast.nobody.ask(method, path)
            assert (answer.status_code, answer.json()["type"]) == (404, "link-unknown")


def mails(person: Person, **params: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.got(routes.DELIVERIES, by="mail", **params)["deliveries"]
    return found


def shown(person: Person, delivery: dict[str, Any]) -> Any:
    return person.got(routes.DELIVERY.format(delivery_id=delivery["id"]))


def test_without_a_mail_server_an_invitation_can_be_read_where_it_waits(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "new@example.com")

    (mail,) = eventually(
        lambda: [
            one
            for one in mails(cast.manager, account=cast.team, state="held")
            if one["target"] == "new@example.com"
        ]
    )

    assert mail["event"] == "invitation"
    assert mail["last_error"] == "no SMTP server is configured"
    detail = shown(cast.owner, mail)
    assert detail["mail"]["subject"] == "ada@example.com invites you to Engines"
    assert token in detail["mail"]["text"]
    assert token in detail["mail"]["html"]
    assert cast.member.ask("GET", routes.DELIVERY.format(delivery_id=mail["id"])).status_code == 403
    assert mails(cast.member, account=cast.team) == []


def test_only_the_latest_invitation_is_mailed(cast: Cast) -> None:
    invited(cast.owner, cast.team, "new@example.com")
    token = invited(cast.owner, cast.team, "new@example.com")

    both = [
        one for one in mails(cast.owner, account=cast.team) if one["target"] == "new@example.com"
    ]

    latest, first = both
    assert (first["state"], first["last_error"]) == ("withdrawn", "they were invited again")
    assert "not kept" in shown(cast.owner, first)["mail"]["text"]
    assert token in shown(cast.owner, latest)["mail"]["text"]
    refused = cast.owner.ask("POST", routes.DELIVERY_AGAIN.format(delivery_id=first["id"]))
    assert (refused.status_code, refused.json()["type"]) == (409, "link-not-kept")


def test_an_accepted_invitation_is_mailed_no_more(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "new@example.com")
    cast.nobody.did("POST", routes.INVITATION_ACCEPT.format(invitation_token=token))

    mail = next(
        one for one in mails(cast.owner, account=cast.team) if one["target"] == "new@example.com"
    )

    assert (mail["state"], mail["last_error"]) == ("withdrawn", "it was accepted before")


def text_of(mail: Any) -> str:
    text: str = mail.get_body(("plain",)).get_content()
    return text


@pytest.fixture
def sending(
    database_url: str,
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    no_certificates: ssl.SSLContext,
) -> Iterator[tuple[Person, str, Letterbox]]:
    """Ada on a server that mails, and calls webhooks on loopback; her team; the letterbox."""
    with taking_mail() as (box, mail):
        settings = Settings(
            database_url,
            port=0,
            mail=mail,
            public_url="https://telemhq.example.com",
            allow_private_webhooks=True,
        )
        with (
            run_server(settings) as live,
            httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as http,
        ):
            from server_stub.setup import initialise

            start = initialise(settings, "ada@example.com", "Ada", "Engines")
            yield Person("ada@example.com", start.api_key, http), start.account_id, box


def test_a_test_of_a_channel_arrives_and_is_logged(
    sending: tuple[Person, str, Letterbox],
) -> None:
    ada, _, _ = sending
    tracker = ada.new_tracker()
    asked_twice = threading.Event()

    def refusing_later(receiver: Receiver, connected: socket.socket) -> None:
        assert asked_twice.wait(SECONDS)
        answering("500 Oops", "try again")(receiver, connected)

    with receiving(refusing_later) as receiver:
        made = ada.did("POST", channels_of(tracker), {"kind": "webhook", "target": receiver.url})
        path = channel_path(routes.CHANNEL_TEST, tracker, made["channel"])
        delivery = ada.did("POST", path)
        under_way = ada.ask("POST", path)
        asked_twice.set()
        failed = eventually(lambda: [one for one in [shown(ada, delivery)] if one["log"]])[0]
        receiver.behave = answering()
        again = routes.DELIVERY_AGAIN.format(delivery_id=delivery["id"])
        assert ada.did("POST", again)["state"] == "waiting"
        sent = eventually(
            lambda: [one for one in [shown(ada, delivery)] if one["delivery"]["state"] == "sent"]
        )[0]

    assert under_way.json()["type"] == "test-under-way"
    assert failed["delivery"]["state"] == "given-up"  # a test is not tried again
    assert failed["log"][0]["http_status"] == 500
    assert failed["log"][0]["error"] == "answered 500: try again"
    assert [one["attempt"] for one in sent["log"]] == [1, 2]
    assert sent["body"] == {
        "event": "tracker.test",
        "tracker": {"id": tracker["id"], "name": "nightly", "status": "active"},
        "run": None,
    }
    for request in receiver.requests:
        assert request.headers["webhook-id"] == sent["message_id"]
        assert Webhook(made["secret"]).verify(request.body, request.headers) == sent["body"]


def test_an_invitation_is_mailed_and_its_link_not_kept(
    sending: tuple[Person, str, Letterbox],
) -> None:
    ada, team, box = sending
    token = invited(ada, team, "grace@example.com")

    (mail,) = eventually(lambda: box.mails)

    assert box.receivers == ["grace@example.com"]
    assert token in text_of(mail)
    assert mail["List-Unsubscribe"] is None
    (logged,) = eventually(lambda: mails(ada, account=team, state="sent"))
    assert token not in str(shown(ada, logged))


def test_a_failing_run_is_told_by_mail_and_webhook_and_so_is_its_recovery(
    sending: tuple[Person, str, Letterbox],
) -> None:
    ada, _, box = sending
    tracker = ada.new_tracker("nightly")
    ping = tracker["ping_url"].removeprefix("https://telemhq.example.com")
    with receiving(answering()) as receiver:
        for draft in (
            {"kind": "webhook", "target": receiver.url},
            {"kind": "email", "target": "ops@example.com"},
        ):
            ada.did("POST", channels_of(tracker), draft)
        ada.http.post(ping, json={"status": "error", "error": "disk full"})
        eventually(lambda: receiver.requests and box.mails)
        ada.http.post(ping, json={"status": "success"})
        eventually(lambda: len(receiver.requests) == 2 and len(box.mails) == 2)

    events = [request.json["event"] for request in receiver.requests]
    assert events == ["tracker.failed", "tracker.recovered"]
    assert receiver.requests[0].json["run"]["payload"] == {"status": "error", "error": "disk full"}
    subjects = [str(mail["Subject"]) for mail in box.mails]
    assert subjects == ["nightly is failing", "nightly has recovered"]
    assert box.receivers == ["ops@example.com"] * 2


def test_a_missing_ping_is_told_without_a_run_and_the_next_one_recovers(
    sending: tuple[Person, str, Letterbox], database_url: str
) -> None:
    ada, _, box = sending
    tracker = ada.new_tracker("hourly")
    ping = tracker["ping_url"].removeprefix("https://telemhq.example.com")
    with receiving(answering()) as receiver:
        channels = [
            {"kind": "webhook", "target": receiver.url},
            {"kind": "email", "target": "ops@example.com"},
        ]
        rules = {
            "schedule": {"interval_s": 60, "grace_s": 1},
            "alerting": {"channels": channels},
        }
        ada.did("PUT", routes.TRACKER_RULES.format(tracker_id=tracker["id"]), rules)
        ada.http.post(ping, json={})
        # An hour passes: the ping was due, and the server was up, all the while.
        for statement in (
            "UPDATE trackers SET due_ms = due_ms - 3600000, wake_ms = wake_ms - 3600000",
            "UPDATE uptimes SET since_ms = since_ms - 7200000",
        ):
            run_sql(Settings(database_url), statement)
        eventually(lambda: receiver.requests and box.mails)
        ada.http.post(ping, json={})
        eventually(lambda: len(receiver.requests) == 2 and len(box.mails) == 2)

    missed, recovered = (request.json for request in receiver.requests)
    assert missed == {
        "event": "tracker.failed",
        "tracker": {"id": tracker["id"], "name": "hourly", "status": "failed"},
        "run": None,
    }
    assert recovered["event"] == "tracker.recovered"
    assert recovered["run"]["payload"] == {}
    assert "Ping is missing: no ping came" in text_of(box.mails[0])


def test_deliveries_are_listed_page_by_page(cast: Cast) -> None:
    tracker = cast.member.new_tracker(account=cast.team)
    channel = cast.member.did(
        "POST", channels_of(tracker), {"kind": "email", "target": "a@example.com"}
    )["channel"]
    cast.member.did("POST", channel_path(routes.CHANNEL_TEST, tracker, channel))
    for number in range(3):
        invited(cast.owner, cast.team, f"new{number}@example.com")

    first = cast.owner.got(routes.DELIVERIES, account=cast.team, limit=2)
    second = cast.owner.got(
        routes.DELIVERIES, account=cast.team, limit=1000, cursor=first["next_cursor"]
    )
    of_tracker = cast.owner.got(routes.DELIVERIES, account=cast.team, tracker=tracker["id"])

    everything = first["deliveries"] + second["deliveries"]
    ids = [int(one["id"]) for one in everything]
    assert ids == sorted(set(ids), reverse=True)
    assert second["next_cursor"] is None
    assert [one["target"] for one in of_tracker["deliveries"]] == ["a@example.com"]
    assert of_tracker["deliveries"][0]["tracker_name"] == "nightly"
    assert cast.owner.got(routes.DELIVERIES, account=cast.team, by="webhook")["deliveries"] == []
