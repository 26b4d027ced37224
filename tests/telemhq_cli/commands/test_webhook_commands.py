"""`telemhq webhook …` and `telemhq mail …` against a real server and real receivers."""

from __future__ import annotations

import csv
import io
import shutil
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from standardwebhooks import Webhook

from server_stub.settings import Settings
from telemhq_agents.contract import routes
from tests.server_stub.cast import unsubscribe_link
from tests.server_stub.mail_servers import taking_mail
from tests.server_stub.receivers import Receiver, answering, receiving
from tests.telemhq_cli.commands.conftest import RunningServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine

PRIVATE_HOOK = "http://192.0.2.1/in"


@pytest.fixture
def open_server(tmp_path: Path, initialised: tuple[Path, str]) -> Iterator[RunningServer]:
    """A server that calls webhooks on loopback too, and has no SMTP server."""
    path = tmp_path / "open.sqlite3"
    shutil.copyfile(initialised[0], path)
    settings = Settings(f"sqlite:///{path}", port=0, allow_private_webhooks=True)
    with running(settings, initialised[1]) as live:
        yield live


@pytest.fixture
def ada(telemhq: CommandLine, open_server: RunningServer) -> CommandLine:
    given = open_server.api_key + "\n"
    telemhq("login", "--url", open_server.url, "--key-stdin", given=given)
    telemhq("tracker", "create", "nightly")
    return telemhq


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(answering()) as listening:
        yield listening


def test_a_webhook_is_added_tested_and_removed(ada: CommandLine, receiver: Receiver) -> None:
    added = ada("webhook", "add", "nightly", receiver.url)
    secret = added.out.strip()
    assert secret.startswith("whsec_")
    assert added.err.endswith("Next: telemhq webhook test nightly\n")
    rules = ada("tracker", "show", "nightly").out
    assert f"webhook: {receiver.url}" in rules
    assert "email: its owner" in rules

    tested = ada("webhook", "test", "nightly")
    assert "sent" in tested.out
    (request,) = receiver.requests
    assert request.json["event"] == "tracker.test"
    assert Webhook(secret).verify(request.body, request.headers) == request.json

    assert receiver.url in ada("webhook", "list", "nightly").out
    assert secret not in ada("webhook", "list", "nightly", "--json").out
    ada("webhook", "remove", "nightly", "--yes")
    assert ada.asks("webhook", "list", "nightly") == []
    gone = ada("webhook", "test", "nightly", code=2)
    assert "nightly has no webhook" in gone.complaint


def test_a_test_that_fails_says_why_and_ends_with_1(ada: CommandLine) -> None:
    with receiving(answering("404 Not Found", "no such hook")) as refusing:
        ada("webhook", "add", "nightly", refusing.url)
        done = ada("webhook", "test", "nightly", code=1)

    assert "answered 404: no such hook" in done.out
    assert "given-up" in done.out


def test_a_private_address_is_refused_where_the_operator_does_not_allow_it(
    telemhq: CommandLine, server: RunningServer, receiver: Receiver
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("tracker", "create", "nightly")
    telemhq("webhook", "add", "nightly", receiver.url)

    done = telemhq("webhook", "test", "nightly", code=1)

    assert "127.0.0.1, which is not an address of the public internet" in done.out
    assert receiver.connections == 0


def test_a_rotated_secret_signs_beside_the_old_one(ada: CommandLine, receiver: Receiver) -> None:
    before = ada("webhook", "add", "nightly", receiver.url).out.strip()

    rotated = ada("webhook", "rotate", "nightly", receiver.url)
    ada("webhook", "test", "nightly")

    after = rotated.out.strip()
    assert after != before
    assert "signs too until" in rotated.err
    (request,) = receiver.requests
    for secret in (before, after):
        assert Webhook(secret).verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("slack", "*nightly: a test*"),
        ("discord", "nightly: a test"),
        ("generic", "nightly: a test: somebody asked whether alerts arrive here"),
    ],
)
def test_other_services_get_their_own_shape(
    preset: str, said: str, ada: CommandLine, receiver: Receiver
) -> None:
    ada("webhook", "add", "nightly", receiver.url, "--preset", preset)
    ada("webhook", "test", "nightly")

    (request,) = receiver.requests
    body = request.json
    told = body["embeds"][0]["title"] if preset == "discord" else body["text"]
    assert told == said


def test_of_several_webhooks_one_must_be_named(ada: CommandLine) -> None:
    ada("webhook", "add", "nightly", PRIVATE_HOOK)
    added = ada("webhook", "add", "nightly", PRIVATE_HOOK + "/2").err
    second = ada.asks("webhook", "list", "nightly")[1]
    assert added.endswith(f"Next: telemhq webhook test nightly {second['id']}\n")

    done = ada("webhook", "rotate", "nightly", code=2)
    assert "has 2 webhooks" in done.complaint
    assert "telemhq webhook list nightly" in done.complaint
    assert ada.asks("webhook", "rotate", "nightly", second["id"])["channel"]["id"] == second["id"]
    unknown = ada("webhook", "rotate", "nightly", "http://x", code=2)
    assert "has no webhook 'http://x'" in unknown.complaint


