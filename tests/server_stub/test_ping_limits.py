"""What a plan limits at the ping door: the last that is allowed, the first that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from server_stub.store.tables import ping_counts, runs
from telemhq_agents.clock import from_iso
from tests.server_stub.doors import Door, emptied, one_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from tests.server_stub.conftest import LiveServer

NOVEMBER, DECEMBER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
MONTH_SECONDS = 30 * 24 * 3600
FREE_PINGS, FREE_BYTES, PRO_BYTES = 1_000, 1024, 2048


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with one_server(request, tmp_path_factory, "limits") as server:
        yield server


@pytest.fixture
def door(live: LiveServer, no_certificates: ssl.SSLContext) -> Iterator[Door]:
    with httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as client:
        opened = Door(client, live.settings.database_url)
        opened.open("free")
        yield opened
    emptied(live.settings.database_url)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the clock of the door."""

    def set_clock(moment: str) -> None:
        monkeypatch.setattr("server_stub.ingest.door.now_ms", lambda: from_iso(moment))

    return set_clock


def body_of(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


def test_the_last_ping_of_a_month_is_taken_and_the_first_beyond_refused(
    door: Door, at: Callable[[str], None]
) -> None:
    at("2026-11-30T23:59:59.000Z")
    door.spend(from_iso(NOVEMBER), FREE_PINGS - 1)

    last, first = door.ping(), door.ping()

    assert (last.status_code, first.status_code) == (200, 402)
    assert last.headers["ratelimit-policy"] == f'"pings";q=1000;w={MONTH_SECONDS}'
    assert last.headers["ratelimit"] == first.headers["ratelimit"] == '"pings";r=0;t=1'
    assert first.headers["retry-after"] == "1"
    problem = first.json()
    assert (problem["type"], problem["status"]) == ("quota-exceeded", 402)
    assert "1,000 pings a month until 2026-12-01T00:00:00.000Z" in problem["detail"]
    assert len(door.recorded()) == 1


def test_with_the_month_in_utc_the_quota_is_whole_again(
    door: Door, at: Callable[[str], None]
) -> None:
    door.spend(from_iso(NOVEMBER), FREE_PINGS)
    statuses = []
    for moment in ("2026-11-30T23:59:59.999Z", DECEMBER, "2026-12-31T23:59:59.999Z"):
        at(moment)
        statuses.append(door.ping().status_code)

    assert statuses == [402, 200, 200]
    used = {row["month_ms"]: row["pings"] for row in door.rows(ping_counts)}
    assert used == {from_iso(NOVEMBER): FREE_PINGS, from_iso(DECEMBER): 2}


def test_every_answer_tells_what_is_left(door: Door, at: Callable[[str], None]) -> None:
    at("2026-11-16T00:00:00Z")

    left = [door.ping(end).headers["ratelimit"] for end in ("", "/start", "/0", "/log")]

    assert left == [f'"pings";r={n};t={MONTH_SECONDS // 2}' for n in (999, 998, 997, 996)]


def test_a_plan_without_a_quota_tells_of_none(door: Door) -> None:
    door.put_on("unlimited")

    assert "ratelimit" not in door.ping().headers


def test_a_repetition_and_a_correction_cost_nothing(door: Door) -> None:
    key = {"Idempotency-Key": "fact:a"}
    correction = {"kind": "correction", "corrects": "fact:a", "revision": 1, "input_tokens": 5}
    door.ping(json={}, headers=key)

    again = door.ping(json={}, headers=key)
    corrected = door.ping(json=correction)

    assert again.json()["duplicate"] is True
    assert corrected.status_code == 200
    assert [row["pings"] for row in door.rows(ping_counts)] == [1]


def test_a_larger_plan_takes_more_at_once(door: Door, at: Callable[[str], None]) -> None:
    at("2026-11-16T00:00:00Z")
    door.spend(from_iso(NOVEMBER), FREE_PINGS)
    refused = door.ping()
    door.put_on("pro")

    assert (refused.status_code, door.ping().status_code) == (402, 200)


@pytest.mark.parametrize(
    ("plan", "most"), [("free", FREE_BYTES), ("pro", PRO_BYTES), ("team", PRO_BYTES)]
)
def test_the_largest_payload_is_taken_and_one_byte_more_refused(
    plan: str, most: int, door: Door
) -> None:
    door.put_on(plan)

    largest, larger = door.ping(content=body_of(most)), door.ping(content=body_of(most + 1))

    assert (largest.status_code, larger.status_code) == (200, 413)
    assert larger.json()["detail"] == f"the plan {plan} takes up to {most} bytes"
    assert len(door.recorded()) == 1


def test_the_query_counts_as_payload(door: Door) -> None:
    statuses = [door.ping(f"?a={'x' * (FREE_BYTES - 2 + more)}").status_code for more in (0, 1)]

    assert statuses == [200, 413]


def test_of_a_text_as_much_of_the_end_is_kept_as_the_plan_allows(door: Door) -> None:
    for end in ("/3", ""):
        answer = door.ping(
            end, content=b"\x1b[1m" * 700 + b"end", headers={"Content-Type": "text/plain"}
        )
        assert answer.status_code == 200
        assert "the plan keeps 1024 bytes" in answer.json()["warnings"][-1]

    (_, failed), (_, ended) = door.recorded()
    assert (failed["exit_code"], failed["status"]) == (3, "error")
    for payload in (failed, ended):
        tail = payload["output_tail"]
        assert tail.endswith("\x1b[1mend")
        size = len(httpx.Request("POST", "http://x", json=payload).content)
        assert FREE_BYTES - 16 < size <= FREE_BYTES


def test_a_sender_is_told_how_much_text_the_plan_keeps(door: Door) -> None:
    told = int(door.ping("/start").headers["ping-body-limit"])

    answer = door.ping("/3?rid=5c0b1b5e-6c2a-4e65-9b0e-000000000001", content=b"x" * told)

    assert told == FREE_BYTES - 128
    assert answer.json()["warnings"] == []
    assert door.recorded()[-1][1]["output_tail"] == "x" * told


def test_whatever_comes_with_a_verb_is_shortened_rather_than_refused(door: Door) -> None:
    answer = door.ping("/fail", content=body_of(5000))

    assert answer.status_code == 200
    ((_, payload),) = door.recorded()
    assert payload["status"] == "error"
    assert payload["output_tail"].endswith('xxx"}')


def test_what_a_plan_takes_is_told_by_the_instructions(door: Door) -> None:
    told = [door.ping(method="GET").json()["capabilities"]["max_body_bytes"]]
    door.put_on("unlimited")
    told.append(door.ping(method="GET").json()["capabilities"]["max_body_bytes"])

    assert told == [FREE_BYTES, 65536]


def test_a_text_is_never_shortened_by_what_decides_what_the_ping_is(door: Door) -> None:
    text = {"Content-Type": "text/plain"}
    long = {"notes": "x" * FREE_BYTES}
    told: list[tuple[str, dict[str, object]]] = [
        ("", {"status": "error"}),
        ("/0", {"status": "failed"}),
        ("", {"kind": "start"}),
        ("", {"kind": "correction", "corrects": "k", "revision": 1}),
    ]

    answers = [door.ping(end, json=fields | long, headers=text) for end, fields in told]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 413]
    booked = [(run["kind"], run["failures"]) for run in door.rows(runs)]
    assert sorted(booked) == [("run", 1), ("run", 1), ("start", 0)]
