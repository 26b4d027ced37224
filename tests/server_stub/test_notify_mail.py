"""Mail: what it says, how it goes out, and SMTP servers that misbehave."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from server_stub.domain.channel import (
    Subscription,
    new_secret,
    read_unsubscribe_token,
    unsubscribe_token,
)
from server_stub.domain.message import AlertFacts, Telling, content, run_told
from server_stub.domain.naming import clean_email
from server_stub.notify import mail
from server_stub.notify.letters import letter, one_line
from server_stub.settings import MailServer, Security
from telemhq_agents.contract.rules import ChannelKind
from tests.server_stub.mail_servers import PASSWORD, SENDER, USER, speaking, taking_mail
from tests.server_stub.receivers import Tls, both_ends

if TYPE_CHECKING:
    from email.message import EmailMessage

    from server_stub.domain.delivery import Attempt

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "mail"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
BORN_MS = 1_795_000_000_000
PUBLIC = "https://telemhq.example.com"
STOP = f"{PUBLIC}/unsubscribe/abc"
FACTS = AlertFacts(
    event=Telling.FAILED,
    tracker_id="10",
    tracker_name="Nightly <b>AI</b> summary & more",
    at="2026-11-18T13:46:40.000Z",
    cause="assertion broken",
    message="items_processed is 0, which is not greater than 0",
    run=run_told(7, 1_777_982_400_000, 1500, {"status": "success", "note": "<script>", "n": 0}),
)
STILL = AlertFacts(
    event=Telling.STILL_FAILING,
    tracker_id="10",
    tracker_name="nightly",
    at="2026-11-18T19:46:40.000Z",
    message="ping is missing",
    failing_since="2026-11-18T13:46:40.000Z",
)
LETTERS: dict[str, tuple[dict[str, Any], str]] = {
    "failed": (content(ChannelKind.EMAIL, FACTS), STOP),
    "still_failing": (content(ChannelKind.EMAIL, STILL), ""),
    "invitation": (
        {
            "letter": "invitation",
            "inviter": "ada@example.com",
            "team": "Engines & Co",
            "role": "member",
            "expires": "2026-11-25T13:46:40.000Z",
            "link": f"{PUBLIC}/invitations/T0ken",
        },
        "",
    ),
    "ready": (
        {"subject": "Week 47 of nightly", "text": "7 runs", "html": "<p>7 runs</p>"},
        STOP,
    ),
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return both_ends(tmp_path_factory.mktemp("tls"))


def made(name: str, receiver: str = "ada@example.com") -> EmailMessage:
    told, stop = LETTERS[name]
    return mail.message(
        letter(told, stop_link=stop),
        sender=SENDER,
        receiver=receiver,
        message_id="msg_1",
        born_ms=BORN_MS,
        stop_link=stop,
    )


@pytest.mark.parametrize("name", LETTERS)
def test_the_same_delivery_makes_the_same_mail(name: str) -> None:
    """The golden files are whole mails: `python -m tests.server_stub.test_notify_mail` writes them."""
    assert bytes(made(name)) == (GOLDEN / f"{name}.eml").read_bytes()


def sent(
    server: MailServer,
    tls: ssl.SSLContext = NO_TLS,
    *,
    receiver: str = "ada@example.com",
    seconds: float = 5.0,
) -> Attempt:
    return mail.send(made("failed", receiver), server, tls, BORN_MS, seconds)


def test_mail_arrives_with_text_and_html_and_a_way_to_stop_it() -> None:
    with taking_mail() as (box, server):
        attempt = sent(server)

    assert attempt.error == ""
    assert box.receivers == ["ada@example.com"]
    (arrived,) = box.mails
    assert arrived["Subject"] == "Nightly <b>AI</b> summary & more is failing"
    assert arrived["From"] == SENDER
    assert arrived["Message-ID"] == "<msg_1@example.com>"
    # RFC 8058, section 8.
    assert arrived["List-Unsubscribe"] == f"<{STOP}>"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = (part.get_content() for part in arrived.iter_parts())
    assert "items_processed is 0, which is not greater than 0" in text
    assert "Nightly &lt;b&gt;AI&lt;/b&gt; summary &amp; more is failing" in html
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_mail_goes_out_signed_in_and_secured(tls: Tls) -> None:
    with taking_mail(tls.serving) as (box, server):
        attempt = sent(server, tls.calling)
        wrong = sent(replace(server, password="wrong"), tls.calling)
        unsecured = sent(replace(server, security=Security.NONE), tls.calling)
        stranger = sent(server, NO_TLS)

    assert attempt.error == ""
    assert (server.user, server.password) == (USER, PASSWORD)
    assert len(box.mails) == 1
    assert "refuses us: 535" in wrong.error
    assert unsecured.error
    assert "certificate" in stranger.error
    assert not any(one.hopeless for one in (wrong, unsecured, stranger))


MISBEHAVING: dict[str, tuple[tuple[bytes, ...], bool, str]] = {
    "hangs": ((), True, "timed out"),
    "hangs later": ((b"220 hello\r\n",), True, "timed out"),
    "drops": ((), False, "Connection unexpectedly closed"),
    "babbles": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), False, "refuses us"),
    "is busy": ((b"421 come back later\r\n",), False, "421 come back later"),
    "wants nobody": ((b"554 go away\r\n",), False, "554 go away"),
}


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_server_that_misbehaves_is_told_of_in_time(how: str) -> None:
    lines, hang, error = MISBEHAVING[how]
    with speaking(*lines, hang=hang) as server:
        attempt = sent(server, seconds=0.3 if hang else 5.0)

    assert error in attempt.error
    assert attempt.took_ms < 4000
    assert not attempt.hopeless


def test_a_greeting_that_never_ends_is_cut() -> None:
    with speaking(endless=b"220-still here\r\n") as server:
        attempt = sent(server, seconds=0.3)

    assert "no connection to the SMTP server" in attempt.error
    assert attempt.took_ms < 4000


def test_a_sender_may_have_any_name() -> None:
    whole = mail.message(
        letter(LETTERS["ready"][0]),
        sender='Ops, "Night" <telemhq@example.com>',
        receiver="ada@example.com",
        message_id="msg_1",
        born_ms=BORN_MS,
    )

    (sender,) = whole["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ('Ops, "Night"', "telemhq@example.com")


def test_a_server_that_does_not_know_the_receiver_is_not_asked_again() -> None:
    with taking_mail() as (box, server):
        attempt = sent(server, receiver="unknown@example.com")

    assert "refuses the receiver: 550 5.1.1 no such user" in attempt.error
    assert attempt.hopeless
    assert box.mails == []


@pytest.mark.parametrize(
    ("answer", "hopeless"),
    [("451 try later", False), ("552 too large", True), ("530 sign in", False)],
)
def test_a_refused_message_is_tried_again_where_that_may_help(answer: str, hopeless: bool) -> None:
    with taking_mail(answer=answer) as (_box, server):
        attempt = sent(server)

    assert f"refuses the message: {answer}" in attempt.error
    assert attempt.hopeless is hopeless


def test_nobody_listens() -> None:
    with speaking() as server:
        pass

    assert sent(server).error == "no connection to the SMTP server: Connection refused"


@pytest.mark.parametrize(
    "name", ["a\r\nBcc: eve@example.com", "a\nb", "a\x00b", "a\u2028b", "x" * 500, "ünïcødé 🙂"]
)
def test_no_name_can_add_a_header(name: str) -> None:
    facts = msgspec.structs.replace(FACTS, tracker_name=name)
    told = letter(content(ChannelKind.EMAIL, facts))
    whole = mail.message(
        told,
        sender=SENDER,
        receiver="ada@example.com",
        message_id="msg_1",
        born_ms=BORN_MS,
    )

    assert whole["Bcc"] is None
    assert whole["Subject"] == one_line(f"{name} is failing")
    assert len(told.subject) <= 200
    assert bytes(whole)


# Every kind of address that may be saved: RFC 5321, RFC 6531.
@pytest.mark.parametrize(
    "address", ["a+b@example.com", "ada@exämple.com", "ädä@example.com", "ädä@exämple.com"]
)
def test_an_address_that_may_be_saved_can_be_mailed_to(address: str) -> None:
    with taking_mail() as (box, server):
        assert sent(server, receiver=clean_email(address)).error == ""

    assert box.receivers == [address]


@pytest.mark.parametrize(
    "address",
    ["eve@example.com\r\nBcc: x@y.zz", "no address", "ävä@example.com\r\nBcc: x@y.zz"],
)
def test_what_is_no_address_is_no_receiver(address: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        made("failed", receiver=address)


def test_an_unsubscribe_link_opens_what_it_was_made_for() -> None:
    one = Subscription(2**62, 3, 2**63 - 1, new_secret("email"))
    token = unsubscribe_token(one)

    assert read_unsubscribe_token(token) == one
    assert str(2**62) not in token


@pytest.mark.parametrize("token", ["", "abc", "A" * 56 + "=", "é" * 56, "A" * 55, "A" * 60])
def test_what_is_no_unsubscribe_link_opens_nothing(token: str) -> None:
    assert read_unsubscribe_token(token) is None


if __name__ == "__main__":
    for golden in LETTERS:
        (GOLDEN / f"{golden}.eml").write_bytes(bytes(made(golden)))
