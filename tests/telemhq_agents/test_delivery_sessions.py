"""Sessions over the wire: page after page, and what a server without them is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from telemhq_agents.contract.sessions import Session, SessionPage, Spent, as_json
from telemhq_agents.delivery import sessions
from telemhq_agents.delivery.client import ApiClient
from telemhq_agents.errors import NoSuchRouteError, UnreachableError

PAGE = 1000
"""What a server hands out at once."""


class Pages:
    """A server with so many sessions (and runs of each), which it hands out in pages."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[dict[str, str]] = []

    def client(self) -> ApiClient:
        transport = httpx.MockTransport(self.answer)
        return ApiClient("http://server.test", "thq_x", account="9", transport=transport)

    def answer(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        self.asked.append(query)
        first, size = int(query.get("cursor", 0)), int(query["limit"])
        assert 1 <= size <= PAGE
        last = min(first + size, self.count)
        following = str(last) if last < self.count else None
        if request.url.path.endswith("/runs"):
            runs = [run(number) for number in range(first, last)]
            return httpx.Response(200, json={"runs": runs, "next_cursor": following})
        found = [as_json(Session(session=f"s{number}")) for number in range(first, last)]
        sums = as_json(Spent(runs=self.count))
        document = {"sessions": found, "count": self.count, "total": sums, "outside": sums}
        return httpx.Response(200, json={**document, "next_cursor": following})


def run(number: int) -> dict[str, Any]:
    texts = ("status", "provider", "model", "project", "source", "session_id", "thread_id")
    figures = ("input", "cached_input", "cache_write", "output", "reasoning", "total")
    at = f"2026-03-01T{23 - number // 60 % 24:02d}:{number % 60:02d}:00.000Z"
    return {
        "id": str(number),
        "kind": "run",
        "received_at": at,
        "ended_at": at,
        "failed": False,
        "cost_usd": None,
        "duration_ms": None,
        **dict.fromkeys(texts, ""),
        **{f"{name}_tokens": 1 for name in figures},
    }


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        (20, ["20"]),
        (1000, ["1000"]),
        (1500, ["1000", "500"]),
        (9999, ["1000", "1000", "1000"]),
        (None, ["1000", "1000", "1000"]),
    ],
)
def test_as_many_pages_are_asked_for_as_it_takes(limit: int | None, sizes: list[str]) -> None:
    server, heard = Pages(2500), list[tuple[int, int]]()

    with server.client() as api:
        page = sessions.sessions(
            api, {"scope": "mine"}, limit, lambda done, of: heard.append((done, of))
        )

    names = [one.session for one in page.sessions]
    assert names == [f"s{number}" for number in range(min(limit or 2500, 2500))]
    assert [query["limit"] for query in server.asked] == sizes
    assert all((query["scope"], query["account"]) == ("mine", "9") for query in server.asked)
    assert heard[-1] == (len(names), 2500)
    assert isinstance(page, SessionPage)
    assert (page.count, page.total.runs) == (2500, 2500)


def test_runs_come_in_the_order_in_which_they_ended() -> None:
    server = Pages(1200)

    with server.client() as api:
        found = sessions.session_runs(api, "a/b c", {"scope": "team"})

    assert len(found) == 1200
    assert [one.ended_at for one in found] == sorted(one.ended_at for one in found)
    assert [query.get("cursor") for query in server.asked] == [None, "1000"]


def test_a_session_of_any_name_is_one_part_of_the_path() -> None:
    paths: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.partition(b"?")[0])
        return httpx.Response(200, json={"runs": []})

    with ApiClient("http://server.test", "k", transport=httpx.MockTransport(reply)) as api:
        for name in ("../a/b?c", "..", ".", "a.b"):
            sessions.session_runs(api, name, {})

    assert paths == [
        b"/api/v1/sessions/..%2Fa%2Fb%3Fc/runs",
        b"/api/v1/sessions/%2E%2E/runs",
        b"/api/v1/sessions/%2E/runs",
        b"/api/v1/sessions/a.b/runs",
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404, text="<h1>Not Found</h1>"), NoSuchRouteError),
        (httpx.Response(200, json={"sessions": [], "count": "many"}), UnreachableError),
    ],
)
def test_another_server_is_named_as_one_that_does_not_know_sessions(
    answer: httpx.Response, error: type[Exception]
) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    with (
        ApiClient("http://server.test", "k", transport=transport) as api,
        pytest.raises(error, match=r"http://server\.test"),
    ):
        sessions.sessions(api, {}, None)
