from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from telemhq_agents.contract.ping import Capabilities
from telemhq_agents.contract.resources import Role, TrackerState
from telemhq_agents.delivery.client import ApiClient, PingSender
from telemhq_agents.delivery.outcome import NoReply, Reply
from telemhq_agents.errors import RefusedError, UnreachableError, UsageError
from tests.telemhq_agents.doors import dripping_door, open_door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "https://telemhq.test"
ACCOUNT = {"id": "7", "kind": "team", "name": "Shop", "timezone": "UTC", "role": "owner"}
ME = {
    "id": "1",
    "email": "ada@shop.test",
    "name": "Ada",
    "default_account": "7",
    "accounts": [ACCOUNT],
}
TRACKER = {
    "id": "42", "account": "7", "name": "Codex on laptop", "ping_url": f"{URL}/ping/secret",
    "state": "active", "owner": "ada@shop.test", "created_at": "2026-11-20T08:00:00.000Z",
}  # fmt: skip
INVITATION = {
    "id": "9", "team": "7", "team_name": "Shop", "email": "bo@shop.test", "role": "member",
    "invited_by": "ada@shop.test", "expires_at": "2026-11-27T08:00:00.000Z",
}  # fmt: skip
MEMBER = {
    "id": "1",
    "email": "ada@shop.test",
    "name": "Ada",
    "role": "owner",
    "state": "active",
    "joined_at": "",
}
KEY = {"id": "3", "name": "laptop", "prefix": "tq_ab", "created_at": ""}


@pytest.fixture
def api() -> Iterator[ApiClient]:
    with ApiClient(URL + "/", "tq_key", account="7") as api:
        yield api


Case = tuple["Callable[[ApiClient], Any]", str, str, object, object]
CASES: list[Case] = [
    (lambda api: api.me(), "GET", "/me", None, ME),
    (lambda api: api.change_me(name="Ada"), "PATCH", "/me", {"name": "Ada"}, ME),
    (lambda api: api.change_account("7", timezone="Asia/Kolkata"), "PATCH", "/accounts/7", {"timezone": "Asia/Kolkata"}, ACCOUNT),
    (lambda api: api.naming_key("7"), "GET", "/accounts/7/naming-key", None, {"naming_key": "k"}),
    (lambda api: api.api_keys(), "GET", "/api-keys", None, [KEY]),
    (lambda api: api.create_api_key("laptop"), "POST", "/api-keys", {"name": "laptop"}, {"id": "3", "name": "laptop", "api_key": "tq_x"}),
    (lambda api: api.revoke_api_key("3"), "DELETE", "/api-keys/3", None, None),
    (lambda api: api.trackers(), "GET", "/trackers?account=7", None, [TRACKER]),
    (lambda api: api.create_tracker("x"), "POST", "/trackers?account=7", {"name": "x"}, TRACKER),
    (lambda api: api.tracker("42"), "GET", "/trackers/42", None, TRACKER),
    (lambda api: api.change_tracker("42", state="paused"), "PATCH", "/trackers/42", {"state": "paused"}, TRACKER),
    (lambda api: api.delete_tracker("42"), "DELETE", "/trackers/42", None, None),
    (lambda api: api.rotate_tracker("42"), "POST", "/trackers/42/rotate", None, TRACKER),
    (lambda api: api.runs("42", limit=5, cursor="c"), "GET", "/trackers/42/runs?limit=5&cursor=c", None, {"runs": []}),
    (lambda api: api.device_tracker("dev/1", "codex", "Codex"), "PUT", "/devices/dev%2F1/trackers/codex?account=7", {"name": "Codex"}, TRACKER),
    (lambda api: api.teams(), "GET", "/teams", None, [ACCOUNT]),
    (lambda api: api.create_team("Shop"), "POST", "/teams", {"name": "Shop"}, ACCOUNT),
    (lambda api: api.members("7"), "GET", "/teams/7/members", None, [MEMBER]),
    (lambda api: api.invite("7", "bo@shop.test", "manager"), "POST", "/teams/7/invitations", {"email": "bo@shop.test", "role": "manager"}, INVITATION),
    (lambda api: api.invitations("7"), "GET", "/teams/7/invitations", None, [INVITATION]),
    (lambda api: api.invitation("t"), "GET", "/invitations/t", None, INVITATION),
    (lambda api: api.accept("t", name="Bo"), "POST", "/invitations/t/accept", {"name": "Bo"}, {"account": ACCOUNT, "email": "bo@shop.test"}),
    (lambda api: api.usage({"group_by": ["day", "model"], "scope": "team"}), "GET", "/usage?account=7&group_by=day&group_by=model&scope=team", None, {"schema": "telemhq.usage/1"}),
]  # fmt: skip


@respx.mock
@pytest.mark.parametrize(("ask", "method", "path", "sent", "answer"), CASES)
def test_each_question_goes_to_its_route_with_the_key(  # noqa: PLR0917 - a row of the table
    api: ApiClient,
    ask: Callable[[ApiClient], Any],
    method: str,
    path: str,
    sent: object,
    answer: object,
) -> None:
    found = httpx.Response(204) if answer is None else httpx.Response(200, json=answer)
    route = respx.route().mock(return_value=found)

    ask(api)

    request = route.calls.last.request
    assert (request.method, str(request.url)) == (method, f"{URL}/api/v1{path}")
    assert request.headers["Authorization"] == "Bearer tq_key"
    assert (json.loads(request.content) if request.content else None) == sent


@respx.mock
def test_answers_become_the_contracts_records(api: ApiClient) -> None:
    respx.get(f"{URL}/api/v1/me").respond(json=ME | {"some_day": "new"})
    respx.get(f"{URL}/api/v1/trackers/42").respond(json=TRACKER)

    assert api.me().accounts[0].role is Role.OWNER
    assert api.tracker("42").state is TrackerState.ACTIVE


