from __future__ import annotations

import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from server_stub.settings import Settings
from server_stub.store.engine import reading_engine, writing_engine
from server_stub.store.tables import buckets, runs, trackers, tracking_tokens
from tests.server_stub.doors import emptied, one_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.server_stub.conftest import LiveServer

PROBLEM = "application/problem+json"


class Chunks:
    """A body whose length nobody knows beforehand."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """One server per database for all tests here; each test leaves it without rows."""
    with one_server(request, tmp_path_factory, "door") as server:
        yield server


@pytest.fixture
def database_url(live: LiveServer) -> Iterator[str]:
    yield live.settings.database_url
    emptied(live.settings.database_url)


@pytest.fixture
def client(live: LiveServer, no_certificates: ssl.SSLContext) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as connected:
        yield connected


@pytest.fixture
def token(add_tracker: Callable[..., str]) -> str:
    return add_tracker("tok")


@pytest.fixture
def rows(database_url: str) -> Callable[[Any], list[dict[str, Any]]]:
    """Reads a whole table behind the server's back."""

    def read(table: Any) -> list[dict[str, Any]]:
        engine = reading_engine(database_url)
        with engine.connect() as connection, connection.begin():
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        engine.dispose()
        return found

    return read


@pytest.fixture
def change(database_url: str) -> Callable[[Any], None]:
    """Runs one statement behind the server's back, as another process would."""

    def run(statement: Any) -> None:
        engine = writing_engine(database_url)
        with engine.begin() as connection:
            connection.execute(statement)
        engine.dispose()

    return run


