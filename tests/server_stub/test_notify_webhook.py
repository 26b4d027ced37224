"""Webhooks: what is posted, how it is signed, where it may go, and receivers that misbehave."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from server_stub.domain.address import is_public
from server_stub.domain.channel import clean_url, new_secret
from server_stub.notify import webhook
from server_stub.notify.lines import Dialler
from telemhq_agents.clock import now_ms
from telemhq_agents.errors import UsageError
from tests.server_stub.receivers import (
    Tls,
    answering,
    babbling,
    badly_chunked,
    both_ends,
    cut_short,
    dribbling,
    dropping,
    endless,
    hanging,
    receiving,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.domain.delivery import Attempt

CONTENT = {"event": "tracker.failed", "tracker": {"id": "10", "name": "nächtlich"}, "run": None}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OPEN = Dialler(allow_private=True, tls=NO_TLS)
SHUT = Dialler(allow_private=False, tls=NO_TLS)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return both_ends(tmp_path_factory.mktemp("tls"))


def sent(
    url: str,
    dialler: Dialler = OPEN,
    *secrets: str,
    seconds: float = 5.0,
    content: dict[str, Any] | None = None,
) -> Attempt:
    at_ms = now_ms()
    request = webhook.posting(url, content or CONTENT, "msg_1", secrets, at_ms)
    return webhook.send(request, dialler, at_ms, seconds)


def test_a_message_arrives_as_it_is() -> None:
    with receiving(answering()) as receiver:
        attempt = sent(receiver.url)

    (request,) = receiver.requests
    assert (attempt.error, attempt.http_status) == ("", 204)
    assert request.line == "POST /in?key=1"
    assert request.json == CONTENT
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "TelemHQ-Webhook/1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "webhook-signature" not in request.headers


def test_the_published_library_accepts_the_signature() -> None:
    secret = new_secret("webhook")
    with receiving(answering()) as receiver:
        sent(receiver.url, OPEN, secret)

    (request,) = receiver.requests
    assert Webhook(secret).verify(request.body, request.headers) == CONTENT
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body + b" ", request.headers)


def test_while_a_secret_is_rotated_both_are_accepted() -> None:
    after, before, other = (new_secret("webhook") for _ in range(3))
    with receiving(answering()) as receiver:
        sent(receiver.url, OPEN, after, before)

    (request,) = receiver.requests
    for secret in (after, before):
        assert Webhook(secret).verify(request.body, request.headers) == CONTENT
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(request.body, request.headers)


# The example of https://docs.svix.com/receiving/verifying-payloads/how-manual, with its signature.
def test_the_signature_is_the_published_one() -> None:
    request = webhook.posting(
        "https://example.com",
        {"event_type": "ping", "data": {"success": True}},
        "msg_loFOjxBNrRLzqYUf",
        ["whsec_plJ3nmyCDGBKInavdOK15jsl"],
        1_731_705_121_000,
    )

    assert request.body == b'{"event_type":"ping","data":{"success":true}}'
    assert request.headers["webhook-timestamp"] == "1731705121"
    expected = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    assert request.headers["webhook-signature"] == expected


MISBEHAVING: dict[str, tuple[Any, str]] = {
    "hangs": (hanging, "no answer within 0.3 seconds"),
    "dribbles": (dribbling, "no answer within 0.3 seconds"),
    "drops": (dropping, "no answer of HTTP: RemoteDisconnected"),
    "babbles": (babbling, "no answer of HTTP: BadStatusLine"),
    "fails": (answering("500 Oops", "see\nhere"), "answered 500: see here"),
    "refuses": (answering("404 Not Found"), "answered 404"),
    "moves": (
        answering("302 Found", Location="https://example.com/new"),
        "answered 302: it moved to https://example.com/new",
    ),
    "moves with what no terminal and no database takes": (
        answering("302 Found", Location="https://example.com/\x1b[2J\x00"),
        "answered 302: it moved to https://example.com/ [2J",
    ),
}


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_receiver_that_misbehaves_is_told_of_in_time(how: str) -> None:
    behave, error = MISBEHAVING[how]
    with receiving(behave) as receiver:
        attempt = sent(receiver.url, seconds=0.3 if "0.3" in error else 5.0)

    assert attempt.error == error
    assert attempt.took_ms < 4000
    assert not attempt.hopeless


@pytest.mark.parametrize("behave", [endless, cut_short, badly_chunked])
def test_what_comes_after_a_good_status_does_not_matter(behave: Any) -> None:
    with receiving(behave) as receiver:
        attempt = sent(receiver.url)

    assert (attempt.error, attempt.http_status) == ("", 200)


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        attempt = sent(f"http://127.0.0.1:{closed.getsockname()[1]}/")

    assert attempt.error == "no connection: Connection refused"


def test_a_receiver_that_is_gone_for_good_is_not_asked_again() -> None:
    with receiving(answering("410 Gone")) as receiver:
        assert sent(receiver.url).hopeless


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("120", 120_000),
        ("0", 0),
        ("soon", None),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0),
        ("Wed, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_a_receiver_may_say_when_to_come_back(header: str, wait_ms: int | None) -> None:
    with receiving(answering("503 Busy", Retry_After=header)) as receiver:
        attempt = sent(receiver.url)

    assert attempt.retry_after_ms == wait_ms


def test_a_redirect_that_keeps_the_request_is_followed() -> None:
    with (
        receiving(answering()) as there,
        receiving(answering("307 Elsewhere", Location=there.url)) as here,
    ):
        attempt = sent(here.url)

    assert attempt.error == ""
    assert there.requests[0].json == CONTENT


def test_redirects_come_to_an_end() -> None:
    with receiving(answering("308 Elsewhere", Location="/in")) as receiver:
        attempt = sent(receiver.url)

    assert attempt.error == "it redirects more than 3 times"
    assert len(receiver.requests) == 4


def resolving(**answers: list[str]) -> Callable[[str, int], list[str]]:
    """Resolve by a table: each look-up of a name takes its next answer."""

    def resolve(host: str, port: int) -> list[str]:
        del port
        name = host.replace(".", "_")
        if name not in answers:
            return [host]
        return [answers[name].pop(0)] if len(answers[name]) > 1 else answers[name]

    return resolve


PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "168.63.129.16"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "nonsense"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_called(address: str) -> None:
    assert not is_public(address)
    dialler = Dialler(allow_private=False, tls=NO_TLS, resolver=resolving(inside=[address]))

    attempt = sent("http://inside:9/", dialler, seconds=1.0)

    assert f"inside is {address}, which is not an address of the public internet" in attempt.error


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(address)


def test_a_private_address_is_called_where_the_operator_allows_it() -> None:
    with receiving(answering()) as receiver:
        refused = sent(receiver.url, SHUT)
        allowed = sent(receiver.url, OPEN)

    assert "not an address of the public internet" in refused.error
    assert allowed.error == ""
    assert len(receiver.requests) == 1


def test_a_name_that_changes_its_address_after_the_check_leads_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def connect(address: tuple[str, int], **_options: object) -> socket.socket:
        called.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    rebinding = resolving(rebind_example=["93.184.216.34", "127.0.0.1"])
    dialler = Dialler(allow_private=False, tls=NO_TLS, resolver=rebinding)

    first, second = (sent("http://rebind.example/", dialler) for _ in range(2))

    assert called == ["93.184.216.34"]
    assert "refused" in first.error
    assert "127.0.0.1, which is not an address of the public internet" in second.error


def test_a_redirect_to_a_private_address_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        receiving(answering()) as inside,
        receiving(answering("307 Inside", Location=inside.url)) as outside,
    ):
        # The public receiver is played by one on loopback: a name leads there, and passes the
        # check, because its address is said to be public.
        real = socket.create_connection

        def connect(address: tuple[str, int], **options: Any) -> socket.socket:
            host = "127.0.0.1" if address[0] == "93.184.216.34" else address[0]
            return real((host, address[1]), **options)

        monkeypatch.setattr(socket, "create_connection", connect)
        resolver = resolving(public_example=["93.184.216.34"])
        dialler = Dialler(allow_private=False, tls=NO_TLS, resolver=resolver)
        attempt = sent(f"http://public.example:{outside.port}/", dialler)

    assert len(outside.requests) == 1
    assert inside.requests == []
    assert "127.0.0.1, which is not an address of the public internet" in attempt.error


def test_a_look_up_that_hangs_ends_with_everything_else() -> None:
    end = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        end.wait(5)
        return []

    attempt = sent("http://slow.example/", replace(OPEN, resolver=resolve), seconds=0.2)
    end.set()

    assert attempt.error == "no answer within 0.2 seconds"


def test_a_secured_receiver_is_checked_by_its_name(tls: Tls) -> None:
    resolver = resolving(hooks_example_com=["127.0.0.1"], other_example_com=["127.0.0.1"])
    dialler = Dialler(allow_private=True, tls=tls.calling, resolver=resolver)
    with receiving(answering(), tls.serving) as receiver:
        good = sent(f"https://hooks.example.com:{receiver.port}/in", dialler)
        other = sent(f"https://other.example.com:{receiver.port}/in", dialler)
        unknown = sent(receiver.url, OPEN)

    assert good.error == ""
    assert receiver.requests[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    assert "no secure connection: Hostname mismatch" in other.error
    assert "no secure connection: self-signed certificate" in unknown.error


def test_a_secured_receiver_cannot_send_messages_on_in_the_clear(tls: Tls) -> None:
    dialler = Dialler(allow_private=True, tls=tls.calling)
    with (
        receiving(answering()) as plain,
        receiving(answering("307 Down", Location=plain.url), tls.serving) as secured,
    ):
        attempt = sent(secured.url, dialler)

    assert attempt.error == "it redirects from https to http"
    assert plain.requests == []


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/", "example.com/in", "https://", "http://:80/", "http://x:99999/"),
        *("https://user:secret@example.com/", "https://secret@example.com/", "http://[::1/"),
        *("https://example.com/a b", "https://example.com/\r\nX: y", "https://exämple.com/"),
        *("http://2130706433/", "http://0x7f.1/", "http://127.1/", "javascript:alert(1)", ""),
        "https://example.com/" + "x" * 2000,
    ],
)
def test_what_is_no_webhook_s_url_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        clean_url(url)

    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/in?key=1", "http://192.0.2.1:8080/", "http://[2001:db8::1]/"]
)
def test_what_is_one_is_kept_as_it_is(url: str) -> None:
    assert clean_url(f" {url} ") == url