@respx.mock
def test_a_problem_is_a_refusal_in_the_servers_words(api: ApiClient) -> None:
    problem = {
        "type": "not-found",
        "title": "No such tracker",
        "status": 404,
        "detail": "id 42",
        "next": "telemhq tracker list",
    }
    respx.get(f"{URL}/api/v1/trackers/42").respond(404, json=problem)

    with pytest.raises(RefusedError) as caught:
        api.tracker("42")

    assert caught.value.message == "No such tracker: id 42"
    assert caught.value.next_step == "telemhq tracker list"
    assert (caught.value.status, caught.value.problem.type) == (404, "not-found")


@respx.mock
@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError("no route"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("hung up")],
)
def test_silence_is_unreachable_and_names_the_server(
    api: ApiClient, failure: httpx.HTTPError
) -> None:
    respx.get(f"{URL}/api/v1/me").mock(side_effect=failure)

    with pytest.raises(UnreachableError, match=r"telemhq\.test"):
        api.me()


@respx.mock
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>bad gateway</html>"),
        (200, b"<html>"),
        (200, b'{"id": 1}'),
        (404, b"{}"),
        (302, b""),
    ],
)
def test_words_that_are_not_ours_are_no_answer(api: ApiClient, status: int, body: bytes) -> None:
    respx.get(f"{URL}/api/v1/me").respond(status, content=body)

    with pytest.raises(UnreachableError, match=r"telemhq\.test answered"):
        api.me()


def test_a_server_without_a_host_is_unreachable() -> None:
    with ApiClient("https://", "k") as api, pytest.raises(UnreachableError):
        api.me()


# Pings


@respx.mock
def test_a_ping_carries_its_key_and_no_api_key() -> None:
    route = respx.post(f"{URL}/ping/secret").respond(200, json={"id": "1"}, headers={"X-Y": "z"})

    with PingSender() as sender:
        answer = sender.ping(f"{URL}/ping/secret", "fact:1", b'{"a":1}')

    request = route.calls.last.request
    assert request.headers["Idempotency-Key"] == "fact:1"
    assert request.headers["Content-Type"] == "application/json"
    assert "Authorization" not in request.headers
    assert isinstance(answer, Reply)
    assert (answer.status, answer.headers["x-y"], answer.body) == (200, "z", b'{"id":"1"}')


@respx.mock
@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.ProxyError("407"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
        (httpx.WriteError("reset"), True),
        (httpx.RemoteProtocolError("hung up"), True),
    ],
)
def test_a_ping_without_an_answer_tells_whether_it_had_left(
    failure: httpx.HTTPError, sent: bool
) -> None:
    respx.post(f"{URL}/ping/secret").mock(side_effect=failure)

    with PingSender() as sender:
        assert sender.ping(f"{URL}/ping/secret", "k", b"") == NoReply(str(failure), sent)


@respx.mock
def test_an_unprotected_ping_uses_no_connection_twice() -> None:
    route = respx.post(f"{URL}/ping/secret").respond(200)

    with PingSender() as sender:
        sender.ping(f"{URL}/ping/secret", "k", b"", fresh=True)

    assert route.calls.last.request.headers["Connection"] == "close"


@respx.mock
def test_a_door_tells_what_it_can() -> None:
    told = {
        "message": "",
        "ping_url": "",
        "example": "",
        "fields": [],
        "capabilities": {"idempotency": True, "corrections": True, "max_body_bytes": 2048},
    }
    respx.get(f"{URL}/ping/ours").respond(json=told)
    respx.get(f"{URL}/ping/foreign").respond(json={"usage": "POST here"})
    respx.get(f"{URL}/ping/gone").respond(410, json={})
    respx.get(f"{URL}/ping/portal").respond(text="<html>")

    with PingSender() as sender:
        ours = sender.capabilities(f"{URL}/ping/ours")
        foreign = sender.capabilities(f"{URL}/ping/foreign")
        gone = sender.capabilities(f"{URL}/ping/gone")
        portal = sender.capabilities(f"{URL}/ping/portal")

    assert ours == Capabilities(idempotency=True, corrections=True, max_body_bytes=2048)
    assert foreign == Capabilities()
    assert isinstance(gone, Reply)
    assert isinstance(portal, NoReply)


def test_a_ping_url_that_is_none_is_refused_not_retried() -> None:
    with PingSender() as sender:
        answer = sender.ping("http://[::1", "k", b"")

    assert isinstance(answer, Reply)
    assert answer.status == 404


@pytest.mark.parametrize("asked", ["ping", "capabilities"])
def test_a_server_that_drips_its_answer_is_given_up_on_and_the_sender_goes_on(asked: str) -> None:
    with dripping_door() as slow, open_door() as door, PingSender(timeout_s=0.3) as sender:
        if asked == "ping":
            assert sender.ping(slow, "k", b"{}") == NoReply("no answer within 0.3 s", sent=True)
        else:
            assert isinstance(sender.capabilities(slow), NoReply)
        assert isinstance(sender.ping(door.url, "k", b"{}"), Reply)


def test_a_resolver_that_hangs_is_given_up_on_and_nothing_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_k: over.wait(20) and [])

    with PingSender(timeout_s=0.2) as sender:
        answer = sender.ping("http://made-up.test/ping/secret", "k", b"{}")

    over.set()
    assert answer == NoReply("no answer within 0.2 s", sent=False)


def test_a_key_that_no_header_can_hold_is_refused_before_anybody_is_asked() -> None:
    for key in ("\xe9", "thq_a\n"):
        with pytest.raises(UsageError, match="no API key"):
            ApiClient(URL, key)