def test_deliveries_are_listed_shown_and_repeated(ada: CommandLine, receiver: Receiver) -> None:
    ada("webhook", "add", "nightly", receiver.url)
    ada("webhook", "test", "nightly")

    (delivery,) = ada.asks("webhook", "deliveries", "nightly")
    assert delivery["state"] == "sent"
    listed = csv.DictReader(io.StringIO(ada("webhook", "deliveries", "--csv").out))
    assert [row["id"] for row in listed] == [delivery["id"]]
    assert ada.asks("webhook", "deliveries", "--state", "given-up") == []
    shown = ada.asks("webhook", "show", delivery["id"])
    assert shown["body"]["event"] == "tracker.test"
    again = ada("webhook", "redeliver", delivery["id"])

    assert "tracker.test" in again.out
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == shown["message_id"]


def test_a_repetition_that_fails_says_what_was_answered_and_ends_with_1(
    ada: CommandLine,
) -> None:
    with receiving(answering("404 Not Found", "no such hook")) as refusing:
        ada("webhook", "add", "nightly", refusing.url)
        ada("webhook", "test", "nightly", code=1)
        (delivery,) = ada.asks("webhook", "deliveries", "nightly")

        again = ada("webhook", "redeliver", delivery["id"], code=1)

    assert len(refusing.requests) == 2
    assert f"{refusing.url} answered 404" in again.err


def test_a_bad_url_is_refused_with_its_reason(ada: CommandLine) -> None:
    done = ada("webhook", "add", "nightly", "https://me:secret@example.com/", code=5)

    assert "user name or password" in done.complaint
    assert "secret@" not in done.complaint


def eventually(look: Any) -> Any:
    end = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def test_mail_that_nobody_can_send_is_shown(ada: CommandLine) -> None:
    ada("team", "create", "Engines")
    link = ada.asks("team", "invite", "grace@example.com")["link"]

    (mail,) = eventually(lambda: ada.asks("mail", "list", "--state", "held"))

    assert (mail["target"], mail["event"]) == ("grace@example.com", "invitation")
    shown = ada("mail", "show", mail["id"]).out
    assert "no SMTP server is configured" in shown
    assert "Subject: ada@example.com invites you to Engines" in shown
    assert f"telemhq team accept {link}" in shown
    assert "grace@example.com" in ada("mail", "list").out


def test_a_test_of_mail_says_where_it_went(
    ada: CommandLine, tmp_path: Path, initialised: tuple[Path, str]
) -> None:
    held = ada("mail", "test").out
    assert "A test to ada@example.com waits: this server has no SMTP server" in held
    assert held.split()[-1] in {one["id"] for one in ada.asks("mail", "list")}

    path = tmp_path / "sending.sqlite3"
    shutil.copyfile(initialised[0], path)
    with taking_mail() as (box, mail):
        settings = Settings(f"sqlite:///{path}", port=0, mail=mail)
        with running(settings, initialised[1]) as live:
            ada("login", "--url", live.url, "--key-stdin", given=live.api_key + "\n")
            sent = ada("mail", "test").out
    assert sent == "A test was mailed to ada@example.com.\n"
    assert box.receivers == ["ada@example.com"]


def test_whoever_unsubscribed_from_their_own_mail_gets_it_again(
    ada: CommandLine, open_server: RunningServer, tmp_path: Path
) -> None:
    own = ada.asks("mail", "add", "nightly", "ada@example.com")
    settings = Settings(f"sqlite:///{tmp_path}/open.sqlite3")
    link = routes.UNSUBSCRIBE.format(unsubscribe_token=unsubscribe_link(settings, own["id"]))
    httpx.post(open_server.url + link, trust_env=False).raise_for_status()

    back = ada("mail", "subscribe", "nightly").out
    again = ada("mail", "subscribe", "nightly").out
    ada("mail", "add", "nightly", "ops@example.com")
    ada("mail", "remove", "nightly", "ada@example.com")
    others = ada("mail", "subscribe", "nightly").out

    assert back == "ada@example.com gets alerts of nightly by mail again.\n"
    assert again == "ada@example.com had not unsubscribed from mail about nightly.\n"
    assert others.endswith("Next: telemhq mail add nightly ada@example.com\n")


def test_alerts_are_mailed_to_whom_they_should_be(
    telemhq: CommandLine, tmp_path: Path, initialised: tuple[Path, str]
) -> None:
    path = tmp_path / "mailing.sqlite3"
    shutil.copyfile(initialised[0], path)
    with taking_mail() as (box, mail):
        settings = Settings(f"sqlite:///{path}", port=0, mail=mail)
        with running(settings, initialised[1]) as live:
            telemhq("login", "--url", live.url, "--key-stdin", given=live.api_key + "\n")
            telemhq("tracker", "create", "nightly")
            telemhq("mail", "add", "nightly", "Ops@Example.com")
            boss = telemhq.asks("mail", "add", "nightly", "boss@example.com")
            stop = routes.UNSUBSCRIBE.format(
                unsubscribe_token=unsubscribe_link(settings, boss["id"])
            )
            httpx.post(live.url + stop, trust_env=False).raise_for_status()
            telemhq("mail", "remove", "nightly", "boss@example.com")
            unknown = telemhq("mail", "remove", "nightly", "boss@example.com", code=2)
            stopped = telemhq("mail", "add", "nightly", "boss@example.com").out
            rules = telemhq("tracker", "show", "nightly").out
            ping_url = telemhq.asks("tracker", "show", "nightly")["ping_url"]
            httpx.post(ping_url, json={"exit_code": 1}, trust_env=False).raise_for_status()
            eventually(lambda: box.mails)

    assert box.receivers == ["ops@example.com"]
    assert "its owner" not in rules
    assert "boss@example.com unsubscribed from alerts of nightly on " in stopped
    assert "mailed to: ops@example.com" in unknown.complaint
