"""Healthchecks' ping verbs on our URLs, as its wrappers use them."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server_stub.store.tables import buckets, runs, trackers
from tests.server_stub.doors import Door, emptied, one_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.server_stub.conftest import LiveServer

UUID = "0189abcd-1234-4def-8123-456789abcdef"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with one_server(request, tmp_path_factory, "verbs") as server:
        yield server


@pytest.fixture
def door(live: LiveServer, no_certificates: ssl.SSLContext) -> Iterator[Door]:
    with httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as client:
        opened = Door(client, live.settings.database_url)
        opened.open()
        yield opened
    emptied(live.settings.database_url)


@pytest.mark.parametrize(
    ("end", "kind", "payload"),
    [
        ("/start", "start", {}),
        ("/log", "log", {}),
        ("/fail", "run", {"status": "error"}),
        ("/0", "run", {"exit_code": 0, "status": "success"}),
        ("/255/", "run", {"exit_code": 255, "status": "error"}),
    ],
)
def test_every_method_records_on_a_verb(
    end: str, kind: str, payload: dict[str, Any], door: Door
) -> None:
    for method in ("POST", "GET", "HEAD"):
        answer = door.ping(end, method)
        assert answer.status_code == 200
        assert answer.headers["ping-body-limit"] == "10000"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content == b"" if method == "HEAD" else answer.json()["ok"] is True

    assert door.recorded() == [(kind, payload)] * 3


def test_a_start_and_a_log_are_no_runs_and_no_failures(door: Door) -> None:
    for end in ("/start", "/log", "/fail", "/0", "/7"):
        door.ping(end)

    (bucket,) = door.rows(buckets)
    assert (bucket["runs"], bucket["failures"]) == (3, 2)


def test_a_log_leaves_the_tracker_as_it_was(door: Door) -> None:
    before = door.rows(trackers)

    door.ping("/log", content=b"half way")

    assert door.rows(trackers) == before


def test_any_other_end_of_the_url_is_a_404_and_records_nothing(door: Door) -> None:
    for end in ("/stop", "/256", "/-1", "/1.0", "/start/now", "/Fail", "//", "/0x1", "/my-slug"):
        for method in ("POST", "GET"):
            answer = door.ping(end, method)
            assert (answer.status_code, answer.json()["type"]) == (404, "unknown-ping-verb"), end
            assert "exit code" in answer.json()["detail"]
        assert door.ping(end, "HEAD").status_code == 404

    assert door.recorded() == []


def test_other_methods_are_not_allowed_on_verbs_either(door: Door) -> None:
    assert door.ping("/start", "PUT").headers["allow"] == "GET, HEAD, POST"


def test_a_verb_on_an_unknown_token_is_a_404(door: Door) -> None:
    answer = door.http.post("/ping/nobody/start")

    assert (answer.status_code, answer.json()["type"]) == (404, "unknown-tracking-token")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (f"/start?rid={UUID}", f"/0?rid={UUID.upper()}"),
        ("/start?rid=nightly%20%C3%A9", "?rid=nightly%20%C3%A9"),
        ("/start?rid=" + "x" * 250, "/fail?rid=" + "x" * 260),
    ],
)
def test_a_rid_is_kept_with_both_ends(start: str, end: str, door: Door) -> None:
    assert door.ping(start).status_code == door.ping(end).status_code == 200

    assert [kind for kind, _ in door.recorded()] == ["start", "run"]
    assert all("rid" in payload for _, payload in door.recorded())


def test_verbs_are_judged_like_any_run(door: Door) -> None:
    states = []
    for end in ("/start", "/0", "/3", "/log", "/0", "/fail", ""):
        door.ping(end)
        states.append(door.rows(trackers)[0]["state"])

    assert states == ["new", "active", "failing", "failing", "active", "failing", "active"]


def test_an_end_ends_the_start_with_its_rid_and_no_other(door: Door) -> None:
    for end in (f"/start?rid={UUID}", "/start?rid=other", f"/0?rid={UUID.upper()}"):
        door.ping(end)

    begun = json.loads(door.rows(trackers)[0]["memory"])["begun"]
    assert len(begun) == 1
    assert "other" in begun[0]


def test_our_own_starts_end_with_the_key_that_they_name(door: Door) -> None:
    door.ping(json={"kind": "start", "run_key": "k1"}, headers={"Idempotency-Key": "k1.start"})
    door.ping(json={"kind": "start", "run_key": "k2"}, headers={"Idempotency-Key": "k2.start"})
    door.ping(json={"status": "success"}, headers={"Idempotency-Key": "k1"})

    begun = json.loads(door.rows(trackers)[0]["memory"])["begun"]
    assert len(begun) == 1
    assert "k2" in begun[0]


ENDS = ("", "/0", "/fail", "/log", "/start")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_what_a_job_printed_is_kept_as_its_tail(content_type: str | None, door: Door) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    printed = b"Saved 12 files: 100% done\n\x1b[0mbye\n"

    statuses = {door.ping(end, content=printed, headers=headers).status_code for end in ENDS}

    assert statuses == {200}
    kept = [payload["output_tail"] for _, payload in door.recorded()]
    assert kept == ["Saved 12 files: 100% done\n\x1b[0mbye"] * len(ENDS)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"\xff\xfe\x00", "\ufffd\ufffd\ufffd"),
        ("…é".encode()[:-1], "…\ufffd"),
        (b"a\0b", "a\ufffdb"),
        ("Größe".encode("latin-1"), "Gr\ufffd\ufffde"),
    ],
)
def test_a_body_that_is_no_utf8_or_cut_through_is_stored_and_warned_about(
    body: bytes, kept: str, door: Door
) -> None:
    kinds = ("", "text/plain", "application/json", "image/png")
    for end in ("", "/0"):
        for kind in kinds:
            answer = door.ping(end, content=body, headers={"Content-Type": kind})
            assert answer.status_code == 200
            assert answer.json()["warnings"]

    recorded = door.recorded()
    assert [(kind, payload["output_tail"]) for kind, payload in recorded] == [("run", kept)] * 8


def test_a_json_body_keeps_its_fields_on_a_verb(door: Door) -> None:
    door.ping("/0", json={"items_processed": 5, "model": "gpt-5"})

    (run,) = door.rows(runs)
    assert run["model"] == "gpt-5"
    assert door.recorded()[0][1]["items_processed"] == 5


def test_a_field_that_cannot_be_booked_costs_no_ping_on_a_verb(door: Door) -> None:
    answer = door.ping("/0", json={"input_tokens": "many", "output_tokens": 3})

    assert answer.status_code == 200
    assert "input_tokens was not booked" in answer.json()["warnings"][0]
    (run,) = door.rows(runs)
    assert (run["input_tokens"], run["output_tokens"]) == (0, 3)


@pytest.mark.parametrize("verb", ["/1", "/fail"])
def test_what_a_job_printed_does_not_take_its_failure_back(verb: str, door: Door) -> None:
    door.ping(verb, json={"primary": False, "kind": "skip"})

    (run,) = door.rows(runs)
    assert (run["kind"], run["runs"], run["failures"]) == ("run", 1, 1)
    (tracker,) = door.rows(trackers)
    assert tracker["state"] == "failing"


def test_a_text_that_happens_to_be_an_object_with_odd_fields_costs_no_ping(door: Door) -> None:
    printed = b'{"status": "error", "kind": "backup", "input_tokens": "many"}'

    strict = door.ping("", content=printed, headers={"Content-Type": "application/json"})
    spoken = door.ping("", content=printed, headers={"Content-Type": "text/plain"})

    assert {each["field"] for each in strict.json()["errors"]} == {"kind", "input_tokens"}
    assert (strict.status_code, spoken.status_code) == (422, 200)
    assert len(spoken.json()["warnings"]) == 2
    assert door.recorded() == [("run", json.loads(printed))]
    assert door.rows(trackers)[0]["state"] == "failing"


def test_a_correction_is_booked_whole_or_not_at_all(door: Door) -> None:
    half = b'{"kind": "correction", "corrects": "k", "revision": 1, "input_tokens": "many"}'

    answer = door.ping("", content=half, headers={"Content-Type": "text/plain"})

    assert answer.status_code == 422
    assert door.recorded() == []


def test_a_number_that_json_has_not_costs_no_other_field(door: Door) -> None:
    answer = door.ping("", content=b'{"status": "error", "loss": NaN, "most": [1e999, 2]}')

    assert "NaN is not a JSON number" in answer.json()["warnings"][0]
    assert door.recorded() == [("run", {"status": "error", "loss": None, "most": [None, 2]})]
    assert door.rows(runs)[0]["failures"] == 1


def test_of_a_long_log_the_end_is_kept(door: Door) -> None:
    log = b"".join(b"line %07d\n" % number for number in range(70_000))

    for end in ("/0", ""):
        answer = door.ping(end, content=log, headers={"Content-Type": "text/plain"})
        assert answer.status_code == 200
        assert "only the end was kept" in answer.json()["warnings"][-1]

    for _, payload in door.recorded():
        assert payload["output_tail"].endswith("line 0069999")
        assert len(payload["output_tail"]) == 10_000
    assert door.ping("/0", content=b"x" * (1024 * 1024 + 1)).status_code == 413


def test_a_broken_body_of_a_collector_is_refused_and_leaves_its_key_free(door: Door) -> None:
    key = {"Idempotency-Key": "fact:abc"}

    for broken in (b'{"input_tokens": 5', b"\xff", b"[1]"):
        assert door.ping("", content=broken, headers=key).status_code == 400
    for end in ("", "/0"):
        cut = {**key, "Content-Type": "text/plain"}
        assert door.ping(end, content=b"x" * 70_000, headers=cut).status_code == 413
    whole = door.ping("", json={"input_tokens": 5}, headers=key)

    assert (whole.status_code, whole.json()["duplicate"]) == (200, False)
    assert len(door.recorded()) == 1


def test_a_broken_body_under_any_other_key_is_recorded_once(door: Door) -> None:
    key = {"Idempotency-Key": "mine"}

    answers = [door.ping("/0", content=b'{"a": 1', headers=key).json() for _ in range(2)]

    assert [answer["duplicate"] for answer in answers] == [False, True]
    assert len(door.recorded()) == 1


def test_many_verbs_at_once_are_each_recorded_once(door: Door) -> None:
    def send(number: int) -> int:
        rid = f"rid={number}"
        return sum(door.ping(f"/{end}?{rid}").status_code for end in ("start", number % 2))

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(send, range(50)))

    assert statuses == {400}
    kinds = [kind for kind, _ in door.recorded()]
    assert (kinds.count("start"), kinds.count("run")) == (50, 50)
    assert sum(bucket["failures"] for bucket in door.rows(buckets)) == 25


def spoken(port: int | None, *requests: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Send requests over one connection, byte for byte; return status line and headers of each."""
    answers = []
    with socket.create_connection(("127.0.0.1", port or 0), timeout=10) as connected:
        stream = connected.makefile("rb")
        for request in requests:
            connected.sendall(request)
            status = stream.readline().strip()
            lines = iter(stream.readline, b"\r\n")
            headers = dict(line.strip().lower().split(b": ", 1) for line in lines)
            if not request.startswith(b"HEAD"):
                stream.read(int(headers[b"content-length"]))
            answers.append((status, headers))
    return answers


