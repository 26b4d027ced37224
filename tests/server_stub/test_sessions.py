"""Sessions one by one, as the sums by quarter-hour tell of them, and the runs of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.contract import routes
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast, Person

FIGURES = (
    "runs",
    "failures",
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
)


def ping(person: Person, tracker: Any, ended_at: str, tokens: int, **more: object) -> None:
    body = {"ended_at": ended_at, "input_tokens": tokens, **more}
    answer = person.http.post(tracker["ping_url"], json=body)
    assert answer.status_code == 200, answer.text


def names(person: Person, **params: object) -> list[str]:
    return [one["session"] for one in person.got(routes.SESSIONS, **params)["sessions"]]


@pytest.fixture
def busy(cast: Cast) -> Cast:
    """Grace's two sessions and a plain run, Carl's session of the same name as one of hers."""
    grace, carl = cast.member.new_tracker("Codex"), cast.colleague.new_tracker("Claude")
    codex = {"source": "codex", "session_id": "aa-1", "project": "api"}
    ping(
        cast.member,
        grace,
        "2026-03-01T10:00:00Z",
        100,
        model="gpt-5",
        cost_usd=0.5,
        thread_id="aa-1",
        duration_ms=40_000,
        **codex,
    )
    ping(
        cast.member,
        grace,
        "2026-03-01T10:40:00Z",
        20,
        model="mini",
        cost_usd=0.7,
        thread_id="t2",
        duration_ms=2_000,
        **codex,
    )
    ping(cast.member, grace, "2026-03-02T09:00:00Z", 3, session_id="ab-2", status="failed")
    ping(cast.member, grace, "2026-03-02T09:30:00Z", 4000)
    ping(cast.colleague, carl, "2026-03-03T08:00:00Z", 50_000, session_id="aa-1", source="claude")
    return cast


def test_a_session_is_what_all_of_its_threads_used(busy: Cast) -> None:
    _, first = busy.member.got(routes.SESSIONS)["sessions"]

    told = {name: first[name] for name in first if name not in FIGURES}
    assert told == {
        "session": "aa-1",
        "source": "codex",
        "member": "grace@example.com",
        "began_at": "2026-03-01T10:00:00.000Z",
        "ended_at": "2026-03-01T10:45:00.000Z",
        "exact_to_ms": 900_000,
        "active_ms": 42_000,
        "duration_ms": 42_000,
        "outcome": "ok",
        "failure": "",
        "projects": ["api"],
        "models": ["mini", "gpt-5"],
        "threads": 2,
        "cost_usd": 1.2,
    }
    assert (first["runs"], first["total_tokens"]) == (2, 120)


def test_the_latest_comes_first_and_one_with_a_failed_run_has_failed(busy: Cast) -> None:
    found = busy.member.got(routes.SESSIONS)["sessions"]

    assert [(one["session"], one["outcome"]) for one in found] == [
        ("ab-2", "failed"),
        ("aa-1", "ok"),
    ]


def test_sessions_and_what_is_outside_of_them_are_the_usage_report(busy: Cast) -> None:
    for filters in ({}, {"project": "api"}, {"since": "2026-03-02"}, {"member": "me"}):
        page = busy.owner.got(routes.SESSIONS, scope="team", **filters)
        report = busy.owner.got(routes.USAGE, scope="team", **filters)["total"]
        for figure in (*FIGURES, "cost_usd"):
            shown = sum(one[figure] for one in page["sessions"]) + page["outside"][figure]
            assert shown == page["total"][figure] == report[figure], (filters, figure)
    assert busy.owner.got(routes.SESSIONS, scope="team")["outside"]["total_tokens"] == 4000


def test_equal_ids_of_two_members_are_two_sessions(busy: Cast) -> None:
    page = busy.manager.got(routes.SESSIONS, scope="team")

    assert page["count"] == 3
    assert [(one["member"], one["session"]) for one in page["sessions"]] == [
        ("carl@example.com", "aa-1"),
        ("grace@example.com", "ab-2"),
        ("grace@example.com", "aa-1"),
    ]


def test_pages_follow_each_other_without_gap_or_repeat(busy: Cast) -> None:
    tracker = busy.member.new_tracker("more")
    for number in range(5):  # all in one quarter-hour: only their names tell them apart
        at = "2026-03-02T09:10:00Z"
        ping(busy.member, tracker, at, 1, session_id=f"s{number}", source="codex")
    whole = busy.owner.got(routes.SESSIONS, scope="team", limit=1000)
    assert whole["next_cursor"] is None

    found: list[Any] = []
    cursor: dict[str, str] = {}
    for _ in range(4):
        page = busy.owner.got(routes.SESSIONS, scope="team", limit=2, **cursor)
        assert (page["count"], page["total"]) == (whole["count"], whole["total"])
        found += page["sessions"]
        cursor = {"cursor": page["next_cursor"]}

    assert found == whole["sessions"]
    assert cursor == {"cursor": None}
    assert len(found) == 8


def test_a_beginning_of_an_id_is_enough_and_knows_its_case(busy: Cast) -> None:
    assert names(busy.member, session="aa") == ["aa-1"]
    assert names(busy.member, session="a") == ["ab-2", "aa-1"]
    assert names(busy.member, session="A") == []
    assert names(busy.member, session="a%") == []
    alone = busy.member.got(routes.SESSIONS, session="aa")
    assert (alone["count"], alone["total"]["total_tokens"]) == (1, 120)
    assert alone["outside"]["total_tokens"] == 0


def test_a_session_that_was_taken_back_is_none(busy: Cast) -> None:
    figures = ", ".join(f"{name} = 0" for name in (*FIGURES, "cost_nano", "duration_ms"))
    taken = f"UPDATE session_buckets SET {figures} WHERE session_id = 'ab-2'"  # noqa: S608 - ours
    run_sql(busy.settings, taken)

    page = busy.member.got(routes.SESSIONS)

    assert ([one["session"] for one in page["sessions"]], page["count"]) == (["aa-1"], 1)


def test_members_see_their_own_sessions_alone(busy: Cast) -> None:
    assert names(busy.colleague) == ["aa-1"]
    assert busy.colleague.got(routes.SESSIONS)["total"]["total_tokens"] == 50_000
    for path in (routes.SESSIONS, routes.SESSION_RUNS.format(session_id="aa-1")):
        answer = busy.colleague.ask("GET", path, params={"scope": "team"})
        assert (answer.status_code, answer.json()["type"]) == (403, "role-too-small")


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsWzIsImEiLCJiXHUwMDAwIl1d", "é", "1" * 400])
def test_a_cursor_that_is_none_is_refused(sqlite_cast: Cast, cursor: str) -> None:
    answer = sqlite_cast.member.ask("GET", routes.SESSIONS, params={"cursor": cursor})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_the_runs_of_a_session_are_those_of_its_member(busy: Cast) -> None:
    path = routes.SESSION_RUNS.format(session_id="aa-1")

    mine = busy.member.got(path)
    assert [(one["model"], one["thread_id"]) for one in mine["runs"]] == [
        ("mini", "t2"),
        ("gpt-5", "aa-1"),
    ]
    assert mine["next_cursor"] is None
    theirs = busy.manager.got(path, scope="team", member="carl@example.com")
    assert [one["input_tokens"] for one in theirs["runs"]] == [50_000]
    assert len(busy.manager.got(path, scope="team")["runs"]) == 3


def test_the_runs_of_a_session_come_page_by_page(busy: Cast) -> None:
    path = routes.SESSION_RUNS.format(session_id="aa-1")

    first = busy.member.got(path, limit=1)
    second = busy.member.got(path, limit=1, cursor=first["next_cursor"])

    assert [one["model"] for one in first["runs"] + second["runs"]] == ["mini", "gpt-5"]
    assert second["next_cursor"] is None
    wrong = busy.member.ask("GET", path, params={"cursor": "next"})
    assert wrong.status_code == 422


def test_the_runs_of_a_session_are_narrowed_as_its_sums_are(busy: Cast) -> None:
    path = routes.SESSION_RUNS.format(session_id="aa-1")
    narrowed: list[dict[str, str]] = [
        {"model": "mini"},
        {"since": "2026-03-01T10:30:00Z"},
        {"source": "codex", "until": "2026-03-01T10:15:00Z"},
        {"project": "api"},
    ]
    for filters in narrowed:
        runs = busy.member.got(path, **filters)["runs"]
        (session,) = busy.member.got(routes.SESSIONS, session="aa-1", **filters)["sessions"]
        assert sum(run["input_tokens"] for run in runs) == session["input_tokens"], filters
    assert busy.member.ask("GET", path, params={"model": "other"}).status_code == 404


def test_the_runs_of_no_session_are_not_found(busy: Cast) -> None:
    answer = busy.member.ask("GET", routes.SESSION_RUNS.format(session_id="zz"))

    assert (answer.status_code, answer.json()["type"]) == (404, "session-not-found")


def test_no_session_is_an_empty_page(cast: Cast) -> None:
    page = cast.owner.got(routes.SESSIONS, scope="team")

    assert (page["sessions"], page["count"], page["total"]["total_tokens"]) == ([], 0, 0)
    assert page["schema"] == "telemhq.sessions/1"