def test_a_ping_is_stored_before_it_is_answered(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    answer = client.post(f"/ping/{token}", json={"model": "gpt-5", "input_tokens": 12})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    receipt = answer.json()
    (run,) = rows(runs)
    assert receipt.pop("received_at").endswith("Z")
    assert receipt == {
        "id": str(run["id"]),
        "ok": True,
        "duplicate": False,
        "warnings": [],
        "recorded": None,
    }
    assert (run["model"], run["input_tokens"]) == ("gpt-5", 12)
    assert [bucket["input_tokens"] for bucket in rows(buckets)] == [12]


@pytest.mark.parametrize(
    ("request_parts", "payload"),
    [
        ({}, {}),
        ({"json": {"a": {"b": 1}}}, {"a": {"b": 1}}),
        ({"data": {"status": "ok", "items_processed": "3"}}, {"status": "ok", "items_processed": "3"}),
        ({"params": {"status": "ok"}}, {"status": "ok"}),
        ({"params": {"a": "query", "b": "query"}, "json": {"a": "body"}}, {"a": "body", "b": "query"}),
        ({"content": b'{"a": 1}', "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, {"a": 1}),
        ({"content": b""}, {}),
        ({"json": {"nul": "a\0b"}}, {"nul": "a\ufffdb"}),
    ],
)  # fmt: skip
def test_whatever_form_a_ping_has_its_fields_are_kept(
    *,
    request_parts: dict[str, Any],
    payload: dict[str, Any],
    client: httpx.Client,
    token: str,
    rows: Callable[[Any], list[dict[str, Any]]],
) -> None:
    answer = client.post(f"/ping/{token}", **request_parts)

    assert answer.status_code == 200
    (run,) = rows(runs)
    stored = run["payload"]
    assert (json.loads(stored) if isinstance(stored, str) else stored) == payload


def test_the_same_key_again_gets_the_first_answer_and_a_marker(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    key = {"Idempotency-Key": "run-17"}
    first = client.post(f"/ping/{token}", json={"a": 1}, headers=key)
    again = client.post(f"/ping/{token}", json={"a": 2}, headers=key)

    assert "idempotency-replayed" not in first.headers
    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() | {"duplicate": True}
    assert len(rows(runs)) == 1


def test_a_repeated_collector_fact_tells_what_is_recorded(client: httpx.Client, token: str) -> None:
    fact = {"Idempotency-Key": "fact:abc"}
    client.post(f"/ping/{token}", json={"input_tokens": 10, "cost_usd": 0.25}, headers=fact)
    client.post(
        f"/ping/{token}",
        json={"kind": "correction", "corrects": "fact:abc", "revision": 1, "input_tokens": 5},
    )

    again = client.post(f"/ping/{token}", json={"input_tokens": 10}, headers=fact).json()

    assert again["duplicate"] is True
    recorded = again["recorded"]
    assert (recorded["revision"], recorded["runs"], recorded["input_tokens"]) == (1, 1, 15)
    assert recorded["cost_usd"] == 0.25


def test_a_correction_without_a_key_is_booked_once_per_revision(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    payload = {"kind": "correction", "corrects": "fact:abc", "revision": 1, "input_tokens": 5}
    answers = [client.post(f"/ping/{token}", json=payload).json() for _ in range(2)]

    assert [answer["duplicate"] for answer in answers] == [False, True]
    assert [bucket["input_tokens"] for bucket in rows(buckets)] == [5]


def test_sixteen_clients_with_one_key_make_one_run(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    def send(_number: int) -> bool:
        answer = client.post(f"/ping/{token}", headers={"Idempotency-Key": "fact:x"})
        assert answer.status_code == 200
        return bool(answer.json()["duplicate"])

    with ThreadPoolExecutor(16) as pool:
        duplicates = list(pool.map(send, range(100)))

    assert duplicates.count(False) == 1
    assert len(rows(runs)) == 1


def test_warnings_come_with_the_answer(client: httpx.Client, token: str) -> None:
    answer = client.post(f"/ping/{token}", json={"ended_at": "2999-01-01T00:00:00Z"})

    assert answer.status_code == 200
    assert "lies in the future" in answer.json()["warnings"][0]


def test_get_explains_the_door_and_records_nothing(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    answer = client.get(f"/ping/{token}")

    assert answer.status_code == 200
    told = answer.json()
    assert told["ping_url"] == f"{client.base_url}/ping/{token}".replace("//ping", "/ping")
    assert told["ping_url"] in told["example"]
    assert told["capabilities"] == {
        "idempotency": True,
        "corrections": True,
        "verbs": ["start", "end", "skip", "log", "fail", "exit-code"],
        "max_body_bytes": 65536,
    }
    assert rows(runs) == []


def test_head_answers_like_get_without_a_body(client: httpx.Client, token: str) -> None:
    answer = client.head(f"/ping/{token}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert client.head("/ping/nobody").status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["nobody", "", "a%00b", "%FF", "x" * 500, "nobody/start"])
def test_an_unknown_token_is_a_404(
    method: str, path: str, client: httpx.Client, token: str
) -> None:
    answer = client.request(method, f"/ping/{path}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("unknown-tracking-token", 404)
    assert problem["next"]


@pytest.mark.parametrize(
    "statement",
    [
        update(tracking_tokens).values(revoked_ms=5),
        update(trackers).values(deleted_ms=5),
    ],
    ids=["rotated", "deleted"],
)
def test_a_token_that_was_taken_back_is_a_410_at_once(
    statement: Any, client: httpx.Client, token: str, change: Callable[[Any], None]
) -> None:
    before = client.post(f"/ping/{token}").status_code

    change(statement)

    assert before == 200
    for answer in (client.post(f"/ping/{token}"), client.get(f"/ping/{token}")):
        assert answer.status_code == 410
        assert answer.json()["type"] == "tracking-token-gone"


def test_a_paused_tracker_records_and_stays_paused(
    client: httpx.Client,
    token: str,
    change: Callable[[Any], None],
    rows: Callable[[Any], list[dict[str, Any]]],
) -> None:
    change(update(trackers).values(state="paused"))

    assert client.post(f"/ping/{token}").status_code == 200

    assert len(rows(runs)) == 1
    assert rows(trackers)[0]["state"] == "paused"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_a_405_that_names_what_is_allowed(
    method: str, client: httpx.Client, token: str
) -> None:
    answer = client.request(method, f"/ping/{token}")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    ("request_parts", "status", "slug"),
    [
        ({"json": {"input_tokens": "many"}}, 422, "invalid-fields"),
        ({"params": {"cost_usd": "free"}}, 422, "invalid-fields"),
        ({"content": b"{}", "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported-media-type"),
        ({"headers": {"Idempotency-Key": ""}}, 400, "invalid-idempotency-key"),
        ({"headers": {"Idempotency-Key": "k" * 201}}, 400, "invalid-idempotency-key"),
        ({"headers": {"Idempotency-Key": "schlüssel".encode()}}, 400, "invalid-idempotency-key"),
        ({"headers": [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]}, 400, "invalid-idempotency-key"),
        ({"content": b"x" * 65537}, 413, "body-too-large"),
        ({"content": Chunks(b"x" * 40000, b"x" * 40000)}, 413, "body-too-large"),
    ],
)  # fmt: skip
def test_a_bad_ping_is_one_clear_problem_and_nothing_is_recorded(
    *,
    request_parts: dict[str, Any],
    status: int,
    slug: str,
    client: httpx.Client,
    token: str,
    rows: Callable[[Any], list[dict[str, Any]]],
) -> None:
    answer = client.post(f"/ping/{token}", **request_parts)

    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (slug, status)
    assert problem["title"]
    assert problem["next"]
    assert rows(runs) == []


@pytest.mark.parametrize(
    ("request_parts", "said"),
    [
        ({"content": b"{"}, "broken JSON at line 1, column 2"),
        ({"content": b"[1]"}, "the body is a list, not a JSON object"),
        ({"content": b"\xff"}, "byte 0 of the body is not UTF-8"),
        ({"content": b"[NaN]"}, "NaN is not a JSON number"),
        ({"content": b"[" * 60_000}, "more than 64 deep"),
        ({"content": b"<x/>", "headers": {"Content-Type": "text/xml"}}, "'text/xml'"),
        ({"files": {"a": b"1"}}, "'multipart/form-data'"),
    ],
)
def test_what_cannot_be_read_is_recorded_with_a_warning_that_says_why(
    *,
    request_parts: dict[str, Any],
    said: str,
    client: httpx.Client,
    token: str,
    rows: Callable[[Any], list[dict[str, Any]]],
) -> None:
    answer = client.post(f"/ping/{token}", **request_parts)

    assert answer.status_code == 200
    assert said in answer.json()["warnings"][0]
    assert [run["runs"] for run in rows(runs)] == [1]


def test_a_query_that_is_not_utf8_costs_neither_ping_nor_fields(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    answer = client.post(f"/ping/{token}?a=%FF", json={"input_tokens": 5})

    assert answer.json()["warnings"] == ["the query is not UTF-8: what could be read was kept"]
    assert [run["input_tokens"] for run in rows(runs)] == [5]


def test_refused_fields_are_listed(client: httpx.Client, token: str) -> None:
    answer = client.post(f"/ping/{token}", json={"input_tokens": -1, "model": []})

    assert [error["field"] for error in answer.json()["errors"]] == ["input_tokens", "model"]


def test_the_largest_body_is_taken(client: httpx.Client, token: str) -> None:
    body = b'{"a":"' + b"x" * (65536 - 8) + b'"}'

    assert client.post(f"/ping/{token}", content=body).status_code == 200


def test_an_over_long_body_leaves_the_connection_usable(client: httpx.Client, token: str) -> None:
    refused = client.post(f"/ping/{token}", content=b"x" * 2_000_000)
    after = client.post(f"/ping/{token}")

    assert (refused.status_code, after.status_code) == (413, 200)


def raw(client: httpx.Client, data: bytes) -> bytes:
    """Send bytes as they are, stop sending, and read what comes back."""
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connected:
        connected.sendall(data)
        connected.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connected.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"POST /ping/tok",
        b"POST /ping/tok HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        b"POST /ping/tok HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /ping/tok HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_half_a_request_and_nonsense_do_not_hurt(
    data: bytes, client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    raw(client, data)

    assert client.post(f"/ping/{token}").status_code == 200
    assert len(rows(runs)) == 1


HALF_A_PING = b"POST /ping/tok HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"


def told(connected: socket.socket) -> tuple[bytes, str]:
    """The head of the answer and the type of its problem; the server must then hang up."""
    answer = b""
    while part := connected.recv(65536):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)["type"]


def test_a_body_that_never_comes_whole_is_given_up(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_stub.ingest.body.BODY_SECONDS", 0.05)

    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as connected:
        connected.sendall(HALF_A_PING)
        answer = told(connected)

    assert answer == (b"HTTP/1.1 408 Request Timeout", "body-too-slow")


def test_a_server_that_stops_tells_whoever_is_still_sending(
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("server_stub.run.GRACE_SECONDS", 0.2)
    with run_server(Settings(database_url=sqlite_url, port=0)) as live:
        port = int(live.url.rsplit(":", 1)[1])
        connected = socket.create_connection(("127.0.0.1", port), timeout=10)
        connected.sendall(HALF_A_PING)
        httpx.get(live.url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)

    with connected:
        answer = told(connected)
    assert answer == (b"HTTP/1.1 503 Service Unavailable", "unavailable")
    assert not any(record.exc_info for record in caplog.records)


def test_a_client_that_leaves_before_the_answer_has_its_ping_recorded(
    client: httpx.Client, token: str, rows: Callable[[Any], list[dict[str, Any]]]
) -> None:
    port = client.base_url.port
    for number in range(20):
        with socket.create_connection(("127.0.0.1", port)) as connected:
            head = f"POST /ping/{token} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k{number}\r\n"
            connected.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())

    sent = [client.post(f"/ping/{token}", headers={"Idempotency-Key": f"k{n}"}) for n in range(20)]

    assert {answer.status_code for answer in sent} == {200}
    assert len(rows(runs)) == 20


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=120)
    | st.dictionaries(
        st.sampled_from(["input_tokens", "cost_usd", "model", "ended_at", "kind", "x"]),
        st.none() | st.integers() | st.text() | st.booleans() | st.floats(allow_nan=False),
    ).map(lambda payload: json.dumps(payload).encode()),
    content_type=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "image/png", ""]
    ),
    query=st.text("abc=&%0123456789ABCDEF+;", max_size=30),
    key=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=210),
)  # fmt: skip
def test_no_ping_ever_gets_anything_but_a_receipt_or_a_problem(
    *,
    body: bytes,
    content_type: str,
    query: str,
    key: str | None,
    client: httpx.Client,
    token: str,
) -> None:
    headers = {"Content-Type": content_type} | ({} if key is None else {"Idempotency-Key": key})

    answer = client.post(f"/ping/{token}?{query}", content=body, headers=headers)

    assert answer.status_code in {200, 400, 422}
    known = {"id", "received_at"} if answer.status_code == 200 else {"type", "title", "status"}
    assert known <= answer.json().keys()


def test_everything_else_that_is_not_there_is_a_problem_too(client: httpx.Client) -> None:
    answer = client.get("/nothing/here")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["type"] == "not-found"


def test_health_tells_that_the_server_can_record(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"ok": True}
    answer = client.post("/healthz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["type"] == "method-not-allowed"


def test_the_openapi_document_holds_the_ping_door(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    again = client.get("/openapi.json").json()

    door = document["paths"]["/ping/{tracking_token}"]
    assert {"get", "post"} <= door.keys()
    assert "410" in door["post"]["responses"]
    assert {"Receipt", "Instructions", "Problem"} <= document["components"]["schemas"].keys()
    assert document == again
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def references(value: Any) -> list[str]:
    """Every `$ref` of a document."""
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for item in value.values() for found in references(item)]
