"""Fields, series and the archive of a tracker, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from server_stub.reports.series import SeriesQuestion, tracker_series
from server_stub.store.tables import accounts, runs
from telemhq_agents.contract import routes
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    from server_stub.store.engine import Store
    from tests.server_stub.cast import Cast, Person

DAY_MS = 86_400_000


def at(path: str, tracker: Any, **more: str) -> str:
    return path.format(tracker_id=tracker["id"], **more)


def sent(person: Person, tracker: Any, *payloads: dict[str, Any]) -> None:
    for payload in payloads:
        assert person.http.post(tracker["ping_url"], json=payload).status_code == 200


def series(person: Person, tracker: Any, *fields: str, **query: object) -> Any:
    return person.got(at(routes.TRACKER_SERIES, tracker), field=list(fields), **query)


def values(answer: Any) -> list[list[float | None]]:
    return [one["values"] for one in answer["series"]]


def test_fields_are_found_in_what_was_sent(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(
        cast.member,
        tracker,
        {"usage": {"input_tokens": 5}, "temperature": 0.5},
        {"usage": {"input_tokens": 7}, "cost_usd": 1.5, "ended_at": "2026-01-01T00:00:00Z"},
    )

    told = cast.member.got(at(routes.TRACKER_FIELDS, tracker))

    assert told["runs"] == 2
    first, second, third = told["fields"]
    assert (first["field"], first["kind"], first["unit"]) == (
        "usage.input_tokens",
        "tokens",
        "tokens",
    )
    assert (first["runs"], first["last"], first["charted"]) == (2, 7, True)
    assert (second["field"], second["last_at"]) == ("cost_usd", "2026-01-01T00:00:00.000Z")
    assert (third["field"], third["recommended"], third["charted"]) == ("temperature", False, False)


def test_choices_are_each_users_own_and_can_be_taken_back(cast: Cast) -> None:
    tracker = cast.member.new_tracker(account=cast.team)
    sent(cast.member, tracker, {"a/b c": 1, "cost_usd": 2})

    def fields(person: Person) -> dict[str, tuple[str | None, bool]]:
        found = person.got(at(routes.TRACKER_FIELDS, tracker))["fields"]
        return {one["field"]: (one["choice"], one["charted"]) for one in found}

    def choose(field: str, choice: str) -> None:
        cast.member.did("PUT", at(routes.TRACKER_FIELD, tracker, field=field), {"choice": choice})

    choose("a/b c", "pinned")
    choose("cost_usd", "pinned")
    choose("cost_usd", "hidden")
    choose("not.yet", "pinned")

    assert fields(cast.member) == {
        "a/b c": ("pinned", True),
        "not.yet": ("pinned", True),
        "cost_usd": ("hidden", False),
    }
    assert fields(cast.owner) == {"a/b c": (None, False), "cost_usd": (None, True)}
    for field in ("cost_usd", "not.yet", "never chosen"):
        cast.member.did("DELETE", at(routes.TRACKER_FIELD, tracker, field=field))
    assert fields(cast.member) == {"a/b c": ("pinned", True), "cost_usd": (None, True)}


@pytest.mark.parametrize("field", ["a..b", "a.", "x\\", "n\x00l"])
def test_what_is_no_dot_path_is_refused(sqlite_cast: Cast, field: str) -> None:
    cast = sqlite_cast
    tracker = cast.member.new_tracker()
    place = at(routes.TRACKER_FIELD, tracker, field=field.replace("\x00", "%00"))

    chosen = cast.member.ask("PUT", place, {"choice": "pinned"})
    charted = cast.member.ask(
        "GET", at(routes.TRACKER_SERIES, tracker), params={"field": ["cost_usd", field]}
    )

    assert (chosen.status_code, charted.status_code) == (422, 422)
    assert "field" in chosen.json()["errors"][0]["field"]


def test_a_user_chooses_so_many_fields_and_no_more(sqlite_cast: Cast) -> None:
    cast = sqlite_cast
    tracker = cast.member.new_tracker()
    for number in range(200):
        path = at(routes.TRACKER_FIELD, tracker, field=f"f{number}")
        cast.member.did("PUT", path, {"choice": "pinned"})

    last = cast.member.ask(
        "PUT", at(routes.TRACKER_FIELD, tracker, field="one_more"), {"choice": "hidden"}
    )
    known = cast.member.ask(
        "PUT", at(routes.TRACKER_FIELD, tracker, field="f0"), {"choice": "hidden"}
    )

    assert (last.status_code, last.json()["type"]) == (409, "too-many-choices")
    assert known.status_code == 204


def test_a_chart_shows_runs_in_the_order_they_ended_with_gaps(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(
        cast.member,
        tracker,
        {"cost_usd": 3, "usage": {"n": 30}, "ended_at": "2026-01-01T00:00:03Z"},
        {"cost_usd": 1, "usage": "none", "ended_at": "2026-01-01T00:00:01Z"},
        {"usage": {"n": "20"}, "ended_at": "2026-01-01T00:00:02Z"},
        {"cost_usd": None, "list": [4, {"x": 5}], "ended_at": "2026-01-01T00:00:04Z"},
    )

    told = series(cast.member, tracker, "cost_usd", "usage.n", "list.1.x", "nowhere")

    assert values(told) == [
        [1, None, 3, None],
        [None, None, 30, None],
        [None, None, None, 5],
        [None] * 4,
    ]
    first_ms = 1_767_225_601_000
    assert told["ended_ms"] == told["began_ms"] == [first_ms + n * 1000 for n in range(4)]
    assert (told["runs"], told["window"], told["down_sampled"]) == (4, 50, False)
    assert told["schema"] == "telemhq.series/1"
    assert told["series"][0]["min"] is None


def test_starts_corrections_and_pings_beside_a_run_are_not_charted(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    key = {"Idempotency-Key": "fact:abc"}
    first = cast.member.http.post(tracker["ping_url"], json={"cost_usd": 1}, headers=key)
    assert first.status_code == 200
    sent(
        cast.member,
        tracker,
        {"kind": "start", "cost_usd": 2},
        {"kind": "log", "cost_usd": 3},
        {"primary": False, "cost_usd": 4},
        {"kind": "correction", "corrects": "fact:abc", "revision": 1, "cost_usd": -0.5},
        {"cost_usd": 5},
    )

    assert values(series(cast.member, tracker, "cost_usd")) == [[1, 5]]


def test_the_window_is_of_the_latest_runs_of_a_project(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(
        cast.member,
        tracker,
        *({"cost_usd": number, "project": "ab"[number % 2]} for number in range(6)),
    )

    assert values(series(cast.member, tracker, "cost_usd", limit=3)) == [[3, 4, 5]]
    told = series(cast.member, tracker, "cost_usd", limit=2, project="a")
    assert (values(told), told["project"], told["runs"]) == ([[2, 4]], "a", 2)
    assert values(series(cast.member, tracker, "cost_usd", project="c")) == [[]]


def test_without_fields_those_are_charted_that_the_caller_sees_charted(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(cast.member, tracker, {"cost_usd": 1, "x": 2, "latency_ms": 3})
    for field, choice in (("x", "pinned"), ("latency_ms", "hidden")):
        path = at(routes.TRACKER_FIELD, tracker, field=field)
        cast.member.did("PUT", path, {"choice": choice})

    told = series(cast.member, tracker)

    assert [one["field"] for one in told["series"]] == ["x", "cost_usd"]


@pytest.mark.parametrize("name", ['a"b_ms', "C:\\x_ms", 'nested"name.x_ms', "\u00e9_ms"])
def test_a_field_is_charted_whatever_letters_its_name_has(cast: Cast, name: str) -> None:
    tracker = cast.member.new_tracker()
    outer, _, inner = name.partition(".")
    sent(cast.member, tracker, {outer: {inner: 7} if inner else 7})

    answer = series(cast.member, tracker)

    assert answer["series"][0]["field"] == name.replace("\\", "\\\\")
    assert values(answer) == [[7]]


@pytest.mark.parametrize("name", ["a\tb_ms", "zero\u200bwidth_ms", "", "nested\n"])
def test_what_no_path_can_name_is_left_out(cast: Cast, name: str) -> None:
    tracker = cast.member.new_tracker()
    sent(cast.member, tracker, {name: 1, "cost_usd": 2, "more": {name: {"x_ms": 3}}})

    assert [one["field"] for one in series(cast.member, tracker)["series"]] == ["cost_usd"]


def test_a_number_beyond_all_floats_is_a_gap(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(cast.member, tracker, {"x_ms": 10**400}, {"x_ms": -(10**400)}, {"x_ms": 10**300})

    assert values(series(cast.member, tracker, "x_ms")) == [[None, None, 10**300]]


def test_down_sampled_each_point_says_what_it_stands_for(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(
        cast.member,
        tracker,
        *(
            {"cost_usd": cost, "ended_at": f"2026-01-01T00:00:0{second}Z"}
            for second, cost in enumerate([1, 3, 100, 2, None])
        ),
    )

    told = series(cast.member, tracker, "cost_usd", width=2)
    whole = series(cast.member, tracker, "cost_usd", width=5)

    second_ms = 1_767_225_600_000
    assert told["down_sampled"] is True
    assert told["began_ms"] == [second_ms, second_ms + 2000]
    assert told["ended_ms"] == [second_ms + 1000, second_ms + 4000]
    (points,) = told["series"]
    assert (points["values"], points["min"]) == ([2, 51], [1, 2])
    assert (points["max"], points["count"]) == ([3, 100], [2, 2])
    assert (whole["down_sampled"], values(whole)) == (False, [[1, 3, 100, 2, None]])


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 100_001}, {"width": 0}, {"field": ""}, {"field": ["x"] * 21}],
)
def test_what_is_out_of_bounds_is_refused(sqlite_cast: Cast, query: dict[str, Any]) -> None:
    tracker = sqlite_cast.member.new_tracker()

    answer = sqlite_cast.member.ask("GET", at(routes.TRACKER_SERIES, tracker), params=query)

    assert answer.status_code == 422


def test_a_plan_bounds_the_window(store: Store) -> None:
    def fill(connection: Any) -> None:
        row = {"name": "x", "kind": "personal", "created_ms": 1}
        connection.execute(insert(accounts), [{"id": 1, "plan": "pro", **row}])
        many = {"account_id": 1, "tracker_id": 2, "member_id": 3, "received_ms": 1, "runs": 1}
        connection.execute(
            insert(runs),
            [
                {**many, "id": number, "ended_ms": number, "payload": {} if is_postgres else "{}"}
                for number in range(3)
            ],
        )

    with store.read() as connection:
        is_postgres = connection.dialect.name == "postgresql"
    store.write(fill)

    told = tracker_series(store, SeriesQuestion(1, 2, ("a",), limit=100_000))
    unknown = tracker_series(store, SeriesQuestion(9, 2, ("a",), limit=2))

    assert (told.window, told.runs, told.series[0].values) == (100_000, 3, [None] * 3)
    assert (unknown.window, unknown.runs) == (2, 0)


def test_the_archive_is_summed_up_and_listed_by_day(cast: Cast) -> None:
    tracker = cast.member.new_tracker(account=cast.team)
    empty = cast.member.got(at(routes.TRACKER_ARCHIVE, tracker))
    for day in range(3):
        run_sql(
            cast.settings,
            "INSERT INTO archives VALUES (:account, :tracker, :day, :runs, 1, :first, :last)",
            account=int(cast.team),
            tracker=int(tracker["id"]),
            day=day * DAY_MS,
            runs=10 + day,
            first=day * DAY_MS + 1000,
            last=day * DAY_MS + 2000,
        )

    told = cast.member.got(at(routes.TRACKER_ARCHIVE, tracker), limit=2)
    rest = cast.member.got(at(routes.TRACKER_ARCHIVE, tracker), cursor=told["next_cursor"])

    assert (empty["runs"], empty["first_at"], empty["days"]) == (0, None, [])
    assert (told["runs"], told["failed"]) == (33, 3)
    assert (told["first_at"], told["last_at"]) == (
        "1970-01-01T00:00:01.000Z",
        "1970-01-03T00:00:02.000Z",
    )
    assert [one["day"] for one in told["days"]] == ["1970-01-03", "1970-01-02"]
    assert [(one["day"], one["runs"]) for one in rest["days"]] == [("1970-01-01", 10)]
    assert rest["next_cursor"] is None


def test_a_plan_without_an_archive_says_so(sqlite_cast: Cast) -> None:
    tracker = sqlite_cast.member.new_tracker(account=sqlite_cast.team)
    run_sql(sqlite_cast.settings, "UPDATE accounts SET plan = 'free'")

    answer = sqlite_cast.member.ask("GET", at(routes.TRACKER_ARCHIVE, tracker))

    assert (answer.status_code, answer.json()["type"]) == (402, "archive-not-in-plan")
    assert answer.json()["detail"] == "runs of the last 7 days are kept"