def like_runitor(path: str, body: bytes = b"") -> bytes:
    """What runitor's requests look like on the wire: Go's net/http, text/plain, a length."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        "User-Agent: runitor/v1.4.1 (+https://bdd.fi/x/runitor)\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: text/plain\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    return head.encode() + body


def test_what_runitor_sends_is_understood(door: Door) -> None:
    base = f"/ping/{door.token}"
    failing = b"tar: removing leading '/'\n\n[runitor] exit status 2"

    answers = spoken(
        door.http.base_url.port,
        like_runitor(f"{base}/start?rid={UUID}"),
        like_runitor(f"{base}?rid={UUID}", b"done: \xe2\x9c\x93\n"),
        like_runitor(f"{base}/start"),
        like_runitor(f"{base}/2", failing),
        like_runitor(f"{base}/0"),
        like_runitor(f"{base}/log?create=1", b"half"),
        like_runitor(f"{base}/fail", b"[runitor] exec: no such file"),
    )

    # It takes 200 and 201 for success, and its body limit from the answer to the start.
    assert {status for status, _ in answers} == {b"HTTP/1.1 200 OK"}
    assert answers[0][1][b"ping-body-limit"] == b"10000"
    assert door.recorded() == [
        ("start", {"rid": UUID}),
        ("run", {"rid": UUID, "output_tail": "done: ✓"}),
        ("start", {}),
        ("run", {"output_tail": failing.decode(), "exit_code": 2, "status": "error"}),
        ("run", {"exit_code": 0, "status": "success"}),
        ("log", {"create": "1", "output_tail": "half"}),
        ("run", {"output_tail": "[runitor] exec: no such file", "status": "error"}),
    ]


def test_what_curl_sends_in_a_crontab_is_understood(door: Door) -> None:
    base = f"/ping/{door.token}"
    curl = "HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
    form = "Content-Length: 9\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"

    answers = spoken(
        door.http.base_url.port,
        f"GET {base}/start {curl}\r\n".encode(),
        f"POST {base}/1 {curl}{form}disk full".encode(),
        f"HEAD {base}/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    )

    assert {status for status, _ in answers} == {b"HTTP/1.1 200 OK"}
    assert [payload for _, payload in door.recorded()] == [
        {},
        {"output_tail": "disk full", "exit_code": 1, "status": "error"},
        {"exit_code": 0, "status": "success"},
    ]


FIELDS = st.dictionaries(
    st.sampled_from(["status", "kind", "input_tokens", "exit_code", "corrects", "ended_at", "x"]),
    st.none() | st.integers() | st.text(max_size=9) | st.booleans() | st.lists(st.integers()),
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    end=st.sampled_from(["/start", "/log", "/fail", "/0", "/1", "/255"]),
    body=st.binary(max_size=120) | FIELDS.map(lambda fields: json.dumps(fields).encode()),
    content_type=st.sampled_from(
        ["", "text/plain", "application/json", "application/x-www-form-urlencoded", "x/y", "?"]
    ),
    query=st.text("rid=&%0123456789ABCDEF+;", max_size=30),
    fact=st.booleans(),
)
def test_no_ping_with_a_verb_is_ever_lost(
    *, end: str, body: bytes, content_type: str, query: str, fact: bool, door: Door
) -> None:
    answer = door.ping(f"{end}?{query}", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 200, answer.text
    assert answer.json()["duplicate"] is False
    if fact:
        # Half a collector's ping may be refused, and never anything else but that.
        key = {"Idempotency-Key": f"fact:{uuid4().hex}", "Content-Type": content_type}
        answer = door.ping(f"{end}?{query}", content=body, headers=key)
        assert answer.status_code in {200, 400, 415}
